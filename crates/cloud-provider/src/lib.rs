//! What a cloud must answer, the controllers that ask, and the manager that runs them.
mod cloud;
pub mod controllers;
pub mod data;
mod error;
pub mod helpers;
pub mod manager;
pub mod memory;
pub mod names;
pub mod rbac;
#[cfg(test)]
mod testing;

pub use cloud::{
    Balancer, Cloud, Context, Instances, LoadBalancers, Metadata, OwnedBalancer, Routes, Sighting, Unknown,
};
pub use error::CloudError;
pub use manager::Manager;
