//! What the driver knows of a cluster between two calls.
//!
//! Kept as JSON in `ClusterInfo.metadata["state"]`, with the keys of the Go driver (`driver/config.go`), so that clusters
//! can go from one to the other; what the Go driver does not know stands in an array below one key of its own, where no
//! engine looks for options. The refresh token is never in it: it travels in `ClusterInfo.password`.

mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kontainer_engine::{ClusterInfo, DriverError};
use secrecy::{ExposeSecret as _, SecretString};

use super::observe::{Observed, total};
use super::plan::Kind;
use crate::client::{Autoscaling, Taint};

/// A cluster as the driver wants it.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Logs in. Never serialised.
    pub refresh_token: Option<SecretString>,
    /// As the user wrote it.
    pub organization: String,
    /// The cloudspace; derived from the cluster's name once, then kept.
    pub cloudspace: String,
    /// The engine's name of the cluster.
    pub cluster_id: String,
    /// Whether the cloudspace was there before: then it is never deleted.
    pub imported: bool,
    /// Where it is.
    pub region: String,
    /// The version wanted.
    pub version: String,
    /// The network plugin.
    pub cni: String,
    /// Whether GPU support was asked for.
    pub gpu: bool,
    /// Told of preemptions; `None` leaves what is there.
    pub webhook: Option<String>,
    /// Only `gen2` is made.
    pub deployment_type: String,
    /// The pools: primary spot pool first, then further ones, then on-demand pools.
    pub pools: Vec<Pool>,
    /// What the Go driver does not know.
    pub extra: Extra,
}

/// One pool as the driver wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Bid for, or bought.
    pub kind: Kind,
    /// A lower-case UUID; empty until one is chosen.
    pub name: String,
    /// Kind of machine.
    pub class: String,
    /// How many.
    pub count: i64,
    /// Per hour; empty for on-demand pools.
    pub bid: String,
    /// Whether the number follows the load, and within which limits.
    pub autoscaling: Autoscaling,
    /// Labels of its nodes; `None` leaves what is there.
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations of its nodes; `None` leaves what is there.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Taints of its nodes; `None` leaves what is there.
    pub taints: Option<Vec<Taint>>,
}

/// What the Go driver does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// Whether this driver has made the cloudspace or has seen its own mark on it. `None` in the state of the Go driver.
    pub owned: Option<bool>,
    /// Whether the control plane is highly available; `None` leaves what is there.
    pub ha: Option<bool>,
    /// Whether the first on-demand pool is the one of `on-demand-enabled`, and not a further one.
    pub first_on_demand: bool,
    /// What the options said at the last call, by their names. Only of an imported cloudspace; `None` where it was not kept.
    pub said: Option<BTreeMap<String, String>>,
    /// When the cluster counts as ready.
    pub nodes_ready: NodesReady,
    /// As a Go duration; empty for the default.
    pub nodes_timeout: String,
    /// As a Go duration; empty for the default.
    pub control_plane_timeout: String,
}

/// When a cluster counts as ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodesReady {
    /// One node is enough, where any is wanted at all.
    #[default]
    Any,
    /// Every node that is wanted.
    All,
    /// Nodes do not matter.
    None,
}

impl NodesReady {
    /// The option's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::None => "none",
        }
    }

    /// Reads the option's text; anything else is the default, the option table has refused it.
    pub fn parse(text: &str) -> Self {
        match text {
            "all" => Self::All,
            "none" => Self::None,
            _ => Self::Any,
        }
    }
}

impl State {
    /// Reads the state of a cluster. `None` when the cluster has none.
    pub fn of(info: &ClusterInfo) -> Result<Option<Self>, DriverError> {
        let Some(text) = info
            .metadata
            .get(kontainer_engine::wire::STATE_KEY)
            .filter(|text| !text.is_empty())
        else {
            return Ok(None);
        };
        let stored: stored::Stored = serde_json::from_str(text).map_err(|error| {
            // The text may hold a token: name the place, not the content.
            DriverError::permanent(format!(
                "failed to deserialize cluster state: {:?} error at line {} column {}",
                error.classify(),
                error.line(),
                error.column()
            ))
        })?;
        let mut state = stored.into_state();
        if state.refresh_token.is_none() {
            state.refresh_token = password(info);
        }
        Ok(Some(state))
    }

    /// Writes the state into a cluster's record. A token that is not known leaves the one that is there.
    pub fn save(&self, info: &mut ClusterInfo) -> Result<(), DriverError> {
        info.set_state(&stored::Stored::of(self))?;
        if let Some(token) = &self.refresh_token {
            token.expose_secret().clone_into(&mut info.password);
        }
        info.node_count = self.node_count();
        Ok(())
    }

    /// The state of a cluster of which nothing was begun: it has no cloudspace, and there is nothing to remove.
    pub fn nothing_begun() -> Self {
        Self {
            extra: Extra {
                owned: Some(false),
                ..Extra::default()
            },
            ..Self::default()
        }
    }

    /// Whether nothing was begun. A state without a cloudspace that does not say so was lost.
    pub fn is_nothing_begun(&self) -> bool {
        self.cloudspace.is_empty() && self.extra.owned == Some(false)
    }

    /// Takes over what is there, so that what an update does not name stays as it is.
    pub fn absorb(&mut self, observed: &Observed) {
        if let Some(cloudspace) = &observed.cloudspace {
            let spec = &cloudspace.spec;
            self.version.clone_from(&spec.kubernetes_version);
            self.webhook = self.webhook.is_some().then(|| spec.webhook.clone());
            self.extra.ha = self.extra.ha.is_some().then_some(spec.ha_control_plane);
        }
        for pool in &mut self.pools {
            let live = observed.pool(&pool.name).filter(|live| !live.deleting);
            let Some(live) = live.filter(|live| live.kind == pool.kind && live.class == pool.class) else {
                continue;
            };
            pool.count = live.count;
            pool.bid.clone_from(&live.bid);
            pool.autoscaling = if live.autoscales() {
                live.autoscaling
            } else {
                Autoscaling::default()
            };
            pool.labels = pool.labels.take().map(|_| live.labels.clone());
            pool.annotations = pool.annotations.take().map(|_| live.annotations.clone());
            pool.taints = pool.taints.take().map(|_| live.taints.clone());
        }
    }

    /// Nodes wanted in all.
    pub fn node_count(&self) -> i64 {
        total(self.pools.iter().map(|pool| pool.count))
    }

    /// The names of all pools that have one.
    pub fn pool_names(&self) -> impl Iterator<Item = &str> {
        self.pools
            .iter()
            .map(|pool| pool.name.as_str())
            .filter(|name| !name.is_empty())
    }

    /// The pools of one kind, in order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(move |pool| pool.kind == kind)
    }
}

/// The token in a cluster's record.
pub(crate) fn password(info: &ClusterInfo) -> Option<SecretString> {
    (!info.password.is_empty()).then(|| SecretString::from(info.password.clone()))
}
