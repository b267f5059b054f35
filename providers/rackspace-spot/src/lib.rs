//! Rackspace Spot: a typed client of its API, and the cluster driver that Rancher runs.
//!
//! A *cloudspace* is a managed control plane; *pools* of machines, bid for at auction (spot) or bought at a fixed price (on
//! demand), give it nodes. The driver turns the options of a cluster into one cloudspace and its pools, and keeps them so.
//!
//! ```text
//!  options ─► Desired ─┐
//!                      ├─► plan (pure) ─► steps ─► client ─► Spot API
//!  Spot API ─► Observed┘                              │
//!                                 state in ClusterInfo ◄┘
//! ```
//!
//! | start with | for |
//! |---|---|
//! | [`SpotDriver`], [`Settings`] | the driver |
//! | [`client::SpotClient`] | the API |
//! | [`offers`] | what can be had, where, and at which price |
//! | [`driver::plan`] | what the driver decides, without any network |
//!
//! It is not for reading prices: the driver buys nothing on the word of the public price feed.

pub mod client;
pub mod driver;
mod settings;

pub use driver::{Offer, SpotDriver, offers};
pub use settings::{ClusterTransport, Limits, PublicRoots, Settings, SettingsError};
