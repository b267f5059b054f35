//! Equinix Metal: a typed client of its API, and the cloud provider that keeps a cluster and a project in step.

pub mod client;
mod cloud;
pub mod config;
mod instances;
pub mod provider_id;

pub use cloud::EquinixMetal;
pub use instances::MetalInstances;
