//! Objects in the order they came, found by id, cheap to copy as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a table can hold.
pub(crate) trait Row: Clone {
    /// What it is found by.
    fn id(&self) -> &str;
}

/// Content in the order of their insertion. A copy costs nothing: both sides share all of it until one changes, and then the
/// rows that it leaves alone. In JSON it is a list.
#[derive(Clone, Debug)]
pub(crate) struct Table<T>(Arc<Content<T>>);

#[derive(Debug)]
struct Content<T> {
    rows: BTreeMap<u64, Arc<T>>,
    index: BTreeMap<Arc<str>, u64>,
    last: u64,
}

impl<T> Clone for Content<T> {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            index: self.index.clone(),
            last: self.last,
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Arc::new(Content {
            rows: BTreeMap::new(),
            index: BTreeMap::new(),
            last: 0,
        }))
    }
}

impl<T: Row> Table<T> {
    /// A table of these rows; the id that two of them have is the error.
    pub(crate) fn from_rows(rows: Vec<T>) -> Result<Self, String> {
        let mut table = Self::default();
        for row in rows {
            if table.get(row.id()).is_some() {
                return Err(row.id().to_owned());
            }
            table.insert(row);
        }
        Ok(table)
    }

    /// All rows, and an empty table left behind.
    pub(crate) fn take_rows(&mut self) -> Vec<T> {
        let rows = std::mem::take(self);
        rows.iter().cloned().collect()
    }

    /// Adds a row, in place of the one that has its id.
    pub(crate) fn insert(&mut self, row: T) {
        let Content { rows, index, last } = Arc::make_mut(&mut self.0);
        let number = index.get(row.id()).copied().unwrap_or_else(|| {
            *last += 1;
            index.insert(row.id().into(), *last);
            *last
        });
        rows.insert(number, Arc::new(row));
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.0.rows.get(self.0.index.get(id)?).map(|row| &**row)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let number = *self.0.index.get(id)?;
        Arc::make_mut(&mut self.0).rows.get_mut(&number).map(Arc::make_mut)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        let number = *self.0.index.get(id)?;
        let Content { rows, index, .. } = Arc::make_mut(&mut self.0);
        index.remove(id);
        rows.remove(&number).map(Arc::unwrap_or_clone)
    }

    /// Keeps the rows of which this is true.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        if self.iter().all(&keep) {
            return;
        }
        let Content { rows, index, .. } = Arc::make_mut(&mut self.0);
        rows.retain(|_, row| keep(row));
        index.retain(|_, number| rows.contains_key(number));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.rows.values().map(|row| &**row)
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.rows.values().map(|row| &**row))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    /// Without ids being looked at: what reads a state gives rows the ids they lack first.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<T>::deserialize(deserializer)?;
        let rows: BTreeMap<u64, Arc<T>> = (1..).zip(rows.into_iter().map(Arc::new)).collect();
        Ok(Self(Arc::new(Content {
            last: rows.len() as u64,
            rows,
            index: BTreeMap::new(),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Word(String);

    impl Row for Word {
        fn id(&self) -> &str {
            &self.0
        }
    }

    fn word(text: &str) -> Word {
        Word(text.to_owned())
    }

    #[test]
    fn rows_keep_their_order_through_changes_and_json() {
        let mut table = Table::from_rows(vec![word("c"), word("a"), word("b")]).unwrap();
        let copy = table.clone();
        table.remove("a");
        table.insert(word("a"));
        table.insert(word("c"));
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(text, r#"["c","b","a"]"#);
        assert_eq!(serde_json::to_string(&copy).unwrap(), r#"["c","a","b"]"#);
        table.retain(|word| word.0 != "b");
        assert_eq!((table.get("b"), table.get("a")), (None, Some(&word("a"))));
    }

    #[test]
    fn an_id_that_two_rows_have_is_named() {
        assert_eq!(Table::from_rows(vec![word("a"), word("a")]).unwrap_err(), "a");
    }
}
