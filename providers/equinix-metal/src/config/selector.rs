//! Label selectors in Kubernetes' text form, as `labels.Parse` of `k8s.io/apimachinery` reads them.

use std::collections::{BTreeMap, BTreeSet};

/// Selects by labels: all of its requirements must be met. Without any it selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, BTreeSet<String>),
    /// Also met when there is no such label.
    NotIn(String, BTreeSet<String>),
    Greater(String, i64),
    Less(String, i64),
}

/// What is wrong with a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// A part that is no requirement.
    #[error("{0:?} is no requirement such as key, !key, key=value, key!=value, key in (a,b), key notin (a,b)")]
    Requirement(String),
    /// A key or value with characters that no label has.
    #[error("{0:?} cannot be the key or value of a label")]
    Label(String),
}

impl Selector {
    /// Whether these labels meet all requirements.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Greater(key, than) => number(labels, key).is_some_and(|number| number > *than),
            Requirement::Less(key, than) => number(labels, key).is_some_and(|number| number < *than),
        })
    }
}

fn number(labels: &BTreeMap<String, String>, key: &str) -> Option<i64> {
    labels.get(key)?.parse().ok()
}

impl std::str::FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        parts(text)
            .into_iter()
            .map(|part| requirement(part.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// The text, split at the commas that stand outside of parentheses.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(part: &str) -> Result<Requirement, SelectorError> {
    let wrong = || SelectorError::Requirement(part.to_owned());
    if let Some(key) = part.strip_prefix('!') {
        return Ok(Requirement::Absent(label_key(key.trim())?));
    }
    if let Some(inside) = part.strip_suffix(')') {
        let (head, values) = inside.split_once('(').ok_or_else(wrong)?;
        let mut words = head.split_whitespace();
        let (Some(key), Some(operator), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong());
        };
        let key = label_key(key)?;
        let values = values.split(',').map(|value| label_value(value.trim()));
        let values: BTreeSet<String> = values.collect::<Result<_, _>>()?;
        return match operator {
            "in" => Ok(Requirement::In(key, values)),
            "notin" => Ok(Requirement::NotIn(key, values)),
            _ => Err(wrong()),
        };
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = part.split_once(operator) {
            let (key, values) = (label_key(key.trim())?, BTreeSet::from([label_value(value.trim())?]));
            return Ok(if equal {
                Requirement::In(key, values)
            } else {
                Requirement::NotIn(key, values)
            });
        }
    }
    for (operator, greater) in [('>', true), ('<', false)] {
        if let Some((key, than)) = part.split_once(operator) {
            let (key, than) = (label_key(key.trim())?, than.trim().parse().map_err(|_| wrong())?);
            return Ok(if greater {
                Requirement::Greater(key, than)
            } else {
                Requirement::Less(key, than)
            });
        }
    }
    if part.is_empty() || part.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok(Requirement::Exists(label_key(part)?))
}

fn label_key(text: &str) -> Result<String, SelectorError> {
    let (domain, name) = text.rsplit_once('/').unwrap_or(("a", text));
    let domain_ok = !domain.is_empty() && domain.len() <= 253 && domain.split('.').all(|part| is_word(part, "-"));
    if !name.is_empty() && domain_ok && is_word(name, "-_.") && name.len() <= 63 {
        Ok(text.to_owned())
    } else {
        Err(SelectorError::Label(text.to_owned()))
    }
}

fn label_value(text: &str) -> Result<String, SelectorError> {
    if text.is_empty() || (is_word(text, "-_.") && text.len() <= 63) {
        Ok(text.to_owned())
    } else {
        Err(SelectorError::Label(text.to_owned()))
    }
}

/// Letters and digits at both ends, and these in between.
fn is_word(text: &str, between: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(plain) && text.ends_with(plain) && text.chars().all(|c| plain(c) || between.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_select_as_kubernetes_does() {
        let labels = BTreeMap::from(
            [("rack", "r1"), ("node-role.kubernetes.io/worker", ""), ("slot", "7")]
                .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        for (text, expected) in [
            ("", true),
            ("rack", true),
            ("!rack", false),
            ("!node-role.kubernetes.io/control-plane", true),
            ("rack=r1", true),
            ("rack == r1", true),
            ("rack!=r1", false),
            ("zone!=z1", true),
            ("rack in (r1, r2),slot", true),
            ("rack notin (r1,r2)", false),
            ("zone notin (r1)", true),
            ("slot>6,slot<8", true),
            ("slot > 7", false),
            ("rack>1", false),
            ("node-role.kubernetes.io/worker=", true),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            ",",
            "a,",
            "a b",
            "=x",
            "a in r1",
            "a in ()b",
            "a among (b)",
            "a=b c",
            "/x",
            "a/",
            "slot>x",
            "-a",
            "a=(",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}
