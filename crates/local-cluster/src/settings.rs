//! What was asked for against what is there, field by field.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

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
        Self {
            shown: value.clone(),
            value,
        }
    }
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
