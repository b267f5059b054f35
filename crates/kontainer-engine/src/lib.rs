//! Rancher's cluster-driver protocol, both ends of it: what a driver needs to be a driver, and what an engine needs to run
//! one.
//!
//! A **driver** is a program that is started with a port, answers gRPC on loopback, makes and removes clusters on one cloud,
//! and keeps nothing: all it knows of a cluster travels in [`ClusterInfo`]. An **engine** (Rancher, or [`Engine`])
//! starts a fresh driver process for every operation and stores what it returns.
//!
//! ```text
//!  Engine ── spawns ──▶ driver process            Store: one record per cluster
//!    │  Client ── gRPC, loopback ──▶ server ──▶ dyn Driver ──▶ a cloud
//!    └──▶ cluster state machine ──▶ Store
//! ```
//!
//! | start with | for |
//! |---|---|
//! | [`Driver`], [`OptionTable`], [`Call`] | writing a driver |
//! | [`driver_main`], [`Server`] | serving it |
//! | [`Client`] | calling it |
//! | [`Engine`], [`FileStore`], [`Registry`] | running drivers and keeping their clusters |
//! | [`flatten()`], [`OptionKind::of`] | making options out of what a user gave |
//! | [`service_account::bootstrap`] | the token that an engine needs of a cluster |
//! | [`wire`] | the messages |
//!
//! What it is not for: talking to a cloud. Mirrors rancher/kontainer-engine, and rancher/rancher `pkg/kontainer-engine`.

mod call;
mod capability;
mod client;
mod coalesce;
mod driver;
mod engine;
mod error;
mod flatten;
mod import;
mod kube_client;
mod lifecycle;
pub mod logstream;
pub mod observe;
mod options;
mod record;
mod registry;
mod server;
pub mod service_account;
mod store;
pub mod wire;

pub use call::Call;
pub use capability::Capability;
pub use client::{Client, ClientError, CreateFailed};
pub use driver::{CreateError, Driver};
pub use engine::{DriverSource, Engine, EngineError, Force, Patience, Watch};
pub use error::DriverError;
pub use flatten::{Flattened, add_metadata, flatten, flatten_for};
pub use import::ImportDriver;
pub use kube_client::{KubeClientError, kube_client, kube_client_to};
pub use options::{
    DefaultValue, InvalidOptions, OptionKind, OptionSpec, OptionTable, Options, Phase, TableError, camel_case,
};
pub use record::{Cluster, status};
pub use registry::{DuplicateDriver, Registry};
pub use server::{Server, ServerError, driver_main, driver_main_with, program_name};
pub use store::{Claim, FileStore, PersistentStore, StoreError};
pub use wire::{
    Capabilities, ClusterInfo, DriverFlags, DriverOptions, Flag, IngressCapabilities, K8sCapabilities,
    LoadBalancerCapabilities, StringSlice,
};
