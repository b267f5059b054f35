//! What we remember of a cluster: what was asked for, and which change was under way.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::host::Host;
use crate::settings::Settings;

/// How far the newest change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It is being created.
    Creating,
    /// It is being started or was; it takes work unless something happened since.
    Ready,
    /// It is being stopped or was.
    Stopping,
    /// It is being destroyed.
    Destroying,
}

/// The record of one cluster, `clusters/DRIVER/PROFILE.json` below the data directory. It is never needed: a lost record is
/// no mismatch, and a cluster without one is treated as found. It holds no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The form of this file.
    pub version: u32,
    /// The driver.
    pub driver: String,
    /// The profile.
    pub profile: String,
    /// What was asked for when it was created or last started.
    #[serde(default)]
    pub spec: Settings,
    /// The kubeconfig context.
    pub context: String,
    /// The API server's URL, once known.
    #[serde(default)]
    pub endpoint: String,
    /// The container engine it is in (`DOCKER_HOST` or that of the docker context); empty for the usual one.
    #[serde(default)]
    pub docker_host: String,
    /// When it was created.
    pub created_at: jiff::Timestamp,
    /// How far the newest change came.
    pub phase: Step,
}

/// Where the record of a cluster is.
pub(crate) fn path(host: &Host, driver: &str, profile: &str) -> PathBuf {
    host.clusters_dir().join(driver).join(format!("{profile}.json"))
}

/// Where the lock of a cluster is.
pub(crate) fn lock_path(host: &Host, driver: &str, profile: &str) -> PathBuf {
    host.clusters_dir().join(driver).join(format!("{profile}.lock"))
}

/// Where it is noted which tool is changing a cluster.
pub(crate) fn tool_path(host: &Host, driver: &str, profile: &str) -> PathBuf {
    host.clusters_dir().join(driver).join(format!("{profile}.tool"))
}

/// One setting of a cluster that is there: what was seen of it, else what was asked for when it was made.
pub(crate) fn known(host: &Host, driver: &str, profile: &str, seen: &Settings, field: &str) -> Option<String> {
    let recorded = || Record::load(host, driver, profile)?.spec.remove(field);
    let setting = seen.get(field).cloned().or_else(recorded)?;
    Some(setting.value)
}

/// Notes the port a cluster is being made with, so that nobody else chooses it. Without it, the tool finds out later.
pub(crate) fn claim(host: &Host, driver: &str, profile: &str, port: u16) {
    if let Some(mut record) = Record::load(host, driver, profile).filter(|_| !host.dry_run) {
        record.endpoint = format!("https://127.0.0.1:{port}");
        let _ = record.save(host);
    }
}

impl Record {
    /// Reads one. What cannot be read counts as not there: the cluster itself knows better.
    pub fn load(host: &Host, driver: &str, profile: &str) -> Option<Self> {
        let text = std::fs::read(path(host, driver, profile)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// All of them, by driver and profile.
    pub fn all(host: &Host) -> Vec<Self> {
        let entries = |dir: PathBuf| {
            std::fs::read_dir(dir)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
        };
        let mut records: Vec<Self> = entries(host.clusters_dir())
            .flat_map(entries)
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok())
            .collect();
        records.sort_by(|a, b| (&a.driver, &a.profile).cmp(&(&b.driver, &b.profile)));
        records
    }

    /// Writes it, unless it says the same already.
    pub(crate) fn save(&self, host: &Host) -> Result<(), Error> {
        let path = path(host, &self.driver, &self.profile);
        let dir = path.parent().map(PathBuf::from).unwrap_or_default();
        kit::fs::create_private_dir(&dir).map_err(Error::files("create", dir))?;
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::files("write", &path)(error.into()))?;
        // A start that finds everything as it should be does not wait for the disk.
        if std::fs::read(&path).is_ok_and(|have| have == text) {
            return Ok(());
        }
        kit::fs::write_private(&path, &text).map_err(Error::files("write", path))
    }

    /// Forgets it.
    pub(crate) fn forget(host: &Host, driver: &str, profile: &str) -> Result<(), Error> {
        let path = path(host, driver, profile);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::files("remove", path)(error)),
            _ => Ok(()),
        }
    }
}
