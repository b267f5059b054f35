//! The driver against a simulated Rackspace Spot, in one process and on a paused clock. Each module is one theme; what they
//! run are plain async functions, so that `secrets` can run them all again and search everything they leave behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]

#[macro_use]
mod harness;

mod create;
mod invalid;
mod smoke;
mod update;
