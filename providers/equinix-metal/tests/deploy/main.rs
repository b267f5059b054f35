//! What is shipped beside the binary: manifests, chart, images, and the make targets that publish them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

#[path = "../harness/mod.rs"]
mod harness;

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../services/cluster.rs"]
mod cluster;

mod image;
mod make;
mod rights;
mod suite;
