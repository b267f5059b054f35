//! A cluster that is only remembered: for the tests of programs that use this library.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::config::ClusterConfig;
use crate::error::Error;
use crate::manager::Manager;
use crate::profile;
use crate::settings::{Applies, Difference};
use crate::status::{Found, State, Status};

/// The mock of one profile. Clones share one cluster.
#[derive(Clone, Debug)]
pub struct Mock {
    profile: String,
    cluster: Arc<Mutex<Cluster>>,
}

#[derive(Debug, Default)]
struct Cluster {
    config: Option<ClusterConfig>,
    running: bool,
    script: VecDeque<State>,
}

impl Mock {
    /// A mock without a cluster.
    ///
    /// # Errors
    /// [`Error::InvalidProfile`].
    pub fn new(profile: &str) -> Result<Self, Error> {
        profile::check(profile)?;
        Ok(Self {
            profile: profile.to_owned(),
            cluster: Arc::default(),
        })
    }

    /// The states that `status` tells next while the cluster runs, one a call; then it is ready.
    pub fn script(&self, states: impl IntoIterator<Item = State>) {
        self.lock().script = states.into_iter().collect();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Manager for Mock {
    fn driver(&self) -> &'static str {
        "mock"
    }

    fn context(&self) -> String {
        format!("mock-{}", self.profile)
    }

    async fn start(&self, config: &ClusterConfig) -> Result<(), Error> {
        let mut cluster = self.lock();
        match &cluster.config {
            Some(have) if cluster.running && have != config => Err(Error::ConfigMismatch(vec![Difference {
                field: "configuration".to_owned(),
                running: format!("driver {:?}", have.driver),
                requested: format!("driver {:?}", config.driver),
                applies: Applies::Restart,
            }])),
            _ => {
                cluster.config = Some(config.clone());
                cluster.running = true;
                Ok(())
            }
        }
    }

    async fn stop(&self) -> Result<(), Error> {
        self.lock().running = false;
        Ok(())
    }

    async fn destroy(&self) -> Result<(), Error> {
        *self.lock() = Cluster::default();
        Ok(())
    }

    async fn status(&self) -> Result<Status, Error> {
        let mut cluster = self.lock();
        let state = if cluster.running {
            cluster.script.pop_front().unwrap_or(State::Ready)
        } else {
            State::Stopped
        };
        Ok(Status {
            state,
            driver: "mock".to_owned(),
            kubernetes_version: if cluster.running {
                "v0.0.0-mock".to_owned()
            } else {
                String::new()
            },
            ip_address: String::new(),
            kube_context: self.context(),
            exists: cluster.config.is_some(),
            reason: String::new(),
        })
    }

    async fn exec(&self, _command: &[OsString]) -> Result<ExitStatus, Error> {
        if self.lock().running {
            Ok(ExitStatus::from_raw(0))
        } else {
            Err(Error::ClusterNotRunning(self.context()))
        }
    }

    async fn kubeconfig(&self) -> Result<String, Error> {
        if !self.lock().running {
            return Err(Error::ClusterNotRunning(self.context()));
        }
        Ok(kube_kit::kubeconfig::Kubeconfig::default().to_yaml())
    }

    async fn list(&self) -> Result<Vec<Found>, Error> {
        let cluster = self.lock();
        let found = Found {
            profile: self.profile.clone(),
            running: cluster.running,
        };
        Ok(cluster.config.iter().map(|_| found.clone()).collect())
    }
}
