//! Values that nobody gave: engines fill options that the user left out from the stored state.

use std::collections::BTreeSet;

use kontainer_engine::{DriverError, DriverOptions, OptionTable, Options, Phase, camel_case};
use serde_json::Value;

/// Which values that repeat the stored state are taken for an echo of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum Echo {
    /// Only those that would hide a value given under another spelling of the same option. What is left says what the state
    /// says, so that it is the same wish whoever spoke: Rancher sends all options with every update.
    Hiding,
    /// All of them. For imported cloudspaces, where what is there comes before what is stored.
    All,
}

/// The options without echoes of the stored state.
pub(in crate::driver) fn without_echo(
    options: &Options,
    table: &OptionTable,
    stored: Option<&String>,
    echo: Echo,
) -> Result<Options, DriverError> {
    let mut raw = options.raw().clone();
    let state: Value = stored
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    for (key, value) in state.as_object().into_iter().flatten() {
        if echo == Echo::Hiding && !has_other_spelling(&raw, table, key) {
            continue;
        }
        match value {
            Value::String(text) if raw.string_options.get(key) == Some(text) => {
                raw.string_options.remove(key);
            }
            Value::Bool(yes) if raw.bool_options.get(key) == Some(yes) => {
                raw.bool_options.remove(key);
            }
            Value::Number(number) if raw.int_options.get(key).copied() == number.as_i64() => {
                raw.int_options.remove(key);
            }
            _ => {}
        }
    }
    table
        .parse(&raw, Phase::Update)
        .map_err(|error| DriverError::invalid(error.to_string()))
}

/// Whether the option of this key was also given under another of its names.
fn has_other_spelling(raw: &DriverOptions, table: &OptionTable, key: &str) -> bool {
    let given: BTreeSet<&String> = raw
        .string_options
        .keys()
        .chain(raw.int_options.keys())
        .chain(raw.bool_options.keys())
        .collect();
    table.specs().iter().any(|spec| {
        let camel = camel_case(spec.name);
        let names = || {
            let aliases = spec.aliases.iter().copied();
            [spec.name, camel.as_str()].into_iter().chain(aliases)
        };
        names().any(|name| name == key) && names().any(|name| name != key && given.contains(&name.to_owned()))
    })
}
