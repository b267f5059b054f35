//! Clients configured in client-go's order: flags, kubeconfig, in-cluster service account.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::fence::Fence;

mod layers;

pub use layers::{RateLimit, Requests};

/// Where the API server is and how to talk to it.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--master`: overrides the kubeconfig's server.
    pub master: Option<String>,
    /// Requests a second and at once, shared by all clients made from one configuration; no limit when the first is not
    /// positive.
    pub rate: Option<RateLimit>,
    /// Where requests are counted.
    pub requests: Option<Requests>,
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig cannot be read or says nothing usable.
    #[error("cannot use the kubeconfig {path}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// There is neither a flag nor a service account.
    #[error("neither --kubeconfig nor --master is given and this is not a pod with a service account")]
    InCluster(#[source] kube::config::InClusterError),
    /// `--master` is no URL.
    #[error("--master {master:?} is not a URL")]
    Master {
        /// What was given.
        master: String,
        /// Why.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// The connection cannot be set up, because of a certificate for instance.
    #[error("cannot set up the client")]
    Client(#[source] kube::Error),
}

impl ClientConfig {
    /// The configuration as `kube` understands it, without repeats: repeating is for who knows whether it is safe, and
    /// how long it may take.
    pub async fn load(&self) -> Result<Config, ClientError> {
        let mut config = match (&self.kubeconfig, &self.master) {
            (Some(path), _) => {
                let broken = |source| ClientError::Kubeconfig {
                    path: path.clone(),
                    source,
                };
                let kubeconfig = Kubeconfig::read_from(path).map_err(broken)?;
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                    .await
                    .map_err(broken)?
            }
            (None, Some(master)) => Config::new(url(master)?),
            // Reads token and CA from files that the kubelet renews, and reads them again as they change.
            (None, None) => Config::incluster().map_err(ClientError::InCluster)?,
        };
        if let Some(master) = &self.master {
            config.cluster_url = url(master)?;
        }
        config.default_retry = false;
        config.disable_compression = true;
        Ok(config)
    }

    /// A client that calls itself `user_agent` and gives up on a request after `timeout`, if one is given. Give none to
    /// a client that watches.
    pub async fn client(
        &self,
        user_agent: &str,
        timeout: Option<Duration>,
        fence: &Fence,
    ) -> Result<Client, ClientError> {
        let mut config = self.load().await?;
        if let Ok(value) = http::HeaderValue::from_str(user_agent) {
            config.headers.push((http::header::USER_AGENT, value));
        }
        config.read_timeout = timeout;
        let builder = kube::client::ClientBuilder::try_from(config).map_err(ClientError::Client)?;
        let limit = self.rate.clone().unwrap_or_else(RateLimit::none);
        let requests = self.requests.clone().unwrap_or_default();
        Ok(builder
            .with_layer(&fence.layer())
            .with_layer(&requests)
            .with_layer(&limit)
            .build())
    }
}

fn url(master: &str) -> Result<http::Uri, ClientError> {
    let full = if master.contains("://") {
        master.to_owned()
    } else {
        format!("http://{master}")
    };
    full.parse().map_err(|source| ClientError::Master {
        master: master.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
