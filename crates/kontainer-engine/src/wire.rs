//! The messages of the protocol, compiled from `proto/drivers.proto`, and the small helpers that every driver needs.
//!
//! Mirrors rancher/kontainer-engine `types/drivers.proto`: package `types`, service `types.Driver`, plaintext HTTP/2 on
//! loopback. Messages that can carry secrets do not show them in `Debug`.

mod redact;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated code")]
mod generated {
    tonic::include_proto!("types");
}

pub use generated::{
    Capabilities, ClusterInfo, CreateRequest, Default, DriverFlags, DriverOptions, Empty, Flag, IngressCapabilities,
    K8sCapabilities, KubernetesVersion, LoadBalancerCapabilities, NodeCount, RemoveEtcdSnapshotRequest,
    RestoreEtcdSnapshotRequest, SaveEtcdSnapshotRequest, SetNodeCountRequest, SetVersionRequest, StringSlice,
    UpdateRequest, driver_client, driver_server,
};

/// The encoded file descriptor set of `drivers.proto`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/drivers.bin"));

/// The largest message either side accepts: grpc-go's default.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// The key of [`ClusterInfo::metadata`] below which drivers keep their state as JSON.
pub const STATE_KEY: &str = "state";

/// Why the state of a driver could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is not the JSON that the driver writes.
    #[error("the cluster's stored driver state is not readable")]
    Read(#[source] serde_json::Error),
    /// It does not go into JSON.
    #[error("the driver's state can not be stored")]
    Write(#[source] serde_json::Error),
}

impl ClusterInfo {
    /// The driver's state, [`None`] when there is none yet.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, StateError> {
        match self.metadata.get(STATE_KEY).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => serde_json::from_str(text).map(Some).map_err(StateError::Read),
        }
    }

    /// Keeps the driver's state.
    ///
    /// Engines flatten this JSON into the options of later calls, and fill with it every option that the user left out.
    /// So none of its keys, on any level, may be a spelling of an option: see
    /// [`OptionTable::shadowed_by`](crate::OptionTable::shadowed_by), for the driver's tests.
    pub fn set_state<T: Serialize>(&mut self, state: &T) -> Result<(), StateError> {
        let text = serde_json::to_string(state).map_err(StateError::Write)?;
        self.metadata.insert(STATE_KEY.to_owned(), text);
        Ok(())
    }
}
