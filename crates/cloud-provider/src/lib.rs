//! What a cloud must answer, the controllers that ask, and the manager that runs them.
mod cloud;
pub mod controllers;
pub mod data;
mod error;
pub mod helpers;
pub mod memory;
pub mod names;
#[cfg(test)]
mod testing;

pub use cloud::{
    Balancer, Cloud, Context, Instances, LoadBalancers, Metadata, OwnedBalancer, Routes, Sighting, Unknown,
};
pub use error::CloudError;
