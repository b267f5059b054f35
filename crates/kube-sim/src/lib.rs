//! An in-memory Kubernetes API server that answers like the real one: for tests, in-process and on a paused clock, and for demos,
//! over HTTP or HTTPS.
//!
//! It keeps objects of the kinds that cloud controllers, cluster drivers and their users touch, and everything around them that
//! such programs rely on: validation and defaults with the server's own words, optimistic concurrency, all four patch types
//! with field ownership, watches without gaps, bookmarks, paging, expired versions, finalizers, RBAC, service-account tokens,
//! custom resources, tables and discovery. 44 recorded conversations with a real v1.36 server are replayed in its tests; each
//! must come out the same.
//!
//! It is **not** a cluster: nothing is scheduled, no container runs, and no kubelet answers `logs` or `exec`. There are no
//! admission webhooks, quotas, or priorities of requests; rules in CEL are not evaluated; etcd is a map. Tokens are signed with a
//! key that everyone knows.
//!
//! ```text
//!  request ──▶ server ──▶ authn ──▶ authz ──▶ handlers ──▶ ops ──▶ store ──▶ watchers (one queue each)
//!              parse      who       may        decode      admit   one revision for all kinds:
//!              faults                          patch       validate   collection ─▶ (namespace, name) ─▶ object
//!              log                             encode      own              └─▶ log of events: rev, before, after
//!                                                │           │
//!                      resource ── names, verbs, traits, rules (kinds/*)
//!                            └──── shape (schema/types.txt, or the schema of a CustomResourceDefinition):
//!                                  types · zero values · defaults · merge keys · list types
//! ```
//!
//! A kind is a row in `kinds/table.rs`, a block in `schema/types.txt`, its field numbers in `protobuf/messages.txt`, and a module
//! with its rules where it has some.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use kube_sim::{Controllers, KubeSim};
//! use serde_json::json;
//!
//! let sim = KubeSim::builder().controllers(Controllers::none()).build();
//! sim.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}})).unwrap();
//!
//! // `sim.router()` is a tower service: hand it to `kube::Client::new`, or to `kube_sim::serve`.
//! use tower::ServiceExt;
//! let request = http::Request::get("/api/v1/nodes/a")
//!     .header("Authorization", format!("Bearer {}", sim.admin_token()))
//!     .body(axum::body::Body::empty())
//!     .unwrap();
//! assert_eq!(sim.router().oneshot(request).await.unwrap().status(), 200);
//! assert_eq!(sim.requests()[0].path, "/api/v1/nodes/a");
//! # });
//! ```
//!
//! | start with | for |
//! |---|---|
//! | [`KubeSim`] | the server as a value: seeding, looking, the router, the kubeconfig |
//! | [`Builder`] | clock, version, seed, controllers, token delay |
//! | [`Faults`], [`Matcher`] | errors, delays, cut watches, stale reads, thrown-away history |
//! | [`LoggedRequest`] | what was asked, for assertions |
//! | [`Controllers`] | which controllers run |
//! | [`serve`] | HTTP and HTTPS on a socket |

mod authn;
mod authz;
mod body;
mod bootstrap;
pub mod build;
mod certs;
mod controllers;
mod custom;
mod discovery;
mod faults;
mod field;
mod handlers;
mod health;
mod impersonate;
mod json;
mod kinds;
mod managed;
mod meta;
mod names;
mod openapi;
mod ops;
mod patch;
mod protobuf;
#[cfg(test)]
mod readme;
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
pub use faults::{Cut, LoggedRequest, Matcher};
pub use sim::{BuildError, Builder, Faults, KubeSim, Snapshot};
pub use status::Status;

/// The code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
