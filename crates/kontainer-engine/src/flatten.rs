//! From a cluster's configuration, as Rancher keeps it, to a driver's options.
//!
//! Mirrors flatten and toMap in rancher/kontainer-engine `service/service.go`, and flattenIfNotExist in `cluster/cluster.go`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::options::camel_case;
use crate::wire::{DriverFlags, DriverOptions, STATE_KEY, StringSlice};

/// Options made of a configuration, and what of it could not be told to a driver.
#[derive(Debug, Default)]
pub struct Flattened {
    /// The options.
    pub options: DriverOptions,
    /// One sentence per value that was left out.
    pub left_out: Vec<String>,
}

/// Makes options of a configuration. Numbers, texts and truth values go by their keys; lists of texts become lists;
/// objects are taken apart into the same flat set of keys, except `labels`, which becomes a list of `key=value`.
///
/// Differs from upstream: an empty list is kept, so that a driver can be told to empty something.
pub fn flatten(config: &Map<String, Value>) -> Flattened {
    let mut flat = Flattened::default();
    walk(config, "labels", &|_| true, &mut flat);
    flat
}

/// Options for a cluster: [`flatten`], and the cluster's `name` and `displayName`, which no configuration can overrule.
pub fn flatten_for(config: &Map<String, Value>, name: &str, display_name: &str) -> Flattened {
    let mut flat = flatten(config);
    let display_name = if display_name.is_empty() { name } else { display_name };
    let texts = &mut flat.options.string_options;
    texts.insert("name".to_owned(), name.to_owned());
    texts.insert("displayName".to_owned(), display_name.to_owned());
    flat
}

/// Adds a driver's notes to the options of a call, as upstream does, for drivers that read them there.
///
/// Differs from upstream: what belongs to an option of the driver is left out, in any spelling, and so is what the user
/// gave. Otherwise a note would pin an option for ever, and a state would refill what the user left out.
pub fn add_metadata(options: &mut DriverOptions, metadata: &BTreeMap<String, String>, flags: &[&DriverFlags]) {
    let mut taken: BTreeSet<String> = flags.iter().flat_map(|flags| flags.options.keys()).map(plain).collect();
    taken.extend(keys(options).map(plain));
    let free = |key: &str| !taken.contains(&plain(key));
    let mut flat = Flattened::default();
    for (key, value) in metadata {
        if key == STATE_KEY {
            // A state that is not an object has no keys to add.
            if let Ok(Value::Object(state)) = serde_json::from_str(value) {
                walk(&state, "tags", &free, &mut flat);
            }
        }
    }
    for (key, value) in metadata.iter().filter(|(key, _)| *key != STATE_KEY && free(key)) {
        flat.options.string_options.insert(key.clone(), value.clone());
    }
    options.string_options.append(&mut flat.options.string_options);
    options.int_options.append(&mut flat.options.int_options);
    options.bool_options.append(&mut flat.options.bool_options);
    options
        .string_slice_options
        .append(&mut flat.options.string_slice_options);
}

fn keys(options: &DriverOptions) -> impl Iterator<Item = &String> {
    let texts = options.string_options.keys().chain(options.string_slice_options.keys());
    texts
        .chain(options.int_options.keys())
        .chain(options.bool_options.keys())
}

/// The same for all spellings of an option.
fn plain(key: impl AsRef<str>) -> String {
    camel_case(key.as_ref()).to_ascii_lowercase()
}

fn walk(map: &Map<String, Value>, listed: &str, wanted: &dyn Fn(&str) -> bool, flat: &mut Flattened) {
    for (key, value) in map {
        if let Value::Object(inner) = value
            && key != listed
        {
            walk(inner, listed, wanted, flat);
            continue;
        }
        if wanted(key) {
            put(key, value, flat);
        }
    }
}

