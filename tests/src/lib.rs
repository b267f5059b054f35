//! Tests that need more than one crate: whole binaries against simulators, and the rules of the house.
//!
//! The tests are under `tests/` and `benches/`; here is what several of them share.

pub mod cloud_manager;
