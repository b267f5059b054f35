//! The cloud provider against a simulated PhoenixNAP and an API server, in one process, on a paused clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod balancers;
mod credentials;
mod harness;
mod life;
mod odd;
mod outage;
mod suite;
mod upstream;
