//! Equinix Metal: a typed client of its API, and the cloud provider that keeps a cluster and a project in step.
//!
//! Drop-in for the Go program `cloud-provider-equinix-metal`: same settings, annotations, tags and provider IDs. It is also
//! what other bare-metal providers are written from. It knows nothing of controllers, leases and flags: those are
//! `cloud-provider`'s.
//!
//! ```text
//!                 ┌─ instances ───────── devices ──────────────┐
//!  Manager ─► cloud ─ load_balancers ── reservations, bgp, EMLB ─► client ─► Metal API, EMLB API
//!      config ────┘─ control_plane ──── reservations ──────────┘
//!                         └─► announcers (cloud-provider) ─► MetalLB, kube-vip
//! ```
//!
//! | start with | for |
//! |---|---|
//! | [`EquinixMetal`] | the provider |
//! | [`config::Config`], [`config::table`] | what can be set |
//! | [`client::MetalClient`], [`client::EmlbClient`] | the APIs |
//! | [`MetalInstances`], [`provider_id`] | which device a node is |
//! | [`load_balancers`], [`control_plane`] | addresses for Services and for the API server |

mod bgp;
pub mod client;
mod cloud;
pub mod config;
pub mod control_plane;
mod instances;
pub mod load_balancers;
pub mod provider_id;
mod reservations;
#[cfg(test)]
mod testing;

pub use cloud::EquinixMetal;
pub use instances::MetalInstances;

/// The version that `make` builds, else the crate's.
pub const VERSION: &str = match option_env!("BUILD_VERSION") {
    Some(version) if !version.is_empty() => version,
    _ => env!("CARGO_PKG_VERSION"),
};
