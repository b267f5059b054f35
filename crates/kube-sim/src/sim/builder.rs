//! How a server is described.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit::Clock;

use super::{Inner, KubeSim};
use crate::authn::User;
use crate::bootstrap;
use crate::certs::Authority;
use crate::controllers::Controllers;
use crate::faults::FaultState;
use crate::ops::State;
use crate::resource::Registry;
use crate::store::Store;
use crate::tokens::{Signer, StaticToken, StaticTokens};

/// Why a server could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No certificate authority.
    #[error("cannot make the certificate authority")]
    Authority(#[source] rcgen::Error),
}

/// A description of a server. Everything has a default.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    clock: Clock,
    version: String,
    seed: u64,
    controllers: Controllers,
    token_delay: Option<Duration>,
    hosts: Vec<String>,
    history: usize,
    grace: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            version: "v1.36.2".to_owned(),
            seed: 0,
            controllers: Controllers::all(),
            token_delay: Some(Duration::ZERO),
            hosts: Vec::new(),
            history: 10_000,
            grace: Duration::from_secs(40),
        }
    }
}

impl Builder {
    /// The clock for all timestamps and timers; the wall clock unless given.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The `gitVersion` of `/version`; `v1.36.2` unless given.
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Where uids, generated names and tokens come from: the same seed gives the same ones.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The controllers that run when the server is asked to run them; all unless given.
    pub fn controllers(mut self, controllers: Controllers) -> Self {
        self.controllers = controllers;
        self
    }

    /// How long after its creation a service-account-token Secret is filled; at once unless given.
    pub fn token_delay(mut self, delay: Duration) -> Self {
        self.token_delay = Some(delay);
        self
    }

    /// Service-account-token Secrets stay empty for ever.
    pub fn tokens_never(mut self) -> Self {
        self.token_delay = None;
        self
    }

    /// One more host name or address that the serving certificate is valid for, besides 127.0.0.1, ::1 and localhost.
    pub fn host(mut self, host: &str) -> Self {
        self.hosts.push(host.to_owned());
        self
    }

    /// How many events of each resource can be watched back; 10 000 unless given, never fewer than 100.
    pub fn history(mut self, events: usize) -> Self {
        self.history = events;
        self
    }

    /// How long a node may be silent before the node lifecycle controller calls it unknown; 40 s unless given.
    pub fn node_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Makes the server.
    ///
    /// # Panics
    /// When the system has no randomness to make keys from; [`Builder::try_build`] says so instead.
    pub fn build(self) -> KubeSim {
        self.try_build().expect("a system with randomness can make keys")
    }

    /// Makes the server.
    pub fn try_build(self) -> Result<KubeSim, BuildError> {
        cloud_sim::evidence::listen();
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let admin_token = format!("admin-{:016x}{:016x}", rng.u64(..), rng.u64(..));
        let mut hosts: Vec<String> = ["127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default.svc"]
            .map(str::to_owned)
            .into();
        hosts.extend(self.hosts);
        let admin = StaticToken {
            user: User::new("kubernetes-admin", &["system:masters"]),
            expires: None,
        };
        let inner = Inner {
            state: Mutex::new(State {
                store: Store::new(self.history),
                registry: Registry::builtin(),
                rng,
            }),
            faults: Mutex::new(FaultState::default()),
            tokens: Mutex::new(StaticTokens::from([(admin_token.clone(), admin)])),
            clock: self.clock,
            version: Mutex::new(self.version),
            authority: Authority::new().map_err(BuildError::Authority)?,
            signer: Signer::new(),
            admin_token,
            hosts,
            controllers: self.controllers,
            token_delay: self.token_delay,
            grace: self.grace,
        };
        for object in bootstrap::objects() {
            inner
                .create(object, "kube-apiserver")
                .expect("what a fresh cluster holds is valid");
        }
        Ok(KubeSim(Arc::new(inner)))
    }
}
