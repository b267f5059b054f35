//! The one way out to a provider's API.
//!
//! A provider's client is a [`Client`] plus typed functions. The client adds what every call needs and nobody should write
//! twice: a credential that is renewed once when refused, a deadline per attempt, repeats only where they cannot do harm,
//! `Retry-After`, a token bucket, a limit on answers, errors with a [`kit::Class`], one counter per operation, and texts
//! that never show a secret.
//!
//! It knows no provider: paths, types and the meaning of an error body stay with the provider's crate.
//!
//! ```text
//!  Call ──► token bucket ──► Authenticator ──► Transport (hyper + rustls, or any tower service)
//!   ▲                                              │
//!   └── wait: back-off, Retry-After ◄── Error ◄── status, body ──► Reply / T
//! ```
//!
//! | start with | for |
//! |---|---|
//! | [`Client::builder`] | putting a client together |
//! | [`Client::call`] | describing and sending one request |
//! | [`Error`] | what failed, its class, and whether it may have taken effect |
//! | [`Transport::from_service`] | answering from a router or a simulator, without a socket |
//! | [`Tokens`] | bearer tokens that expire |
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! use axum::{Json, Router, routing::get};
//! use cloud_http::{Client, Transport};
//!
//! let cloud = Router::new().route("/v1/zones", get(|| async { Json(["ams", "fra"]) }));
//! let client = Client::builder("https://cloud.example").transport(Transport::from_service(cloud)).build().unwrap();
//! let zones: Vec<String> = client.call("list zones", http::Method::GET, "/v1/zones").json().await.unwrap();
//! assert_eq!(zones, ["ams", "fra"]);
//! assert_eq!(client.metrics().snapshot()["list zones"].calls, 1);
//! # });
//! ```

mod auth;
mod call;
mod client;
mod error;
mod limit;
mod metrics;
mod patience;
mod redact;
mod refusal;
mod retry;
mod transport;

pub use auth::{Authenticator, StaticHeader, Token, TokenSource, Tokens};
pub use call::{Call, Reply, path};
pub use client::{Builder, Client, SetupError};
pub use error::{Error, Failure};
pub use limit::TokenBucket;
pub use metrics::{Metrics, Operation};
pub use redact::Secrets;
pub use refusal::{Refusal, Refused, by_status};
pub use retry::RetryPolicy;
pub use transport::{
    Body, BoxError, Proxy, Roots, Transport, TransportError, TransportOptions, Withheld, system_certificates,
};
