//! The drivers against tools that are played by `fakes/`, each test in a world of its own: a `PATH`, a home, a data
//! directory and an API server that nobody else sees.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod colima;
mod contract;
mod crash;
mod k3d;
mod kind;
mod kubeconfig;
mod minikube;
mod overview;
mod process;
mod readiness;
mod world;
