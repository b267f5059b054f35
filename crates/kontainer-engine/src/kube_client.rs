//! Clients of the clusters that drivers make.

use std::time::Duration;

use kit::Class;
use kube::config::{KubeConfigOptions, Kubeconfig as KubeKubeconfig};
use kube::{Client, Config};
use kube_kit::kubeconfig::{Cluster, Kubeconfig, User};

use crate::error::DriverError;

/// How long connecting may take, and how long an answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum KubeClientError {
    /// The access data do not fit together.
    #[error("the access data of the cluster can not be used")]
    Config(#[source] Box<kube::config::KubeconfigError>),
    /// They do, but no client can be made of them: usually a certificate or key is damaged.
    #[error("making a client of the cluster failed")]
    Client(#[source] Box<kube::Error>),
}

impl From<KubeClientError> for DriverError {
    fn from(error: KubeClientError) -> Self {
        Self::new(Class::Permanent, "the cluster can not be reached").caused_by(error)
    }
}

/// A client for the current context of a kubeconfig. It does not repeat requests: whoever waits for a cluster decides
/// how often.
pub async fn kube_client(config: &Kubeconfig) -> Result<Client, KubeClientError> {
    let broken = |source| KubeClientError::Config(Box::new(source));
    let kubeconfig = KubeKubeconfig::from_yaml(&config.to_yaml()).map_err(broken)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(broken)?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(ANSWER);
    config.default_retry = false;
    Client::try_from(config).map_err(|source| KubeClientError::Client(Box::new(source)))
}

/// A client for one cluster and one user.
pub async fn kube_client_to(cluster: &Cluster, user: &User) -> Result<Client, KubeClientError> {
    let mut config = Kubeconfig::default();
    config.set_cluster("cluster", cluster);
    config.set_user("user", user);
    config.set_context("context", "cluster", "user");
    config.set_current_context(Some("context"));
    kube_client(&config).await
}