fn put(key: &str, value: &Value, flat: &mut Flattened) {
    let options = &mut flat.options;
    match value {
        Value::Null => {}
        Value::Bool(yes) => {
            options.bool_options.insert(key.to_owned(), *yes);
        }
        Value::String(text) => {
            options.string_options.insert(key.to_owned(), text.clone());
        }
        Value::Number(number) => {
            // Towards zero, as upstream; a number beyond 64 bits ends at the bound.
            let whole = number
                .as_i64()
                .or_else(|| number.as_f64().map(|float| float.trunc() as i64));
            options.int_options.insert(key.to_owned(), whole.unwrap_or_default());
            if number.as_i64().is_none() {
                flat.left_out
                    .push(format!("{key}: only the whole part of {number} is kept"));
            }
        }
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            if texts.len() < items.len() {
                flat.left_out.push(format!("{key}: only texts of a list are kept"));
            }
            if items.is_empty() || !texts.is_empty() {
                options
                    .string_slice_options
                    .insert(key.to_owned(), StringSlice { value: texts });
            }
        }
        Value::Object(inner) => {
            let pair = |(key, value): (&String, &Value)| match value {
                Value::String(text) => format!("{key}={text}"),
                other => format!("{key}={other}"),
            };
            let value = inner.iter().map(pair).collect();
            options
                .string_slice_options
                .insert(key.to_owned(), StringSlice { value });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::Flag;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn every_kind_of_value_goes_where_drivers_look_for_it() {
        let flat = flatten_for(
            &object(&json!({
                "nodeCount": 3, "share": -1.9, "region": "iad", "name": "mine", "ha": true, "none": null,
                "zones": ["a", "b"], "empty": [], "mixed": ["a", 1], "numbers": [1, 2],
                "labels": {"team": "x", "n": 1}, "pool": {"size": 2, "deep": {"kind": "big"}}, "driverName": "kd-1",
            })),
            "c-abcde",
            "",
        );
        let options = flat.options;
        assert_eq!(options.int_options["nodeCount"], 3);
        assert_eq!(options.int_options["share"], -1);
        assert_eq!(options.int_options["size"], 2);
        assert!(options.bool_options["ha"]);
        for (key, value) in [
            ("region", "iad"),
            ("kind", "big"),
            ("driverName", "kd-1"),
            ("name", "c-abcde"),
            ("displayName", "c-abcde"),
        ] {
            assert_eq!(options.string_options[key], value, "{key}");
        }
        let list = |key: &str| options.string_slice_options[key].value.join(",");
        assert_eq!(list("zones"), "a,b");
        assert_eq!(list("empty"), "", "an empty list is told");
        assert_eq!(list("mixed"), "a");
        assert_eq!(list("labels"), "team=x,n=1");
        assert!(!options.string_slice_options.contains_key("numbers"));
        assert!(!options.string_options.contains_key("none"));
        assert_eq!(flat.left_out.len(), 3, "{:?}", flat.left_out);
    }

    #[test]
    fn notes_are_added_but_pin_no_option_and_overrule_nobody() {
        let flags = DriverFlags {
            options: [("node-pool".to_owned(), Flag::default())].into(),
        };
        let mut options = DriverOptions::default();
        options.string_options.insert("cluster-zone".into(), "new".into());
        options.int_options.insert("size".into(), 5);
        let metadata: BTreeMap<String, String> = [
            ("nodePool", "pinned"),
            ("clusterZone", "old"),
            ("cluster-id", "id-1"),
            ("size", "7"),
            (
                "state",
                r#"{"Name":"n","tags":{"a":"b"},"inner":{"node-pool":"pinned","extra":4},"clusterZone":"old"}"#,
            ),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        add_metadata(&mut options, &metadata, &[&flags]);
        assert_eq!(options.string_options["cluster-zone"], "new");
        assert_eq!(options.string_options["cluster-id"], "id-1");
        assert_eq!(
            options.int_options,
            [("extra".to_owned(), 4), ("size".to_owned(), 5)].into()
        );
        assert_eq!(options.string_slice_options["tags"].value, ["a=b"]);
        for key in ["nodePool", "node-pool", "clusterZone", "state", "Name", "size"] {
            assert_eq!(options.string_options.contains_key(key), key == "Name", "{key}");
        }
    }

    #[test]
    fn a_state_that_is_no_object_adds_nothing() {
        for state in ["", "[1]", "half{", "\"text\""] {
            let mut options = DriverOptions::default();
            add_metadata(&mut options, &[("state".to_owned(), state.to_owned())].into(), &[]);
            assert_eq!(options, DriverOptions::default(), "{state}");
        }
    }
}
