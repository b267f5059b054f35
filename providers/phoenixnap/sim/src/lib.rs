//! A simulated PhoenixNAP Bare Metal Cloud: its login, servers, IP blocks, tags and networks, with the states things pass
//! through, on one base address. It is written from what is known of the service's wire, shares nothing with the client
//! that talks to it, and must never be linked into a shipped controller.
//!
//! ```text
//!   requests ──► front (log, faults, /_sim) ──► api (login, scopes, strictness) ──► world ◄── clock
//!                                                                                    │
//!                  blocks: unassigned ► assigning ► assigned ► unassigning ► unassigned ► gone
//!                  servers: creating ► powered-on ◄► powered-off, rebooting, resetting, deleting, reserved
//! ```
//!
//! The world is plain data that catches up with the clock before each answer: the same seed, clock and requests give the
//! same state to the byte.
//!
//! | start with | for |
//! |---|---|
//! | [`PhoenixNapSim`] | the whole service, in process or on loopback |
//! | [`Settings`] | delays, and every oddity it can be told to have |
//! | [`CLIENT_ID`], [`CLIENT_SECRET`] | logging in |
//! | [`PhoenixNapSim::front`] | what it was asked, and making it fail |

mod api;
mod catalogue;
mod chance;
mod failure;
mod service;
mod settings;
mod sim;
mod world;

#[cfg(test)]
mod tests;

pub use settings::{Outcome, Settings, TagFilter};
pub use sim::{HOST, Kind, PhoenixNapSim, TOKEN_PATH};
pub use world::{ACCOUNT, CLIENT_ID, CLIENT_SECRET, OTHER_CLIENT_ID, OTHER_CLIENT_SECRET};
