//! The driver against a simulated Rackspace Spot, in one process and on a paused clock. Each module is one theme; what they
//! run are plain async functions, so that `secrets` can run them all again and search everything they leave behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]
#![allow(clippy::print_stdout, reason = "counts that people like to see")]
#![allow(clippy::large_futures, reason = "one test at a time")]

#[macro_use]
mod harness;

mod binary;
mod crash;
mod create;
mod credentials;
mod faults;
mod import;
mod invalid;
mod offers;
mod reference;
mod remove;
mod scale;
mod secrets;
mod smoke;
mod trust;
mod update;
mod wait;
