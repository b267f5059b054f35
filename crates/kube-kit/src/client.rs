//! Clients configured in client-go's order: flags, kubeconfig, in-cluster service account.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::fence::Fence;

mod layers;
mod rotate;

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
    /// The pod this process runs in, when neither flag is given; found in the environment when nothing is said.
    pub pod: Option<Pod>,
}

/// What a pod knows of its cluster.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Where kubelet keeps `token`, `ca.crt` and `namespace` of the service account.
    pub dir: PathBuf,
    /// The API server's host.
    pub host: String,
    /// The API server's port.
    pub port: String,
}

impl Pod {
    /// The pod this process runs in: `KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT`.
    pub fn from_env() -> Result<Self, std::env::VarError> {
        Ok(Self {
            dir: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
            host: std::env::var("KUBERNETES_SERVICE_HOST")?,
            port: std::env::var("KUBERNETES_SERVICE_PORT")?,
        })
    }

    fn config(&self) -> Result<Config, ClientError> {
        let read = |name: &str| {
            let path = self.dir.join(name);
            std::fs::read(&path).map_err(|source| ClientError::ServiceAccount { path, source })
        };
        // An IPv6 address stands in brackets.
        let host = if self.host.contains(':') && !self.host.starts_with('[') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let mut config = Config::new(url(&format!("https://{host}:{}", self.port))?);
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read("ca.crt")?).collect();
        let path = self.dir.join("ca.crt");
        let roots = roots.map_err(|source| ClientError::Authority { path, source })?;
        config.root_cert = Some(roots.into_iter().map(|root| root.to_vec()).collect());
        String::from_utf8_lossy(&read("namespace")?)
            .trim()
            .clone_into(&mut config.default_namespace);
        let token = String::from_utf8_lossy(&read("token")?).trim().to_owned();
        config.auth_info = AuthInfo {
            token: Some(token.into()),
            ..AuthInfo::default()
        };
        Ok(config)
    }

    fn files(&self) -> Vec<PathBuf> {
        ["token", "ca.crt"].iter().map(|name| self.dir.join(name)).collect()
    }
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
    InCluster(#[source] std::env::VarError),
    /// The service account's files cannot be read.
    #[error("cannot read {} of the pod's service account", path.display())]
    ServiceAccount {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The token's file cannot be read.
    #[error("cannot read the token in {}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The authority makes no sense.
    #[error("cannot use the certificates in {}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
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
                let mut kubeconfig = Kubeconfig::read_from(path).map_err(broken)?;
                inline_tokens(&mut kubeconfig)?;
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                    .await
                    .map_err(broken)?
            }
            (None, Some(master)) => Config::new(url(master)?),
            (None, None) => self.pod()?.config()?,
        };
        if let Some(master) = &self.master {
            config.cluster_url = url(master)?;
        }
        config.default_retry = false;
        config.disable_compression = true;
        Ok(config)
    }

    fn pod(&self) -> Result<Pod, ClientError> {
        match &self.pod {
            Some(pod) => Ok(pod.clone()),
            None => Pod::from_env().map_err(ClientError::InCluster),
        }
    }

    /// The files that a change of which changes the configuration.
    fn files(&self) -> Vec<PathBuf> {
        match (&self.kubeconfig, &self.master) {
            (Some(path), _) => files_of(path),
            (None, Some(_)) => Vec::new(),
            (None, None) => self.pod().map(|pod| pod.files()).unwrap_or_default(),
        }
    }

    async fn plain(&self, user_agent: &str, timeout: Option<Duration>) -> Result<Client, ClientError> {
        let mut config = self.load().await?;
        if let Ok(value) = http::HeaderValue::from_str(user_agent) {
            config.headers.push((http::header::USER_AGENT, value));
        }
        config.read_timeout = timeout;
        // So that the time a connection lay idle does not count.
        config.reset_reader_on_write = true;
        let builder = kube::client::ClientBuilder::try_from(config).map_err(ClientError::Client)?;
        Ok(builder.build())
    }

    /// A client that calls itself `user_agent` and gives up on a request after `timeout`, if one is given. Give none to
    /// a client that watches.
    ///
    /// It goes on when the token, the authority or the certificate in the files it was made from are replaced.
    pub async fn client(
        &self,
        user_agent: &str,
        timeout: Option<Duration>,
        fence: &Fence,
    ) -> Result<Client, ClientError> {
        let (this, agent) = (self.clone(), user_agent.to_owned());
        let make = move || -> futures::future::BoxFuture<'static, _> {
            let (this, agent) = (this.clone(), agent.clone());
            Box::pin(async move { this.plain(&agent, timeout).await })
        };
        let files = self.clone();
        let rotating = rotate::Rotating::new(Box::new(move || files.files()), Box::new(make), fence.clone()).await?;
        let namespace = self.load().await?.default_namespace;
        let builder = kube::client::ClientBuilder::new(rotating, namespace);
        let limit = self.rate.clone().unwrap_or_else(RateLimit::none);
        let requests = self.requests.clone().unwrap_or_default();
        Ok(builder.with_layer(&requests).with_layer(&limit).build())
    }
}

/// The tokens in files, put where the token goes: their files are watched here.
fn inline_tokens(kubeconfig: &mut Kubeconfig) -> Result<(), ClientError> {
    for user in kubeconfig
        .auth_infos
        .iter_mut()
        .filter_map(|user| user.auth_info.as_mut())
    {
        if let (None, Some(file)) = (&user.token, user.token_file.take()) {
            let path = PathBuf::from(file);
            let token = std::fs::read_to_string(&path).map_err(|source| ClientError::Token { path, source })?;
            user.token = Some(token.trim().to_owned().into());
        }
    }
    Ok(())
}

/// A kubeconfig and the files that it names.
fn files_of(path: &Path) -> Vec<PathBuf> {
    let mut files = vec![path.to_owned()];
    let Ok(kubeconfig) = Kubeconfig::read_from(path) else {
        return files;
    };
    let clusters = kubeconfig.clusters.into_iter().filter_map(|cluster| cluster.cluster);
    files.extend(
        clusters
            .filter_map(|cluster| cluster.certificate_authority)
            .map(PathBuf::from),
    );
    for user in kubeconfig.auth_infos.into_iter().filter_map(|user| user.auth_info) {
        let named = [user.token_file, user.client_certificate, user.client_key];
        files.extend(named.into_iter().flatten().map(PathBuf::from));
    }
    files
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
