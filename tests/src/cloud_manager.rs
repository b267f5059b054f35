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
mod figures;
mod front;
pub mod measure;
mod process;
mod subject;

pub use cluster::Cluster;
pub use figures::{Bound, Figures};
pub use front::CloudFront;
pub use process::Manager;
pub use subject::{Machine, Subject};

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
