//! A simulated Rackspace Spot: its login, its API with admission rules and auctions, its price data, and a Kubernetes API
//! server for every cloudspace. It is written from what is known of the service's wire, shares nothing with the client
//! that talks to it, and must never be linked into a shipped driver.
//!
//! ```text
//!   requests ──► front (log, faults, /_sim) ──► api ──► world ──► clusters   a Kubernetes API server per cloudspace
//!                                                       │ ▲       webhooks   notices of preemption
//!                                     settings, seed ───┘ └─── clock
//! ```
//!
//! The world is plain data that catches up with the clock before each answer: nothing in it depends on when tasks run, and
//! the same seed, clock and requests give the same state to the byte.
//!
//! | start with | for |
//! |---|---|
//! | [`SpotSim`] | the whole service, in process or on loopback |
//! | [`Settings`] | delays, prices, and every oddity it can be told to have |
//! | [`ACME_TOKEN`] | logging in |
//! | [`SpotSim::front`] | what it was asked, and making it fail |

mod admission;
mod api;
mod chance;
mod clusters;
mod failure;
mod kubeconfig;
mod market;
mod resource;
mod seed;
mod service;
mod settings;
mod sim;
mod token;
mod webhook;
mod world;

#[cfg(test)]
mod tests;

pub use seed::{ACME_COLLEAGUE_TOKEN, ACME_NAMESPACE, ACME_TOKEN, FREDERICK_TOKEN, PENNILESS_TOKEN, REVOKED_TOKEN};
pub use settings::{
    DeleteAnswer, ErrorPhase, KubeconfigShape, Ladder, Market, OrgNext, PricePoint, RevokedAnswer, Settings,
    VersionForm,
};
pub use sim::{API_HOST, LOGIN_HOST, PRICES_HOST, SpotSim};
