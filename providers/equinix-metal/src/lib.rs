//! Equinix Metal: a typed client of its API, and the cloud provider that keeps a cluster and a project in step.

mod bgp;
pub mod client;
mod cloud;
pub mod config;
pub mod control_plane;
mod instances;
pub mod load_balancers;
pub mod provider_id;
mod reservations;

pub use cloud::EquinixMetal;
pub use instances::MetalInstances;
