//! What kind of cluster is wanted.
//!
//! ```yaml
//! driver: auto
//! colima:            # used where auto means colima
//!   memory: 10GiB
//!   cores: 4
//! k3d:               # used where auto means k3d
//!   servers: 1
//!   agents: 2
//! ```

mod numbers;
mod sections;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use sections::{
    Colima, Filtered, K3d, K3dRegistries, K3dRegistry, K3sArg, Kind, Minikube, Mount, Port, Process, Sim, Volume,
};

use crate::error::Error;
use crate::host::absolute;

/// More than this is no configuration file.
const LARGEST: u64 = 1024 * 1024;

/// The configuration: the driver's name and a section for each driver it may be used with. What a section leaves out is
/// up to the tool, and never a mismatch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterConfig {
    /// The driver's name; empty leaves the choice to the caller.
    #[serde(default)]
    pub driver: String,
    /// For `colima`.
    pub colima: Option<Colima>,
    /// For `k3d`.
    pub k3d: Option<K3d>,
    /// For `kind`.
    pub kind: Option<Kind>,
    /// For `minikube`.
    pub minikube: Option<Minikube>,
    /// For `process`; may be left out.
    pub process: Option<Process>,
    /// For `sim`; may be left out.
    pub sim: Option<Sim>,
}

/// Checks a port that was asked for: zero means any other, which could not be kept.
pub(crate) fn check_port(field: &str, port: Option<u16>) -> Result<(), Error> {
    match port {
        Some(0) => Err(Error::config(field, "ports begin with 1; leave it out for a free one")),
        _ => Ok(()),
    }
}

impl ClusterConfig {
    /// One with an empty section for each driver: whatever the tools do by themselves.
    pub fn defaults(driver: &str) -> Self {
        Self {
            driver: driver.to_owned(),
            colima: Some(Colima::default()),
            k3d: Some(K3d::default()),
            kind: Some(Kind::default()),
            minikube: Some(Minikube::default()),
            process: Some(Process::default()),
            sim: Some(Sim::default()),
        }
    }

    /// Reads YAML: the keys above, or a file that has them below a `cluster` key and other things beside it.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] with the place in the text.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        // The line that says where and what; the picture of the file after it says the same again.
        let invalid = |error: &dyn std::fmt::Display| {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            Error::config("the YAML", line.trim_start_matches("error: "))
        };
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let tree: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| invalid(&error))?;
        match tree {
            serde_json::Value::Null => Ok(Self::default()),
            serde_json::Value::Object(mut keys) => match keys.remove("cluster") {
                Some(serde_json::Value::Null) => Ok(Self::default()),
                Some(below) if !below.is_object() => Err(Error::config("cluster", "it is not a mapping")),
                Some(below) => Self::deserialize(below).map_err(|error| invalid(&error)),
                None => serde_saphyr::from_str(text).map_err(|error| invalid(&error)),
            },
            _ => Err(Error::config(
                "the YAML",
                "it is not a mapping; it begins with keys like driver: and k3d:",
            )),
        }
    }

    /// With the paths in it counted from this directory.
    fn below(mut self, dir: &Path) -> Self {
        let process = self.process.iter_mut();
        let of_process = process.flat_map(|section| [&mut section.bin_dir, &mut section.data_dir]);
        let of_k3d = self.k3d.iter_mut().map(|section| &mut section.registries.config);
        for path in of_process.chain(of_k3d).flatten() {
            *path = absolute(&dir.join(&*path));
        }
        self
    }

    /// Reads a file of YAML. Paths in it count from the directory it is in.
    ///
    /// # Errors
    /// [`Error::Files`] and [`Error::InvalidConfig`].
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        // A pipe has no size, and a device no end.
        let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        if read.map_err(Error::files("read", path))? as u64 > LARGEST {
            return Err(Error::config(path.display().to_string(), "it is larger than 1 MiB"));
        }
        let text =
            String::from_utf8(bytes).map_err(|_| Error::config(path.display().to_string(), "it is not UTF-8 text"))?;
        let config = Self::from_yaml(&text).map(|config| config.below(path.parent().unwrap_or(Path::new(""))));
        config.map_err(|error| match error {
            Error::InvalidConfig { field, reason } if field == "cluster" => {
                Error::config(path.display().to_string(), format!("cluster: {reason}"))
            }
            Error::InvalidConfig { reason, .. } => Error::config(path.display().to_string(), reason),
            other => other,
        })
    }
}

#[cfg(test)]
mod tests;
