//! Nodes and devices: what the cluster is told about the project, whatever the API says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this is test code, which clippy sees only in test functions; figures are printed"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod life;
mod lookup;
mod odd;
mod requests;
mod suite;
mod upstream;
