//! Everything that is stored, out of a server and into another one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::KubeSim;
use crate::kinds::crd;
use crate::meta;
use crate::store::Contents;

/// All objects as they are stored, and the revision they are at. As JSON it can be kept in a file.
///
/// ```
/// use kube_sim::KubeSim;
/// use serde_json::json;
/// let one = KubeSim::builder().build();
/// one.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}})).unwrap();
/// let other = KubeSim::builder().build();
/// other.restore(one.snapshot());
/// assert_eq!(other.get("configmaps", Some("default"), "kept"), one.get("configmaps", Some("default"), "kept"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot(Contents);

impl KubeSim {
    /// Everything that is stored now, secrets included.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.0.state().store.contents())
    }

    /// Replaces everything that is stored. Watches end, and what was before the snapshot is too old for new ones, as after a
    /// restart of a real server that lost its history. Revisions only ever grow.
    pub fn restore(&self, snapshot: Snapshot) {
        let write = self.0.write("kube-sim");
        let mut state = self.0.state();
        state.store.replace(snapshot.0);
        // What the definitions among them define is served from now on.
        let definitions: Vec<Value> = state
            .store
            .list(crd::STORAGE, "")
            .into_iter()
            .map(|(_, object)| Value::clone(&object))
            .collect();
        for definition in definitions {
            state.establish(meta::name(&definition), &write);
        }
    }
}
