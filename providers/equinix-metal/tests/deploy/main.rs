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

mod chart;
mod image;
mod make;
mod manifest;
mod rights;

use std::path::{Path, PathBuf};

/// The folder with everything that is shipped.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/equinix-metal")
}

/// Holds a file against what it is made of. With `UPDATE=1` it is made anew.
fn hold(path: &str, expected: &str) {
    let path = folder().join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{}: run the test with UPDATE=1", path.display());
}
