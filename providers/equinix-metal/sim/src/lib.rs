//! A simulated Equinix Metal: devices that are provisioned over time, Elastic IPs, BGP, and load balancers with their own
//! API and tokens. It is written from what is known of the service's wire, shares nothing with the client that talks to it,
//! and must never be linked into a shipped controller. The service itself ended in mid-2026, so this is what there is.
//!
//! ```text
//!   requests ──► front (log, faults, /_sim) ──► api ──► world
//!                                                       │ ▲
//!                                     settings, seed ───┘ └─── clock
//! ```
//!
//! The world is plain data that catches up with the clock before each answer: nothing in it depends on when tasks run, and
//! the same seed, clock and requests give the same state to the byte.
//!
//! | start with | for |
//! |---|---|
//! | [`MetalSim`] | the whole service, in process or on loopback |
//! | [`Settings`] | delays, quirks, and every oddity it can be told to have |
//! | [`API_KEY`], [`PROJECT_ID`] | being let in |
//! | [`MetalSim::front`] | what it was asked, and making it fail |

mod api;
mod control;
mod failure;
mod oddity;
mod seed;
mod service;
mod settings;
mod sim;
mod world;

#[cfg(test)]
mod tests;

pub use oddity::{Oddity, OddityKind};
pub use seed::{API_KEY, OTHER_API_KEY, OTHER_PROJECT_ID, PROJECT_ID, READ_ONLY_KEY};
pub use settings::{Foreign, Gone, RateLimit, Settings};
pub use sim::{API_HOST, IAM_HOST, LB_HOST, MetalSim};
