//! What is known of a cluster.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The states of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Not running; [`Status::exists`] tells whether there is one.
    Stopped,
    /// On its way up.
    Starting,
    /// Running, but does not take work; [`Status::reason`] says why.
    NotReady,
    /// Running, and takes work.
    Ready,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::NotReady => "not-ready",
            Self::Ready => "ready",
        })
    }
}

/// What is known of a cluster. Its JSON form is stable: these seven keys, all always there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether it runs and takes work.
    pub state: State,
    /// The driver that answers for it; for `auto`, the one it chose.
    pub driver: String,
    /// The version of the API server (`v1.35.5+k3s1`); empty when it is not known.
    pub kubernetes_version: String,
    /// The cluster's address; empty when there is none to tell.
    pub ip_address: String,
    /// The name of its kubeconfig context, whether it runs or not.
    pub kube_context: String,
    /// Whether there is such a cluster at all.
    pub exists: bool,
    /// Why it is not ready; empty when there is nothing to say.
    pub reason: String,
}

/// A cluster that a driver's tool knows, whoever made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The profile it would be addressed by.
    pub profile: String,
    /// Whether it runs, as far as one look at the tool's listing tells.
    pub running: bool,
}
