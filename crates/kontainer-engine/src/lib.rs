//! Rancher's cluster-driver protocol, both ends of it: what a driver needs to be a driver, and what an engine needs to run
//! one.
//!
//! A **driver** is a program that is started with a port, answers gRPC on loopback, makes and removes clusters on one cloud,
//! and keeps nothing: all it knows of a cluster travels in [`ClusterInfo`]. An **engine** (Rancher, or the one here)
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
//! | [`wire`] | the messages |
//!
//! What it is not for: talking to a cloud. Mirrors rancher/kontainer-engine, and rancher/rancher `pkg/kontainer-engine`.

mod call;
mod capability;
mod client;
mod driver;
mod error;
pub mod logstream;
mod options;
mod server;
pub mod service_account;
pub mod wire;

pub use call::Call;
pub use capability::Capability;
pub use client::{Client, ClientError, CreateFailed};
pub use driver::{CreateError, Driver};
pub use error::DriverError;
pub use options::{
    DefaultValue, InvalidOptions, OptionKind, OptionSpec, OptionTable, Options, Phase, TableError, camel_case,
};
pub use server::{Server, ServerError, driver_main, program_name};
pub use wire::{
    Capabilities, ClusterInfo, DriverFlags, DriverOptions, Flag, IngressCapabilities, K8sCapabilities,
    LoadBalancerCapabilities, StringSlice,
};
