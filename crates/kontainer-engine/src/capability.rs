//! What a driver can do beyond creating, updating and removing clusters.

use crate::wire::Capabilities;

/// A number in the protocol's capability map. Mirrors rancher/kontainer-engine `types/capabilities.go`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// The driver answers `GetVersion`.
    GetVersion = 0,
    /// The driver answers `SetVersion`.
    SetVersion = 1,
    /// The driver answers `GetNodeCount`.
    GetClusterSize = 2,
    /// The driver answers `SetNodeCount`.
    SetClusterSize = 3,
    /// The driver saves and restores etcd.
    EtcdBackup = 4,
}

impl Capabilities {
    /// Whether the driver says it can.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.get(&(capability as i64)).copied().unwrap_or(false)
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(all: I) -> Self {
        Self {
            capabilities: all.into_iter().map(|one| (one as i64, true)).collect(),
        }
    }
}
