//! What was asked for against what is there, field by field.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// One value of a cluster's configuration, in a form that two of them can be compared in, and as people write it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setting {
    /// Equal texts mean equal settings.
    pub value: String,
    /// For messages.
    pub shown: String,
}

impl Setting {
    /// A value that is shown as it is compared.
    pub fn plain(value: impl std::fmt::Display) -> Self {
        let value = value.to_string();
        let shown = if value.is_empty() { NOTHING } else { &value };
        Self {
            shown: shown.to_owned(),
            value,
        }
    }

    /// `NAME=VALUE` pairs whose values may be secrets: compared by a digest, shown without them.
    pub(crate) fn private<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut digest, mut names) = (Sha256::new(), Vec::new());
        for (name, value) in pairs {
            for text in [name, value] {
                digest.update(text.as_bytes());
                digest.update([0]);
            }
            names.push(name);
        }
        Self {
            value: format!("{:x}", digest.finalize()),
            shown: format!("{} (values not shown)", names.join(" ")),
        }
    }
}

/// How a setting is shown that has no value.
const NOTHING: &str = "nothing";

/// Settings that a new cluster is made without. Recorded at its creation, so that asking for them later is a difference:
/// they cannot be seen from outside.
pub(crate) fn nothing<const N: usize>(fields: [&str; N]) -> Settings {
    fields
        .map(|field| (field.to_owned(), Setting::plain("")))
        .into_iter()
        .collect()
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Settings by the name of their field in the configuration. A field that is not there is not known, or does not matter.
pub type Settings = BTreeMap<String, Setting>;

/// When a changed setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Applies {
    /// When the cluster is stopped and started.
    Restart,
    /// Only in a new cluster.
    Recreate,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The field's name in the configuration.
    pub field: String,
    /// What the cluster has.
    pub running: String,
    /// What was asked for.
    pub requested: String,
    /// When the request would take effect.
    pub applies: Applies,
}

impl Difference {
    /// Whether stopping and starting the cluster is enough.
    pub fn applies_on_restart(&self) -> bool {
        self.applies == Applies::Restart
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.applies {
            Applies::Restart => "applies on restart",
            Applies::Recreate => "needs a new cluster",
        };
        write!(
            f,
            "{}: running {}, requested {} ({when})",
            self.field, self.running, self.requested
        )
    }
}

/// Compares what was asked for with what was seen; what could not be seen is taken from `recorded`, and what is in
/// neither is no difference.
pub fn differences(
    requested: &Settings,
    seen: &Settings,
    recorded: &Settings,
    applies: impl Fn(&str, &Setting, &Setting) -> Applies,
) -> Vec<Difference> {
    requested
        .iter()
        .filter_map(|(field, want)| {
            let have = seen.get(field).or_else(|| recorded.get(field))?;
            (have != want).then(|| Difference {
                field: field.clone(),
                running: have.shown.clone(),
                requested: want.shown.clone(),
                applies: applies(field, have, want),
            })
        })
        .collect()
}
