//! The values of a request, read through a table of options.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

use super::spec::{DefaultValue, OptionKind, OptionSpec, Phase};
use crate::error::DriverError;
use crate::wire::DriverOptions;

/// All that is wrong with the options of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("; "))]
pub struct InvalidOptions {
    /// One sentence per problem, each naming the option.
    pub problems: Vec<String>,
}

impl From<InvalidOptions> for DriverError {
    fn from(error: InvalidOptions) -> Self {
        Self::invalid(error.to_string())
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Bool(bool),
    Int(i64),
    List(Vec<String>),
}

#[derive(Clone)]
struct Entry {
    spec: OptionSpec,
    given: Option<Value>,
}

/// The options of one request. Options are asked for by the name they were declared with; a name that was not declared,
/// or an option of another type, is never there.
///
/// The plain getters answer what was **given**; those ending in `_or_default` fall back to the declared default, and then
/// to the empty value of the type. Rancher sends `""`, 0 and `false` for fields without a default that were left empty.
#[derive(Clone)]
pub struct Options {
    entries: BTreeMap<&'static str, Entry>,
    raw: DriverOptions,
}

impl Options {
    /// What the request carried.
    pub fn raw(&self) -> &DriverOptions {
        &self.raw
    }

    /// The cluster's name as the engine knows it, for Rancher an id like `c-abcde`; empty when there is none.
    pub fn name(&self) -> &str {
        self.raw_string("name").unwrap_or_default()
    }

    /// The name people gave the cluster; [`Self::name`] when there is none.
    pub fn display_name(&self) -> &str {
        self.raw_string("display-name")
            .or_else(|| self.raw_string("displayName"))
            .unwrap_or_else(|| self.name())
    }

    fn raw_string(&self, key: &str) -> Option<&str> {
        let text = self.raw.string_options.get(key)?;
        (!text.is_empty()).then_some(text)
    }

    fn given(&self, name: &str) -> Option<&Value> {
        self.entries.get(name)?.given.as_ref()
    }

    fn default(&self, name: &str) -> DefaultValue {
        self.entries
            .get(name)
            .map_or(DefaultValue::None, |entry| entry.spec.default)
    }

    /// Whether the option was given, even if as an empty value.
    pub fn is_given(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// A text, if given. It may be empty.
    pub fn string(&self, name: &str) -> Option<&str> {
        match self.given(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text, if given and not empty.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.string(name).filter(|text| !text.is_empty())
    }

    /// A text that is never shown, if given and not empty.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.non_empty(name).map(SecretString::from)
    }

    /// Yes or no, if given.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.given(name)? {
            Value::Bool(yes) => Some(*yes),
            _ => None,
        }
    }

