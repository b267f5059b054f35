//! All options of a driver, checked once, and what is derived from them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::spec::{DefaultValue, OptionKind, OptionSpec, Phase};
use super::values::{self, InvalidOptions, Options};
use crate::wire::{DriverFlags, DriverOptions};

/// What is wrong with a declaration. Most of these make Rancher's controllers panic or lose the option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The name is empty, or has another character than ASCII letters, digits, dashes and underscores, or starts with
    /// something else than a letter, or has two dashes in a row or one at the end.
    #[error("option name {0:?} is not made of ASCII words with single dashes between them")]
    Name(String),
    /// Two options would be read from the same key.
    #[error("options {first:?} and {second:?} are both read from {spelling:?}")]
    Collision {
        /// One option.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// The key.
        spelling: String,
    },
    /// Rancher overwrites this key with a value of its own.
    #[error("option {option:?} is read from {spelling:?}, which Rancher overwrites")]
    Reserved {
        /// The option.
        option: &'static str,
        /// The key.
        spelling: String,
    },
    /// The default is of another type than the option.
    #[error("the default of option {0:?} is not of the option's type")]
    DefaultType(&'static str),
    /// Rancher turns "not given" into `false` or 0 for these types.
    #[error("option {0:?} is a pointer type, for which Rancher needs a default")]
    PointerWithoutDefault(&'static str),
    /// Rancher knows secrets only among strings, and a secret has no default.
    #[error("option {0:?} is secret and so must be a string without a default")]
    Secret(&'static str),
    /// The default fails the option's own check.
    #[error("the default of option {name:?} {problem}")]
    Default {
        /// The option.
        name: &'static str,
        /// What the check says.
        problem: String,
    },
    /// The option is a flag of nothing.
    #[error("option {0:?} is neither for creating nor for updating")]
    Unused(&'static str),
}

/// The one declaration of a driver's options. Flags of both operations, both spellings, reading, checking and the
/// reference page come from it.
#[derive(Clone, Debug)]
pub struct OptionTable {
    specs: Vec<OptionSpec>,
    create: DriverFlags,
    update: DriverFlags,
}

impl OptionTable {
    /// Checks the declarations. A driver may `expect` success: a test of its own calls this.
    pub fn new(specs: &[OptionSpec]) -> Result<Self, TableError> {
        let mut seen: BTreeMap<String, &'static str> = BTreeMap::new();
        for spec in specs {
            check(spec)?;
            for spelling in spec.spellings() {
                if ["driverName", "driver-name"].contains(&spelling.as_str()) {
                    return Err(TableError::Reserved {
                        option: spec.name,
                        spelling,
                    });
                }
                if let Some(first) = seen.insert(spelling.clone(), spec.name) {
                    return Err(TableError::Collision {
                        first,
                        second: spec.name,
                        spelling,
                    });
                }
            }
        }
        Ok(Self {
            specs: specs.to_vec(),
            create: flags(specs, Phase::Create),
            update: flags(specs, Phase::Update),
        })
    }

    /// The declarations, in the order they were made.
    pub fn specs(&self) -> &[OptionSpec] {
        &self.specs
    }

    /// The flags of Create.
    pub fn create_flags(&self) -> &DriverFlags {
        &self.create
    }

    /// The flags of Update.
    pub fn update_flags(&self) -> &DriverFlags {
        &self.update
    }

    /// Reads the options of a request. All that is wrong is reported at once. Keys that belong to no option are kept in
    /// [`Options::raw`] and otherwise ignored: engines add some of their own.
    pub fn parse(&self, given: &DriverOptions, phase: Phase) -> Result<Options, InvalidOptions> {
        values::read(&self.specs, given, phase)
    }

    /// Reads what can be read, for calls whose options may be incomplete. What is wrong counts as not given.
    pub fn parse_partial(&self, given: &DriverOptions) -> Options {
        values::read_partial(&self.specs, given)
    }

    /// The reference page of the options, as a Markdown table.
    pub fn markdown(&self) -> String {
        super::reference::markdown(&self.specs)
    }

    /// The keys in a driver's state, on any level, that are spellings of options. Engines would fill these options from
    /// the state on every update, whatever the user says: the list must be empty.
    pub fn shadowed_by(&self, state: &Value) -> Vec<String> {
        let spellings: BTreeSet<String> = self.specs.iter().flat_map(OptionSpec::spellings).collect();
        let mut found = BTreeSet::new();
        collect_shadowing(state, &spellings, &mut found);
        found.into_iter().collect()
    }
}

fn collect_shadowing(value: &Value, spellings: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    // Engines look into objects but not into arrays.
    for (key, value) in value.as_object().into_iter().flatten() {
        if spellings.contains(key) {
            found.insert(key.clone());
        }
        collect_shadowing(value, spellings, found);
    }
}

fn flags(specs: &[OptionSpec], phase: Phase) -> DriverFlags {
    let wanted = |spec: &&OptionSpec| match phase {
        Phase::Create => spec.create,
        Phase::Update => spec.update,
    };
    DriverFlags {
        options: specs
            .iter()
            .filter(wanted)
            .map(|spec| (spec.name.to_owned(), spec.flag()))
            .collect(),
    }
}

fn check(spec: &OptionSpec) -> Result<(), TableError> {
    for name in std::iter::once(&spec.name).chain(spec.aliases) {
        if !well_formed(name) {
            return Err(TableError::Name((*name).to_owned()));
        }
    }
    if !spec.create && !spec.update {
        return Err(TableError::Unused(spec.name));
    }
    if spec.secret && (spec.kind != OptionKind::String || spec.default != DefaultValue::None) {
        return Err(TableError::Secret(spec.name));
    }
    let (right_type, texts) = match (spec.kind, spec.default) {
        (OptionKind::BoolPtr | OptionKind::IntPtr, DefaultValue::None) => {
            return Err(TableError::PointerWithoutDefault(spec.name));
        }
        (_, DefaultValue::None) => (true, Vec::new()),
        (OptionKind::String, DefaultValue::Str(text)) => (true, vec![text.to_owned()]),
        (OptionKind::Bool | OptionKind::BoolPtr, DefaultValue::Bool(yes)) => (true, vec![yes.to_string()]),
        (OptionKind::Int | OptionKind::IntPtr, DefaultValue::Int(number)) => (true, vec![number.to_string()]),
        (OptionKind::StringSlice, DefaultValue::Strings(items)) => {
            (true, items.iter().map(ToString::to_string).collect())
        }
        _ => (false, Vec::new()),
    };
    if !right_type {
        return Err(TableError::DefaultType(spec.name));
    }
    for text in texts.iter().filter(|text| !text.is_empty()) {
        if let Some(problem) = spec.validate.and_then(|check| check(text).err()) {
            return Err(TableError::Default {
                name: spec.name,
                problem,
            });
        }
    }
    Ok(())
}

fn well_formed(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(allowed)
        && !name.contains("--")
        && !name.ends_with('-')
}
