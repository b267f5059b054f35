//! Kubernetes clusters on a laptop: one contract, whatever tool runs them. Start, stop, destroy and look at a cluster
//! through colima, k3d, kind, minikube, plain processes or a simulated API, and get the same behaviour from all: changes
//! are idempotent, what a tool reports is checked by looking, and absent, stopped and unknown are never confused.
//!
//! It is the counterpart of the `cluster` package of GitLab Caproni. It is not a client of Kubernetes: it asks an API server
//! for readiness and version, and no more.
//!
//! ```text
//! Registry ── driver name ──▶ Manager   what can be done to a cluster (the contract)
//!                                │
//!                            Lifecycle  look, decide, act, look again, remember (the same for all)
//!                                │
//!                             Driver    what one tool must answer (k3d, colima, kind, minikube, process, sim)
//! ```
//!
//! | start with | for |
//! |---|---|
//! | [`drivers::standard`] | the registry with all drivers |
//! | [`Manager`] | what can be done |
//! | [`ClusterConfig`] | what kind of cluster |
//! | [`Host`] | the machine: environment, directories, limits, where progress goes |
//! | [`Driver`] and [`Lifecycle`] | writing a driver |
//! | [`preflight()`] and [`list()`] | what is wrong with the machine, and which clusters are on it |
//!
//! ```
//! # use local_cluster::{drivers, Error, Kind};
//! let registry = drivers::standard()?;
//! assert_eq!(registry.names().join(" "), "auto colima k3d kind minikube mock process sim");
//! # Ok::<(), Error>(())
//! ```

mod choice;
pub mod config;
mod driver;
pub mod drivers;
mod error;
mod event;
mod host;
mod identity;
mod kubeconfig;
mod lifecycle;
mod listing;
mod lock;
mod manager;
mod needs;
mod ports;
mod preflight;
mod probe;
mod profile;
mod record;
mod registry;
mod settings;
mod size;
mod status;
mod system;
mod tool;

pub use choice::{Choice, choose};
pub use config::ClusterConfig;
pub use driver::{Deadlines, Driver, EntryNames, Phase, Sight};
pub use error::{Error, Fault, Kind, texts};
pub use event::{Event, Events};
pub use host::{Host, Limits, Merge, Os};
pub use kubeconfig::has_context;
pub use lifecycle::Lifecycle;
pub use listing::{Listed, Listing, list};
pub use manager::Manager;
pub use needs::{Needs, Program};
pub use preflight::preflight;
pub use record::{Record, Step};
pub use registry::{Factory, Registry};
pub use settings::{Applies, Difference, Setting, Settings};
pub use size::Size;
pub use status::{Found, State, Status};
