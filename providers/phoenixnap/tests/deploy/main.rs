//! What is shipped beside the binary: manifest, chart, example Secret, reference.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
#[path = "../cloud/harness.rs"]
mod harness;
mod reference;
mod rights;
mod suite;
