//! The Rackspace Spot API: endpoints, plain data, typed errors.
//!
//! Mirrors the published OpenAPI document: a Kubernetes API server's front (`ngpc.rxt.io/v1`) and a plain JSON service for
//! organizations and kubeconfigs (`auth.ngpc.rxt.io/v1`).

mod api;
mod errors;
mod organizations;
mod token;
mod types;

pub(crate) use api::CLOUDSPACE_LABEL;
pub use api::SpotClient;
pub use errors::{SpotError, SpotResult};
pub use organizations::Organization;
pub use token::Claims;
pub use types::{
    Autoscaling, CloudSpace, CloudSpaceSpec, CloudSpaceStatus, Effect, Meta, OnDemandNodePool, OnDemandPricing,
    OnDemandSpec, OnDemandStatus, Region, RegionSpec, Resources, ServerClass, ServerClassSpec, ServerClassStatus,
    SpotNodePool, SpotPricing, SpotSpec, SpotStatus, Taint,
};
