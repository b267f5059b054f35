//! The four controllers. Each observes, decides in pure functions, acts, and says what it did.
//!
//! ```text
//! API server ─► one watch per kind ─► stores ─► each controller's own queue ─► look at the cloud ─► decide ─► write
//! ```

use std::sync::Arc;

use kit::Clock;
use kube_kit::metrics::Registry;
use kube_kit::{Fence, Recorder, Store};

use crate::cloud::Cloud;
use crate::data::{Node, Service};

pub mod alarm;
pub mod lifecycle;
pub mod node;
pub mod observe;
pub mod patch;
pub mod route;
pub mod service;
mod silence;

pub use alarm::Alarms;
pub use silence::SharedSilence;

/// What all controllers share.
#[derive(Clone)]
pub struct Shared {
    /// The cloud.
    pub cloud: Arc<dyn Cloud>,
    /// Writes only while the lease is held.
    pub client: kube::Client,
    /// The cluster's nodes.
    pub nodes: Store<Node>,
    /// The cluster's Services.
    pub services: Store<Service>,
    /// Tells people about objects.
    pub recorder: Recorder,
    /// What is wrong with the cluster or the cloud as a whole.
    pub alarms: Alarms,
    /// What the cloud does not tell.
    pub silence: SharedSilence,
    /// The process's metrics.
    pub metrics: Registry,
    /// The time.
    pub clock: Clock,
    /// Closed once the lease is lost.
    pub fence: Fence,
    /// `--cluster-name`.
    pub cluster: String,
}
