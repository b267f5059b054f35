//! What every cloud controller manager must pass, and the world that its tests run in.
//!
//! For authors of providers. It is a dependency of tests only: it links the simulators, and no shipped program may. It
//! knows no particular cloud.
//!
//! # Pass this suite
//!
//! 1. Make a simulated cloud with `cloud-sim`, a crate of its own beside the provider: written from the API's documentation,
//!    never from the provider's code, so that one catches the other.
//! 2. In the tests, implement [`Provider`] on a type without fields. It says how to make the simulated cloud and the
//!    provider, how to add a machine and take one away, and what a list and a refusal look like on the wire.
//! 3. Call the three macros, each in a module of its own:
//!
//! ```ignore
//! // tests/cloud/suite.rs
//! provider_suite::nodes!(crate::harness::Depot);
//! // tests/deploy/suite.rs
//! provider_suite::shipped!(crate::harness::Depot);
//! // tests/binary.rs
//! provider_suite::program!(harness::Depot, env!("CARGO_BIN_EXE_cloud-provider-depot"));
//! ```
//!
//! | macro | what is demanded |
//! |---|---|
//! | [`nodes!`] | initialisation, addresses before the untaint, shutdown, deletion, nodes of others, bounds of requests, an hour of every outage, three of ten requests failing, a crash at every request, hand-over, no secret anywhere |
//! | [`shipped!`] | manifest and chart say the same, start as they are, and work with exactly the rights in them |
//! | [`program!`] | the binary as a process: help, a bad configuration, a node over real sockets, SIGTERM |
//!
//! What only this provider has is tested beside that, in the same [`World`]:
//!
//! ```text
//!  Ran ── a manager: end() it, kill() it
//!   │ kube client, provider's transport            nothing passes once it is dead
//!   ▼
//!  Network ── cut before or after any request ──┬─► KubeSim              world.kube
//!                                               └─► faults ─► your Sim   world.fault(…), world.sim
//! ```
//!
//! `tests/shed` of this crate is a whole example: a provider and its simulated cloud, which pass, and what happens to
//! providers that are not careful.
//!
//! # When a scenario fails
//!
//! | it says | look at |
//! |---|---|
//! | a node is missed after an outage | whether `Gone` is answered on anything but a denial of that very machine |
//! | an alarm is not told | whether a failure that concerns all nodes is an error of the whole look-up |
//! | too many requests | whether all nodes are answered from one list, and controllers that ask together share it |
//! | a crash point | the request it names: what was done there must be found again, by name or mark |
//! | a secret | the place it names: use `secrecy`, and clip what the cloud says through `cloud-http` |
//! | a right is refused, or not needed | the rules in [`Shipped::own`](shipped::Shipped::own) |
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this is test code in a crate of its own: it fails by panicking, and prints figures"
)]

pub mod crash;
pub mod hand_over;
mod macros;
mod manager;
pub mod nodes;
pub mod outage;
pub mod program;
mod provider;
pub mod requests;
pub mod secrets;
pub mod shipped;
mod world;

pub use manager::{KUBERNETES, Ran, client};
pub use provider::{Bound, Provider};
pub use shipped::{chart, manifest, rights};
pub use world::{World, merge, minutes, seconds, until};
