//! Which of an object's references are spelled out.

use serde_json::{Value, json};

use super::ask::Ask;

/// References by dotted path: those to spell out, and those to give by address only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Includes {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl Includes {
    pub(crate) fn of(ask: &Ask) -> Self {
        Self {
            include: ask.params("include"),
            exclude: ask.params("exclude"),
        }
    }

    /// Exactly these.
    pub(crate) fn naming(paths: &[&str]) -> Self {
        Self {
            include: paths.iter().map(|&path| path.to_owned()).collect(),
            exclude: Vec::new(),
        }
    }

    /// Whether this reference is to be spelled out. Naming what is below it names it, too.
    pub(crate) fn wants(&self, path: &str) -> bool {
        self.include.iter().any(|it| {
            it.strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// The references of what is behind this one.
    pub(crate) fn under(&self, path: &str) -> Self {
        let below = |it: &String| Some(it.strip_prefix(path)?.strip_prefix('.')?.to_owned());
        Self {
            include: self.include.iter().filter_map(below).collect(),
            exclude: Vec::new(),
        }
    }

    /// Takes out what is not wanted: only addresses are left of it.
    pub(crate) fn trim(&self, mut object: Value) -> Value {
        for path in &self.exclude {
            let steps: Vec<&str> = path.split('.').collect();
            reduce(&mut object, &steps);
        }
        object
    }
}

fn reduce(value: &mut Value, steps: &[&str]) {
    match (value, steps) {
        (Value::Array(items), _) => items.iter_mut().for_each(|item| reduce(item, steps)),
        (value @ Value::Object(_), []) => {
            let href = value.get("href").cloned().unwrap_or_default();
            *value = json!({ "href": href });
        }
        (Value::Object(fields), [first, rest @ ..]) => {
            if let Some(member) = fields.get_mut(*first) {
                reduce(member, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naming_what_is_below_a_reference_names_it_too() {
        let includes = Includes {
            include: vec!["assignments.assigned_to".to_owned(), "facility".to_owned()],
            exclude: Vec::new(),
        };
        assert!(
            includes.wants("assignments") && includes.wants("assignments.assigned_to") && includes.wants("facility")
        );
        assert!(!includes.wants("assign") && !includes.wants("assignments.assigned_to.plan"));
        assert!(includes.under("assignments").wants("assigned_to"));
    }

    #[test]
    fn of_what_is_excluded_the_address_is_left_in_lists_too() {
        let includes = Includes {
            include: Vec::new(),
            exclude: vec!["ips.parent".to_owned(), "plan".to_owned()],
        };
        let object =
            json!({"plan": {"href": "/p", "slug": "x"}, "ips": [{"parent": {"href": "/b", "cidr": 1}, "n": 2}]});
        let expected = json!({"plan": {"href": "/p"}, "ips": [{"parent": {"href": "/b"}, "n": 2}]});
        assert_eq!(includes.trim(object), expected);
    }
}
