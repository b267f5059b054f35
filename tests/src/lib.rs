//! Tests that need more than one crate: whole binaries against simulators, and the rules of the house.
//!
//! Everything is under `tests/`; this library is empty on purpose.
