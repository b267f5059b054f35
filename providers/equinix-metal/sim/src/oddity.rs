//! Answers that are right, and written as a careful client must still be able to read them.

use http::{HeaderValue, header};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One thing that is wrong with some answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oddity {
    /// What is wrong.
    pub kind: OddityKind,
    /// A regular expression found in the paths it is about; all paths when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What can be wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OddityKind {
    /// It says it is HTML.
    WrongContentType,
    /// It has no body.
    EmptyBody,
    /// Every object has members nobody heard of.
    UnknownFields,
    /// States and types are words nobody heard of.
    UnknownEnum,
    /// Whatever is not needed to tell objects apart is null.
    NullFields,
}

/// Members that a client cannot do without.
const NEEDED: [&str; 13] = [
    "id",
    "href",
    "meta",
    "devices",
    "ip_addresses",
    "bgp_sessions",
    "bgp_neighbors",
    "hostname",
    "address",
    "address_family",
    "tags",
    "last_page",
    "current_page",
];

impl Oddity {
    /// What makes no sense about it.
    pub(crate) fn fault(&self) -> Option<String> {
        let path = self.path.as_deref()?;
        Regex::new(path)
            .err()
            .map(|error| format!("settings.oddities: {path:?} is not a regular expression: {error}"))
    }

    fn concerns(&self, path: &str) -> bool {
        self.path
            .as_deref()
            .is_none_or(|pattern| Regex::new(pattern).is_ok_and(|regex| regex.is_match(path)))
    }
}

/// Makes an answer as odd as the oddities for its path say.
pub(crate) fn apply(oddities: &[Oddity], path: &str, headers: &mut http::HeaderMap, body: Vec<u8>) -> Vec<u8> {
    let mut body = body;
    for oddity in oddities.iter().filter(|oddity| oddity.concerns(path)) {
        let change: fn(&mut Value) = match oddity.kind {
            OddityKind::WrongContentType => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
                continue;
            }
            OddityKind::EmptyBody => {
                body.clear();
                continue;
            }
            OddityKind::UnknownFields => add_unknown,
            OddityKind::UnknownEnum => rename_words,
            OddityKind::NullFields => make_null,
        };
        if let Ok(mut value) = serde_json::from_slice::<Value>(&body) {
            change(&mut value);
            body = value.to_string().into_bytes();
        }
    }
    body
}

fn add_unknown(value: &mut Value) {
    each_object(value, &mut |object| {
        object.insert("x_brand_new".to_owned(), json!({"since": 2027, "of": ["what"]}));
    });
}

fn rename_words(value: &mut Value) {
    each_object(value, &mut |object| {
        for word in ["state", "type", "status", "deployment_type"] {
            if let Some(Value::String(text)) = object.get_mut(word) {
                *text = format!("brand_new_{word}");
            }
        }
    });
}

fn make_null(value: &mut Value) {
    each_object(value, &mut |object| {
        for (key, member) in object.iter_mut() {
            if !NEEDED.contains(&key.as_str()) {
                *member = Value::Null;
            }
        }
    });
}

fn each_object(value: &mut Value, act: &mut impl FnMut(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            // From the inside out: what is added is not gone into.
            object.values_mut().for_each(|member| each_object(member, act));
            act(object);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, act)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oddities_change_only_what_their_path_matches() {
        let plain = json!({"devices": [{"id": "a", "state": "active", "plan": {"slug": "x"}}]}).to_string();
        for (kind, path, expected) in [
            (
                OddityKind::UnknownEnum,
                "^/devices",
                r#"{"devices":[{"id":"a","state":"brand_new_state","plan":{"slug":"x"}}]}"#,
            ),
            (
                OddityKind::NullFields,
                "devices",
                r#"{"devices":[{"id":"a","state":null,"plan":null}]}"#,
            ),
            (
                OddityKind::UnknownFields,
                "devices",
                r#"{"devices":[{"id":"a","state":"active","plan":{"slug":"x","x_brand_new":{"since":2027,"of":["what"]}},"x_brand_new":{"since":2027,"of":["what"]}}],"x_brand_new":{"since":2027,"of":["what"]}}"#,
            ),
            (OddityKind::EmptyBody, "devices", ""),
            (OddityKind::EmptyBody, "^/ips", plain.as_str()),
        ] {
            let oddity = Oddity {
                kind,
                path: Some(path.to_owned()),
            };
            let odd = apply(
                &[oddity],
                "/devices/a",
                &mut http::HeaderMap::new(),
                plain.clone().into_bytes(),
            );
            assert_eq!(String::from_utf8(odd).unwrap(), expected);
        }
    }

    #[test]
    fn a_path_that_is_no_expression_is_a_fault() {
        let oddity = Oddity {
            kind: OddityKind::NullFields,
            path: Some("(".to_owned()),
        };
        assert!(
            oddity
                .fault()
                .is_some_and(|why| why.contains("not a regular expression"))
        );
    }
}
