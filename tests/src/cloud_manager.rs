//! Whole cloud controller managers: real processes, real sockets, an API server and a simulated cloud on loopback.
//!
//! ```text
//!  Manager (a process) ──TLS──► Cluster (kube-sim in this process)
//!        └───────────HTTP─────► CloudFront (20 ms per request, counted) ──► the provider's simulated API
//! ```
//!
//! A provider joins in by describing itself as a [`Subject`]: see [`depot::subject`], which is all that the framework's
//! own example takes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod cluster;
pub mod depot;
pub mod equinix_metal;
mod figures;
mod front;
pub mod measure;
pub mod phoenixnap;
mod process;
mod subject;

pub use cluster::Cluster;
pub use figures::{Bound, Figures};
pub use front::CloudFront;
pub use process::Manager;
pub use subject::{Machine, Subject};

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Looks every few milliseconds until it sees something; `None` after `most`.
pub async fn within<T>(most: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if began.elapsed() > most {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Builds an example or binary of a crate as tests are built, and gives its path. `kind` is `example` or `bin`.
fn build(package: &str, kind: &str, name: &str) -> PathBuf {
    // Where a whole workspace is tested, everything is built already; one crate alone would be built with other features.
    if std::env::var_os("ROADSTEAD_BUILT").is_none() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", package, &format!("--{kind}"), name])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success(), "cannot build {name}");
    }
    // This program is in target/debug/deps.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    if kind == "example" {
        path.push("examples");
    }
    path.join(name)
}

/// An example of a crate, built as tests are.
pub fn example(package: &str, name: &str) -> PathBuf {
    build(package, "example", name)
}

/// A binary of a crate, built as tests are.
pub fn binary(package: &str, name: &str) -> PathBuf {
    build(package, "bin", name)
}
