//! Leader migration: some controllers run under a second lease that another manager may hold.

use std::path::PathBuf;

use serde::Deserialize;

use super::flags::Parsed;
use super::options::canonical;

/// The second lease unless a configuration names another.
pub const LEASE: &str = "cloud-provider-extraction-migration";
/// The component that this program is.
const COMPONENT: &str = "cloud-controller-manager";

/// Which controllers run under which second lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The second lease's name.
    pub lease: String,
    /// The controllers it covers, by their canonical names, and the component that is to run each: `*` is any.
    pub controllers: Vec<(String, String)>,
}

/// Where a controller runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// Under the manager's own lease.
    Main,
    /// Under the second lease.
    Migrated,
    /// In another program.
    Nowhere,
}

/// Why a migration makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// There is no election to migrate.
    #[error("--enable-leader-migration needs --leader-elect")]
    NoElection,
    /// The file cannot be read.
    #[error("cannot read the leader migration configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file says something else.
    #[error("cannot understand the leader migration configuration {path}: {why}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    api_version: String,
    kind: String,
    leader_name: String,
    #[serde(default)]
    resource_lock: Option<String>,
    #[serde(default)]
    controller_leaders: Vec<Leader>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leader {
    name: String,
    component: String,
}

impl Migration {
    pub(super) fn from_flags(parsed: &Parsed) -> Result<Option<Self>, MigrationError> {
        if !parsed.bool("enable-leader-migration") {
            return Ok(None);
        }
        let Some(path) = parsed.optional("leader-migration-config").map(PathBuf::from) else {
            return Ok(Some(Self::default()));
        };
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| MigrationError::Read {
            path: path.clone(),
            source,
        })?;
        Self::parse(&text)
            .map(Some)
            .map_err(|why| MigrationError::Parse { path, why })
    }

    /// Reads a `LeaderMigrationConfiguration`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let version = file
            .api_version
            .strip_prefix("controllermanager.config.k8s.io/")
            .unwrap_or_default();
        if !matches!(version, "v1" | "v1beta1" | "v1alpha1") || file.kind != "LeaderMigrationConfiguration" {
            return Err(format!("it is a {} of {}", file.kind, file.api_version));
        }
        match file.resource_lock.as_deref() {
            None => {}
            Some("leases" | "endpoints") if version != "v1" => {}
            Some(lock) => return Err(format!("resourceLock {lock:?} is not known in {version}")),
        }
        if file.leader_name.is_empty()
            || file
                .controller_leaders
                .iter()
                .any(|one| one.name.is_empty() || one.component.is_empty())
        {
            return Err("leaderName, and name and component of each controller, are required".to_owned());
        }
        let one = |leader: Leader| (canonical(&leader.name).to_owned(), leader.component);
        Ok(Self {
            lease: file.leader_name,
            controllers: file.controller_leaders.into_iter().map(one).collect(),
        })
    }

    /// Where a controller runs, by its canonical name.
    pub fn place(&self, controller: &str) -> Under {
        match self.controllers.iter().find(|(name, _)| name == controller) {
            None => Under::Main,
            Some((_, component)) if component == COMPONENT || component == "*" => Under::Migrated,
            Some(_) => Under::Nowhere,
        }
    }
}

/// Upstream's built-in list. Differs from upstream: its names are understood, so that all three migrate.
impl Default for Migration {
    fn default() -> Self {
        let names = [
            "route-controller",
            "service-controller",
            "cloud-node-lifecycle-controller",
        ];
        Self {
            lease: LEASE.to_owned(),
            controllers: names
                .iter()
                .map(|name| (canonical(name).to_owned(), "*".to_owned()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    const HEAD: &str = "apiVersion: controllermanager.config.k8s.io/v1\nkind: LeaderMigrationConfiguration\n";

    #[test]
    fn controllers_run_where_the_configuration_says() {
        for (component, under) in [
            ("kube-controller-manager", Under::Nowhere),
            (COMPONENT, Under::Migrated),
            ("'*'", Under::Migrated),
        ] {
            let text = format!("{HEAD}leaderName: m\ncontrollerLeaders:\n- name: service\n  component: {component}\n");
            let migration = Migration::parse(&text).unwrap();
            assert_eq!(migration.place(names::SERVICE_CONTROLLER), under, "{component}");
            assert_eq!(
                migration.place(names::NODE_CONTROLLER),
                Under::Main,
                "what is not listed does not migrate"
            );
        }
    }

    #[test]
    fn the_built_in_list_means_the_controllers_it_names() {
        let migration = Migration::default();
        for name in [
            names::ROUTE_CONTROLLER,
            names::SERVICE_CONTROLLER,
            names::LIFECYCLE_CONTROLLER,
        ] {
            assert_eq!(migration.place(name), Under::Migrated, "{name}");
        }
    }

    #[test]
    fn what_is_not_a_configuration_is_refused() {
        for text in [
            String::new(),
            "apiVersion: v1\nkind: Pod\nleaderName: m\n".to_owned(),
            format!("{HEAD}leaderName: m\nunknown: 1\n"),
            format!("{HEAD}leaderName: m\nleaderName: n\n"),
            format!("{HEAD}leaderName: m\nresourceLock: endpoints\n"),
            format!("{HEAD}leaderName: ''\n"),
        ] {
            assert!(Migration::parse(&text).is_err(), "{text}");
        }
        let old = HEAD.replace("/v1\n", "/v1alpha1\n");
        assert!(Migration::parse(&format!("{old}leaderName: m\nresourceLock: endpoints\n")).is_ok());
    }
}
