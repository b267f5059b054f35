//! What a cloud must answer, the controllers that ask, and the manager that runs them: what Go's `k8s.io/cloud-provider`
//! is, and compatible with it on the outside.
//!
//! It knows no particular cloud, and opens connections to the API server only.
//!
//! ```text
//!                    ┌────────────── Manager: flags, election, secure port, shutdown ──────────────┐
//!  API server ──────►│ one watch per kind ─► stores ─► queues ─► controllers ─► observe ─► decide │──► your Cloud
//!      ▲             │                                      node · lifecycle · service · route     │
//!      └── writes ◄──┤ Fence: only while the lease is held ◄──────── act, record ◄──────┘          │
//!                    └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | start with | for |
//! |---|---|
//! | [`Cloud`], [`Instances`], [`LoadBalancers`], [`Routes`] | writing a provider; `docs/guides/write-a-cloud-provider.md` tells how |
//! | [`Manager`] | making a program of it |
//! | [`CloudError`] | saying what went wrong |
//! | [`memory::MemoryCloud`] | an example, and a cloud for tests |
//! | [`controllers`] | what is done, and when |
//! | [`announcers`] | clouds of bare metal: making an address reachable by MetalLB or kube-vip |
//! | [`rbac`], [`manifests::Deployment`] | the rights it takes, and how it is deployed |
//!
//! ```
//! use std::sync::Arc;
//! use cloud_provider::{Manager, memory::MemoryCloud};
//! let manager = Manager::new("cloud-provider-fake", "v0.1.0");
//! let manager = manager.cloud("fake", |_config| Ok(Arc::new(MemoryCloud::new("fake"))));
//! assert!(manager.is_ok());
//! ```

pub mod announcers;
mod cloud;
pub mod cluster;
pub mod config;
pub mod controllers;
pub mod data;
mod error;
pub mod fresh;
pub mod helpers;
pub mod manager;
pub mod manifests;
pub mod memory;
pub mod meter;
pub mod names;
pub mod rbac;
pub mod selector;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod upstream_cases;

pub use cloud::{
    Balancer, Cloud, Context, Instances, LoadBalancers, Metadata, OwnedBalancer, Routes, Sighting, Unknown,
};
pub use error::CloudError;
pub use manager::Manager;

/// The guide's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/write-a-cloud-provider.md")]
struct Guide;
