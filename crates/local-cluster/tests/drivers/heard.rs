//! What a program that uses a manager gets to see, kept as evidence (see `cloud_sim::evidence`).

use std::ffi::OsString;
use std::fmt::Debug;
use std::process::ExitStatus;
use std::sync::Arc;

use async_trait::async_trait;
use cloud_sim::evidence;
use local_cluster::{ClusterConfig, Error, Found, Manager, Status};

/// A manager all of whose answers are kept, but for kubeconfigs: those are made of credentials.
pub struct Heard(pub Arc<dyn Manager>);

impl Heard {
    fn keep<T: Debug>(&self, what: &str, answer: Result<T, Error>) -> Result<T, Error> {
        let of = self.0.context();
        match &answer {
            Ok(answer) => evidence::leave("output", &format!("{of} {what}: {answer:?}")),
            Err(error) => evidence::leave(
                "output",
                &format!(
                    "{of} {what}: {error} {error:?} {:?} {}",
                    error.advice(),
                    kit::chain(error)
                ),
            ),
        }
        answer
    }
}

#[async_trait]
impl Manager for Heard {
    fn driver(&self) -> &str {
        self.0.driver()
    }
    fn context(&self) -> String {
        self.0.context()
    }
    fn limits(&self) -> Option<&'static str> {
        self.0.limits()
    }
    async fn start(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.keep("start", self.0.start(config).await)
    }
    async fn stop(&self) -> Result<(), Error> {
        self.keep("stop", self.0.stop().await)
    }
    async fn destroy(&self) -> Result<(), Error> {
        self.keep("destroy", self.0.destroy().await)
    }
    async fn status(&self) -> Result<Status, Error> {
        self.keep("status", self.0.status().await)
    }
    async fn restart(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.keep("restart", self.0.restart(config).await)
    }
    async fn recreate(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.keep("recreate", self.0.recreate(config).await)
    }
    async fn exec(&self, command: &[OsString]) -> Result<ExitStatus, Error> {
        self.keep("exec", self.0.exec(command).await)
    }
    async fn kubeconfig(&self) -> Result<String, Error> {
        let answer = self.0.kubeconfig().await;
        if answer.is_err() {
            return self.keep("kubeconfig", answer);
        }
        answer
    }
    async fn list(&self) -> Result<Vec<Found>, Error> {
        self.keep("list", self.0.list().await)
    }
}
