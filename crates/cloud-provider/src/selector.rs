//! Label selectors as people write them: `env=prod,tier in (front, back),!spot`.
//!
//! Mirrors `k8s.io/apimachinery/pkg/labels` (`Parse`, `Matches`).

use std::str::FromStr;

use serde_json::{Value, json};

use crate::data::StringMap;

/// Which labels an object must have. Without requirements it matches everything.
///
/// ```
/// use cloud_provider::selector::Selector;
/// let selector: Selector = "env=prod,tier in (front, back),!spot".parse().unwrap();
/// let labels = [("env", "prod"), ("tier", "back")].map(|(key, value)| (key.to_owned(), value.to_owned()));
/// assert!(selector.matches(&labels.into_iter().collect()));
/// assert!("env in prod".parse::<Selector>().is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also matches objects without the label.
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse requirement {part:?}: {why}")]
pub struct SelectorError {
    part: String,
    why: &'static str,
}

impl Selector {
    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same as a `LabelSelector` of an object. Nothing when it compares numbers, which those cannot.
    ///
    /// ```
    /// let selector: cloud_provider::selector::Selector = "env=prod,!spot".parse().unwrap();
    /// let expected = serde_json::json!({"matchExpressions": [
    ///     {"key": "env", "operator": "In", "values": ["prod"]}, {"key": "spot", "operator": "DoesNotExist"},
    /// ]});
    /// assert_eq!(selector.to_json(), Some(expected));
    /// ```
    pub fn to_json(&self) -> Option<Value> {
        let expression = |Requirement { key, operator }: &Requirement| {
            Some(match operator {
                Operator::Exists => json!({"key": key, "operator": "Exists"}),
                Operator::Absent => json!({"key": key, "operator": "DoesNotExist"}),
                Operator::In(values) => json!({"key": key, "operator": "In", "values": values}),
                Operator::NotIn(values) => json!({"key": key, "operator": "NotIn", "values": values}),
                Operator::Greater(_) | Operator::Less(_) => return None,
            })
        };
        let expressions: Option<Vec<Value>> = self.0.iter().map(expression).collect();
        Some(json!({"matchExpressions": expressions?}))
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &StringMap) -> bool {
        self.0.iter().all(|Requirement { key, operator }| {
            let value = labels.get(key);
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match operator {
                Operator::Exists => value.is_some(),
                Operator::Absent => value.is_none(),
                Operator::In(values) => value.is_some_and(|value| values.contains(value)),
                Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Operator::Greater(than) => number().is_some_and(|number| number > *than),
                Operator::Less(than) => number().is_some_and(|number| number < *than),
            }
        })
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let parts = split(text).into_iter().map(|part| requirement(part.trim()));
        Ok(Self(parts.collect::<Result<_, _>>()?))
    }
}

/// The parts between commas, except those within brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut inside) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            ',' if !inside => {
                parts.push(text.get(begin..at).unwrap_or_default());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(begin..).unwrap_or_default());
    parts
}

fn requirement(part: &str) -> Result<Requirement, SelectorError> {
    let wrong = |why| SelectorError {
        part: part.to_owned(),
        why,
    };
    let number = |text: &str| text.parse().map_err(|_| wrong("only whole numbers can be compared"));
    let (key, operator) = if let Some(key) = part.strip_prefix('!') {
        (key, Operator::Absent)
    } else if let Some((key, list)) = part.split_once('(') {
        let list = list
            .strip_suffix(')')
            .ok_or_else(|| wrong("the list of values has no end"))?;
        let values: Vec<String> = list.split(',').map(|value| value.trim().to_owned()).collect();
        match key.trim_end().rsplit_once(char::is_whitespace) {
            Some((key, "in")) => (key, Operator::In(values)),
            Some((key, "notin")) => (key, Operator::NotIn(values)),
            _ => return Err(wrong("a list of values follows in or notin")),
        }
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, Operator::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Operator::In(vec![value.trim().to_owned()]))
    } else if let Some((key, than)) = part.split_once('>') {
        (key, Operator::Greater(number(than.trim())?))
    } else if let Some((key, than)) = part.split_once('<') {
        (key, Operator::Less(number(than.trim())?))
    } else {
        (part, Operator::Exists)
    };
    let key = key.trim();
    if !is_key(key) {
        return Err(wrong("the key is no label's"));
    }
    if let Operator::In(values) | Operator::NotIn(values) = &operator
        && !values.iter().all(|value| value.is_empty() || is_word(value))
    {
        return Err(wrong("a value is no label's"));
    }
    Ok(Requirement {
        key: key.to_owned(),
        operator,
    })
}

/// Whether a text is a label's key: a name, and a domain before it where there is a slash.
fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        None => is_word(text),
        Some((domain, name)) => {
            let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.');
            (1..=253).contains(&domain.len()) && domain.bytes().all(fits) && is_word(name)
        }
    }
}

/// Whether a text is a label's name, or a value of one.
fn is_word(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let bytes = text.as_bytes();
    let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().copied().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> StringMap {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn selectors_match_as_those_of_kubernetes_do() {
        let node = labels(&[
            ("env", "prod"),
            ("tier", "back"),
            ("example.com/size", "8"),
            ("empty", ""),
        ]);
        for (text, expected) in [
            ("", true),
            ("  ", true),
            ("env", true),
            ("!env", false),
            ("none", false),
            ("!none", true),
            ("env=prod", true),
            ("env == prod", true),
            ("env = test", false),
            ("env != prod", false),
            ("env!=test", true),
            ("none!=x", true),
            ("empty=", true),
            ("tier in (front, back)", true),
            ("tier in (front)", false),
            ("tier notin (front)", true),
            ("none notin (front)", true),
            ("none in ()", false),
            ("example.com/size>4", true),
            ("example.com/size < 4", false),
            ("env>4", false),
            ("env=prod,tier in (front,back),!spot", true),
            ("env=prod,spot", false),
        ] {
            let selector: Selector = text.parse().unwrap();
            assert_eq!(selector.matches(&node), expected, "{text:?}");
        }
        assert!(Selector::default().is_empty());
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            ",", "a,", "a b", "=b", "a in b", "a in (b", "a (b)", "!", "a>b", "a=b c", "a/b/c", "/a", "a=b=c", "-a",
            "é",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text:?}");
        }
        let error = "a=b,c in d".parse::<Selector>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unable to parse requirement \"c in d\": the key is no label's"
        );
    }
}
