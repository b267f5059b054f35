//! PhoenixNAP Bare Metal Cloud: a typed client of its APIs, and the cloud provider that keeps a cluster and an account in
//! step.
//!
//! ```text
//!  --cloud-config, PNAP_… ─► Config ─► PhoenixNap ─┬─► PnapInstances       servers as nodes
//!                                                  ├─► PnapLoadBalancers   addresses for Services
//!                                                  └─► PnapClient ─► one token, four APIs
//! ```
//!
//! It is not for creating servers: they join the cluster by other means, and are recognised by their names.
//!
//! | start with | for |
//! |---|---|
//! | [`PhoenixNap`] | the cloud, for a [`cloud_provider::Manager`] |
//! | [`Config`] | what it is told |
//! | [`client::PnapClient`] | the APIs |
//! | [`ProviderId`] | which server a node is |

pub mod client;
mod cloud;
mod config;
mod instances;
mod load_balancers;
mod provider_id;

pub use cloud::PhoenixNap;
pub use config::{
    ANNOTATION_IP_LOCATION, Announcer, BlockSize, BlockSizeError, Config, LoadBalancer, LoadBalancerError, SETTINGS,
    Setting, Upstream,
};
pub use instances::PnapInstances;
pub use load_balancers::{ANNOTATION_ASSIGNED, PnapLoadBalancers};
pub use provider_id::{PROVIDER_NAME, ProviderId, ProviderIdError};

/// The version that `make` builds, else the crate's.
pub const VERSION: &str = match option_env!("BUILD_VERSION") {
    Some(version) if !version.is_empty() => version,
    _ => env!("CARGO_PKG_VERSION"),
};
