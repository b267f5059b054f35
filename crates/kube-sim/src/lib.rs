//! An in-memory Kubernetes API server that answers like the real one: for tests, in-process and on a paused clock, and for demos,
//! over HTTP or HTTPS.
#![allow(dead_code, reason = "milestone")]

mod authn;
mod authz;
mod body;
mod bootstrap;
mod certs;
mod controllers;
mod custom;
mod discovery;
mod faults;
mod field;
mod handlers;
mod health;
mod json;
mod kinds;
mod managed;
mod meta;
mod names;
mod ops;
mod patch;
mod request;
mod resource;
mod respond;
mod schema;
mod selector;
pub mod serve;
mod server;
mod sim;
mod status;
mod store;
mod table;
mod tokens;

pub use controllers::{Controllers, UnknownController};
pub use faults::{LoggedRequest, Matcher};
pub use sim::{BuildError, Builder, Faults, KubeSim};
pub use status::Status;
