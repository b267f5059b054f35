//! Services and the control plane: whole managers against a simulated project and API server, on a paused clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this is test code, which clippy sees only in test functions; figures are printed"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod cluster;
mod control_plane;
mod crash;
mod doubt;
mod eip;
mod emlb;
mod faults;
mod fence;
mod follow;
mod hand_over;
mod ipv6;
mod metallb;
mod random;
mod secrets;
mod switch;
