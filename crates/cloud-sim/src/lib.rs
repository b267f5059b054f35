//! What all simulated clouds share, and the in-process internet that tests put them on.
//!
//! A simulated cloud brings its own API as an axum router and implements [`Cloud`]; [`Front`] puts the request log, the
//! faults and the control API below `/_sim` in front of it. [`serve`] hosts the result on a socket, [`Network`] hosts it
//! without one. It knows nothing of any particular cloud and must never be linked into a shipped driver or controller.
//!
//! ```text
//!  code under test ──► Network ── by host ──┐
//!  curl, a driver  ──► serve (TCP, TLS) ────┤
//!                                           ▼
//!                     Front: /_sim/…  control API
//!                            all else  log ─► faults ─► the cloud's own router
//! ```
//!
//! | start with | for |
//! |---|---|
//! | [`Cloud`], [`Front`] | making a simulated cloud |
//! | [`Fault`] | making it misbehave |
//! | [`Network`], [`Cut`] | testing a client without sockets, and cutting it off |
//! | [`crash::every_cut`] | proving that an operation survives being killed at any request |
//! | [`secrets`], [`evidence`] | proving that nothing leaks a credential |
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use axum::{Router, body::Body, routing::get};
//! let network = cloud_sim::Network::new();
//! network.host("cloud.sim", Router::new().route("/hello", get(|| async { "hi" })));
//! let request = http::Request::get("https://cloud.sim/hello").body(Body::empty()).unwrap();
//! assert_eq!(network.send(request).await.unwrap().status(), 200);
//! assert_eq!(network.requests()[0].path, "/hello");
//! # });
//! ```

mod control;
pub mod crash;
pub mod evidence;
mod fault;
mod front;
mod log;
mod network;
pub mod seconds;
pub mod secrets;
mod serve;
pub mod state;

pub use fault::{Action, BadFault, Fault, Match};
pub use front::{BadState, Cloud, ConnectionCut, Front};
pub use log::LoggedRequest;
pub use network::{Cut, ForHost, Network, NetworkError, Outgoing};
pub use serve::{serve, serve_tls};
