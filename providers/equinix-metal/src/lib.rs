//! Equinix Metal: a typed client of its API, and the cloud provider that keeps a cluster and a project in step.

pub mod client;
pub mod config;
