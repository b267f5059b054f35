//! What client-go has and the `kube` crate lacks.
//!
//! | start with | for |
//! |---|---|
//! | [`kubeconfig::edit`] | changing a kubeconfig file without getting in the way of `kubectl` or losing what others wrote |
//! | [`kubeconfig::Kubeconfig::access`] | how the current context reaches its cluster |
//!
//! | [`LeaseConfig`], [`Elector`], [`Fence`] | one leader at a time, and no write without the lease |
//! | [`WorkQueue`] | keys that fail come again, later each time |
//! | [`Broadcaster`], [`Recorder`] | events as `kubectl describe` shows them |
//! | [`Store`], [`Watch`] | objects cut down to what is read, kept current by one watch per kind |
//! | [`metrics::Registry`] | metrics under the names of the Go programs |
//! | [`client::ClientConfig`] | a client configured in client-go's order |
//!
//! ```text
//! API server ──Watch──► Store ──changes──► WorkQueue ──► your controller ──► Fence ──► API server
//!                                                              └──► Recorder ──► Broadcaster ──┘
//! ```

pub mod client;
mod events;
mod fence;
pub mod kubeconfig;
mod lease;
pub mod metrics;
mod queue;
pub mod retry;
mod store;
#[cfg(test)]
mod testing;
mod watch;

pub use events::{Broadcaster, EventLog, EventType, LoggedEvent, ObjectRef, Recorder};
pub use fence::{Fence, FenceLayer, FenceService, Fenced};
pub use lease::{Elector, Ended, LeaseConfig, LeaseConfigError, LeaseStatus};
pub use queue::{Key, Limiter, QueueMetrics, Work, WorkQueue};
pub use store::{Change, Store};
pub use watch::{Watch, WatchHealth};
