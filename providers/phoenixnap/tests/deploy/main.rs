//! What is shipped beside the binary: manifest, chart, example Secret, reference.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod chart;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../cloud/harness.rs"]
mod harness;
mod manifest;
mod reference;
mod rights;

use std::path::{Path, PathBuf};

/// A file of the repository.
fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The text of a file that is shipped.
fn read(path: &str) -> String {
    std::fs::read_to_string(at("deploy/phoenixnap").join(path)).unwrap()
}

/// Holds a file of the repository against what it is made of. With `UPDATE=1` it is made anew.
fn hold(path: &str, expected: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(at(path), expected).unwrap();
    }
    let found = std::fs::read_to_string(at(path)).unwrap_or_default();
    assert_eq!(found, expected, "{path}: run the test with UPDATE=1");
}
