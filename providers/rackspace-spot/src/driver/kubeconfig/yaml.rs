//! A YAML document as plain data.
//!
//! Built on the parser that also reads for serde-saphyr; what that does beyond it (types, merge keys, pictures of the place of
//! an error) costs a quarter of a megabyte, and a kubeconfig has texts, truth values and nothing else.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// More than any kubeconfig has; an alias counts as much as what it stands for.
const MOST_NODES: usize = 100_000;
/// Deeper than any kubeconfig is.
const DEEPEST: usize = 64;

/// Reads the one document of a text. `None` when it is not YAML, holds several documents, names a key twice, has a key that
/// is no text, or is beyond all measure.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        reader.take(event.ok()?.0)?;
    }
    reader.done
}

#[derive(Default)]
struct Reader {
    /// What is open, from the outside in.
    open: Vec<Open>,
    anchors: BTreeMap<usize, Value>,
    nodes: usize,
    done: Option<Value>,
}

struct Open {
    anchor: usize,
    value: Value,
    /// Of a map, when its value is next.
    key: Option<String>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let key_is_next = matches!(
                    self.open.last(),
                    Some(Open {
                        value: Value::Object(_),
                        key: None,
                        ..
                    })
                );
                let value = if style == ScalarStyle::Plain && !key_is_next {
                    plain(&text)
                } else {
                    Value::String(text.into_owned())
                };
                self.put(value, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Value::Array(Vec::new()), anchor),
            Event::MappingStart(_, anchor, _) => self.begin(Value::Object(Map::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { anchor, value, .. } = self.open.pop()?;
                self.put(value, anchor)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor)?.clone();
                self.nodes += size(&value);
                self.put(value, 0)
            }
            _ => Some(()),
        }
    }

    fn begin(&mut self, value: Value, anchor: usize) -> Option<()> {
        self.open.push(Open {
            anchor,
            value,
            key: None,
        });
        (self.open.len() <= DEEPEST).then_some(())
    }

    /// Puts a value that is complete where it belongs. Anchors are numbered from 1.
    fn put(&mut self, value: Value, anchor: usize) -> Option<()> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return None;
        }
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
            self.nodes += size(&value);
        }
        let Some(open) = self.open.last_mut() else {
            return self.done.replace(value).is_none().then_some(());
        };
        match (&mut open.value, open.key.take(), value) {
            (Value::Array(list), _, value) => list.push(value),
            (Value::Object(map), Some(key), value) => return map.insert(key, value).is_none().then_some(()),
            (Value::Object(_), None, Value::String(key)) => open.key = Some(key),
            _ => return None,
        }
        Some(())
    }
}

/// What a text without quotes means.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text => Value::String(text.to_owned()),
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_to_write_a_kubeconfig_is_read() {
        let expected = json!({
            "a": "text", "true": true, "n": null, "list": [{"name": "x"}, {"name": "y: z"}], "data": "QUJD REVG",
            "literal": "one\ntwo\n", "12": "34",
        });
        let block = "# a comment\n---\na: text\ntrue: true\nn: ~\nlist:\n- name: x\n- name: 'y: z'\ndata: >-\n  QUJD\n  REVG\n\
                     literal: |\n  one\n  two\n12: 34\n...\n";
        assert_eq!(read(block), Some(expected));
        assert_eq!(
            read(r#"{"a": "true", b: [1, {c: false}], "d": "\u0041\n"}"#),
            Some(json!({"a": "true", "b": ["1", {"c": false}], "d": "A\n"}))
        );
        assert_eq!(
            read("user: &u {token: t}\nother: *u\n"),
            Some(json!({"user": {"token": "t"}, "other": {"token": "t"}}))
        );
    }

    #[test]
    fn what_is_no_kubeconfig_is_nothing() {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
        let deep = "[".repeat(5000);
        let deep_but_closed = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for text in [
            "",
            "a: [",
            "a: 1\na: 2",
            "a: 1\n---\nb: 2",
            "? [a]\n: b",
            "a: *nobody",
            bomb,
            &deep,
            &deep_but_closed,
        ] {
            assert_eq!(read(text), None, "{text:.40}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a-c:{}\\[\\]&*?|>'\"# \n,~!%]{0,80}") {
            let _ = read(&text);
        }
    }
}
