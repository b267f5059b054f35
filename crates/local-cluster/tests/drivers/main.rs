//! The drivers against tools that are played by `fakes/`, each test in a world of its own: a `PATH`, a home, a data
//! directory and an API server that nobody else sees.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests may panic and print as tests may"
)]

#[path = "../../fakes/client.rs"]
mod client;
mod colima;
mod contract;
mod crash;
mod cuts;
mod dry_run;
mod hostile;
mod k3d;
mod kind;
mod kubeconfig;
mod minikube;
mod needs;
mod overview;
mod ports;
mod process;
mod readiness;
mod supervision;
mod world;
