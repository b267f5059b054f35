//! What a context says about reaching its cluster.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{Kubeconfig, List};

/// Why a context does not say how to reach a cluster.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No context was named and there is no current one.
    #[error("the kubeconfig has no current context")]
    NoCurrentContext,
    /// An entry is missing.
    #[error("the kubeconfig has no {kind} {name:?}")]
    Missing {
        /// `context`, `cluster` or `user`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The cluster has no URL.
    #[error("cluster {0:?} of the kubeconfig has no server")]
    NoServer(String),
    /// A `-data` field is not base64.
    #[error("{field} of the kubeconfig is not base64")]
    NotBase64 {
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        source: base64::DecodeError,
    },
    /// A file that the kubeconfig names can not be read.
    #[error("reading {} for {field} of the kubeconfig failed", path.display())]
    ReadFile {
        /// The field.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// How to reach a cluster and as whom. Certificates and keys are PEM.
#[derive(Clone, Default)]
pub struct Access {
    /// The name of the cluster's entry.
    pub cluster: String,
    /// The URL of the API server.
    pub server: String,
    /// The CA; [`None`] trusts the CAs of the system.
    pub ca: Option<Vec<u8>>,
    /// Whether the server's certificate is not checked.
    pub insecure: bool,
    /// The name to expect in the server's certificate, if not the URL's.
    pub tls_server_name: Option<String>,
    /// A bearer token.
    pub token: Option<SecretString>,
    /// A client certificate.
    pub client_certificate: Option<Vec<u8>>,
    /// Its key.
    pub client_key: Option<SecretString>,
    /// For basic authentication.
    pub username: Option<String>,
    /// For basic authentication.
    pub password: Option<SecretString>,
    /// The namespace to use when none is named.
    pub namespace: Option<String>,
    /// Whether the user gets credentials from a program or a provider, which is not part of this.
    pub external: bool,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("cluster", &self.cluster)
            .field("server", &self.server)
            .field("insecure", &self.insecure)
            .field("token", &self.token.is_some())
            .field("client_certificate", &self.client_certificate.is_some())
            .field("username", &self.username)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Kubeconfig {
    /// What `context`, or the current one, says. Files that entries name are read; relative paths count from `dir`, the
    /// directory of the kubeconfig. Data in the kubeconfig itself wins over files, as in client-go.
    pub fn access(&self, context: Option<&str>, dir: &Path) -> Result<Access, AccessError> {
        let name = context
            .or_else(|| self.current_context())
            .ok_or(AccessError::NoCurrentContext)?;
        let context = self.need(List::Contexts, name)?;
        let cluster = text(context, "cluster").unwrap_or_default();
        let user = text(context, "user").unwrap_or_default();
        let mut access = self.access_of(&cluster, &user, dir)?;
        access.namespace = text(context, "namespace");
        Ok(access)
    }

    /// What the first cluster and the first user say, whatever the contexts are: the rule of Rancher's import driver.
    /// Names of what is missing are empty.
    pub fn first_access(&self, dir: &Path) -> Result<Access, AccessError> {
        let first = |list| self.entries(list).next().and_then(|entry| entry["name"].as_str());
        let missing = |kind| AccessError::Missing {
            kind,
            name: String::new(),
        };
        let cluster = first(List::Clusters).ok_or_else(|| missing("cluster"))?;
        let user = first(List::Users).ok_or_else(|| missing("user"))?;
        self.access_of(cluster, user, dir)
    }

    fn access_of(&self, cluster_name: &str, user_name: &str, dir: &Path) -> Result<Access, AccessError> {
        let cluster = self.need(List::Clusters, cluster_name)?;
        // A context without a user is an anonymous one.
        let nobody = Map::new();
        let user = if user_name.is_empty() {
            &nobody
        } else {
            self.need(List::Users, user_name)?
        };
        let key = data(user, "client-key-data", "client-key", dir)?;
        let token_file = || {
            text(user, "tokenFile")
                .map(|path| read("tokenFile", &path, dir))
                .transpose()
        };
        let token = match text(user, "token") {
            Some(token) => Some(token),
            None => token_file()?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()),
        };
        Ok(Access {
            cluster: cluster_name.to_owned(),
            server: text(cluster, "server").ok_or_else(|| AccessError::NoServer(cluster_name.to_owned()))?,
            ca: data(cluster, "certificate-authority-data", "certificate-authority", dir)?,
            insecure: cluster
                .get("insecure-skip-tls-verify")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            tls_server_name: text(cluster, "tls-server-name"),
            token: token.map(SecretString::from),
            client_certificate: data(user, "client-certificate-data", "client-certificate", dir)?,
            client_key: key.map(|pem| SecretString::from(String::from_utf8_lossy(&pem).into_owned())),
            username: text(user, "username"),
            password: text(user, "password").map(SecretString::from),
            namespace: None,
            external: user.contains_key("exec") || user.contains_key("auth-provider"),
        })
    }

    fn need(&self, list: List, name: &str) -> Result<&Map<String, Value>, AccessError> {
        self.inner(list, name).ok_or_else(|| AccessError::Missing {
            kind: list.inner(),
            name: name.to_owned(),
        })
    }
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    let text = map.get(key)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn data(
    map: &Map<String, Value>,
    data_field: &'static str,
    file_field: &'static str,
    dir: &Path,
) -> Result<Option<Vec<u8>>, AccessError> {
    if let Some(encoded) = text(map, data_field) {
        // Writers differ in whether they break long lines.
        let packed: String = encoded.split_ascii_whitespace().collect();
        let decoded = STANDARD.decode(packed).map_err(|source| AccessError::NotBase64 {
            field: data_field,
            source,
        })?;
        return Ok(Some(decoded));
    }
    text(map, file_field)
        .map(|path| read(file_field, &path, dir))
        .transpose()
}

fn read(field: &'static str, path: &str, dir: &Path) -> Result<Vec<u8>, AccessError> {
    let path = dir.join(path);
    std::fs::read(&path).map_err(|source| AccessError::ReadFile { field, path, source })
}