    /// A number, if given.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.given(name)? {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// A list, if given. It may be empty.
    pub fn strings(&self, name: &str) -> Option<&[String]> {
        match self.given(name)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// A text, else its default. An empty text that was given counts as not given.
    pub fn string_or_default(&self, name: &str) -> &str {
        self.non_empty(name).unwrap_or(match self.default(name) {
            DefaultValue::Str(text) => text,
            _ => "",
        })
    }

    /// Yes or no, else the default, else no.
    pub fn bool_or_default(&self, name: &str) -> bool {
        self.bool(name)
            .unwrap_or(matches!(self.default(name), DefaultValue::Bool(true)))
    }

    /// A number, else its default, else 0.
    pub fn int_or_default(&self, name: &str) -> i64 {
        self.int(name).unwrap_or(match self.default(name) {
            DefaultValue::Int(number) => number,
            _ => 0,
        })
    }

    /// A list, else its default, else an empty one.
    pub fn strings_or_default(&self, name: &str) -> Vec<String> {
        match (self.strings(name), self.default(name)) {
            (Some(items), _) => items.to_vec(),
            (None, DefaultValue::Strings(items)) => items.iter().map(ToString::to_string).collect(),
            (None, _) => Vec::new(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, entry) in &self.entries {
            match &entry.given {
                None => {}
                Some(_) if entry.spec.secret => {
                    map.entry(name, &"<redacted>");
                }
                Some(Value::Text(text)) => {
                    map.entry(name, text);
                }
                Some(Value::Bool(yes)) => {
                    map.entry(name, yes);
                }
                Some(Value::Int(number)) => {
                    map.entry(name, number);
                }
                Some(Value::List(items)) => {
                    map.entry(name, items);
                }
            }
        }
        map.finish()
    }
}

pub(super) fn read(specs: &[OptionSpec], given: &DriverOptions, phase: Phase) -> Result<Options, InvalidOptions> {
    let mut problems = Vec::new();
    let options = collect(specs, given, &mut problems);
    if phase == Phase::Create {
        for spec in specs.iter().filter(|spec| spec.required) {
            let there = match options.given(spec.name) {
                None => spec.default != DefaultValue::None,
                Some(Value::Text(text)) => !text.is_empty() || spec.default != DefaultValue::None,
                Some(Value::List(items)) => !items.is_empty(),
                Some(_) => true,
            };
            // Something that is there but wrong is reported as that.
            let reported = problems.iter().any(|(name, _)| *name == spec.name);
            if !there && !reported {
                problems.push((spec.name, format!("{} is required", spec.name)));
            }
        }
    }
    if problems.is_empty() {
        return Ok(options);
    }
    Err(InvalidOptions {
        problems: problems.into_iter().map(|(_, text)| text).collect(),
    })
}

pub(super) fn read_partial(specs: &[OptionSpec], given: &DriverOptions) -> Options {
    collect(specs, given, &mut Vec::new())
}

fn collect(specs: &[OptionSpec], given: &DriverOptions, problems: &mut Vec<(&'static str, String)>) -> Options {
    let mut entries = BTreeMap::new();
    for spec in specs {
        let value = match look_up(spec, given).and_then(|value| checked(spec, value)) {
            Ok(value) => value,
            Err(problem) => {
                problems.push((spec.name, format!("{} {problem}", spec.name)));
                None
            }
        };
        entries.insert(
            spec.name,
            Entry {
                spec: *spec,
                given: value,
            },
        );
    }
    Options {
        entries,
        raw: given.clone(),
    }
}

/// The value below the first spelling that is present in the map of the option's type; only then, for numbers and
/// yes-or-no options, in the map of texts.
fn look_up(spec: &OptionSpec, given: &DriverOptions) -> Result<Option<Value>, String> {
    let spellings = spec.spellings();
    let text = first(&given.string_options, &spellings).map(|text| text.trim());
    let number = first(&given.int_options, &spellings).copied();
    let yes = first(&given.bool_options, &spellings).copied();
    let items = first(&given.string_slice_options, &spellings);
    let (wanted, value) = match spec.kind {
        OptionKind::String => ("a text", text.map(|text| Value::Text(text.to_owned()))),
        OptionKind::StringSlice => ("a list", items.map(|items| Value::List(items.value.clone()))),
        OptionKind::Int | OptionKind::IntPtr => (
            "a whole number",
            match (number, text) {
                (Some(number), _) => Some(Value::Int(number)),
                (None, Some("")) => return Ok(None),
                (None, Some(text)) => text.parse().ok().map(Value::Int),
                (None, None) => None,
            },
        ),
        OptionKind::Bool | OptionKind::BoolPtr => (
            "true or false",
            match (yes, text) {
                (Some(yes), _) => Some(Value::Bool(yes)),
                (None, Some("")) => return Ok(None),
                (None, Some(text)) => text.to_ascii_lowercase().parse().ok().map(Value::Bool),
                (None, None) => None,
            },
        ),
    };
    if value.is_none() && (text.is_some() || number.is_some() || yes.is_some() || items.is_some()) {
        return Err(format!("must be {wanted}"));
    }
    Ok(value)
}

fn first<'a, T>(map: &'a BTreeMap<String, T>, spellings: &[String]) -> Option<&'a T> {
    spellings.iter().find_map(|spelling| map.get(spelling))
}

fn checked(spec: &OptionSpec, value: Option<Value>) -> Result<Option<Value>, String> {
    let (Some(check), Some(value)) = (spec.validate, &value) else {
        return Ok(value);
    };
    match value {
        Value::Text(text) if text.is_empty() => {}
        Value::Text(text) => check(text)?,
        Value::Bool(yes) => check(&yes.to_string())?,
        Value::Int(number) => check(&number.to_string())?,
        Value::List(items) => items.iter().try_for_each(|item| check(item))?,
    }
    Ok(Some(value.clone()))
}
