//! Kubeconfig files: reading them, and changing entries by name.
//!
//! Everything that is not changed stays as it is, known to us or not, in a file with its comments and layout. Mirrors what
//! client-go's `tools/clientcmd` does to the file.

mod access;
mod file;
mod layout;
mod lock;
#[cfg(test)]
mod tests;

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

pub use access::{Access, AccessError};
pub use file::{FileError, default_file, edit, load};
pub use lock::LockError;

/// Why a text is not a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It is not YAML.
    #[error("not valid YAML: {0}")]
    Yaml(String),
    /// It is YAML, but a part of it is not what a kubeconfig has there.
    #[error("{0} is not what a kubeconfig has there")]
    Shape(&'static str),
}

/// How a cluster is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The URL of the API server.
    pub server: String,
    /// Base64 of the PEM of the CA; [`None`] trusts the CAs of the system.
    pub certificate_authority_data: Option<String>,
    /// Whether the server's certificate is not checked.
    pub insecure_skip_tls_verify: bool,
}

/// How a user proves who they are.
#[derive(Clone, Debug)]
pub enum User {
    /// With a bearer token.
    Token(SecretString),
    /// With a name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// With a client certificate.
    Certificate {
        /// Base64 of the PEM.
        certificate_data: String,
        /// Base64 of the PEM.
        key_data: SecretString,
    },
}

/// The lists of named entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Clusters,
    Users,
    Contexts,
}

impl List {
    const ALL: [Self; 3] = [Self::Clusters, Self::Users, Self::Contexts];

    fn key(self) -> &'static str {
        match self {
            Self::Clusters => "clusters",
            Self::Users => "users",
            Self::Contexts => "contexts",
        }
    }

    fn inner(self) -> &'static str {
        match self {
            Self::Clusters => "cluster",
            Self::Users => "user",
            Self::Contexts => "context",
        }
    }
}

/// The content of a kubeconfig. Entries whose name occurs more than once count once, the first, as for `kubectl`.
#[derive(Clone, PartialEq)]
pub struct Kubeconfig {
    root: Map<String, Value>,
}

impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubeconfig")
            .field("current_context", &self.current_context())
            .field("contexts", &self.contexts())
            .finish_non_exhaustive()
    }
}

impl Default for Kubeconfig {
    fn default() -> Self {
        let mut root = Map::new();
        root.insert("apiVersion".to_owned(), json!("v1"));
        root.insert("kind".to_owned(), json!("Config"));
        for list in List::ALL {
            root.insert(list.key().to_owned(), json!([]));
        }
        root.insert("current-context".to_owned(), json!(""));
        root.insert("preferences".to_owned(), json!({}));
        Self { root }
    }
}

impl Kubeconfig {
    /// Reads YAML or JSON. An empty text is an empty kubeconfig.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        // A snippet of the text in the error could show a token.
        let options = serde_saphyr::options! { with_snippet: false };
        let value: Value =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| ParseError::Yaml(error.to_string()))?;
        let root = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(root) => root,
            _ => return Err(ParseError::Shape("the top level")),
        };
        for list in List::ALL {
            let well_formed = match root.get(list.key()) {
                None | Some(Value::Null) => true,
                Some(Value::Array(entries)) => entries.iter().all(|entry| {
                    entry.get("name").is_some_and(Value::is_string)
                        && entry
                            .get(list.inner())
                            .is_none_or(|inner| inner.is_object() || inner.is_null())
                }),
                Some(_) => false,
            };
            if !well_formed {
                return Err(ParseError::Shape(list.key()));
            }
        }
        Ok(Self { root })
    }

    /// The content as YAML.
    pub fn to_yaml(&self) -> String {
        // Plain scalars, as kubectl writes them: long base64 stays on one line.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(&self.root, options).expect("JSON values go into YAML")
    }

    /// The context that is used when none is named.
    pub fn current_context(&self) -> Option<&str> {
        let name = self.root.get("current-context")?.as_str()?;
        (!name.is_empty()).then_some(name)
    }

    /// The names of all contexts, in the order of the file.
    pub fn contexts(&self) -> Vec<&str> {
        self.entries(List::Contexts)
            .filter_map(|entry| entry["name"].as_str())
            .collect()
    }

    /// Makes `name` the current context; [`None`] leaves none. Whether there is such a context is the caller's business.
    pub fn set_current_context(&mut self, name: Option<&str>) {
        self.root
            .insert("current-context".to_owned(), json!(name.unwrap_or_default()));
    }

    /// Adds or replaces a cluster. What others added to an existing entry (a proxy, extensions) stays.
    pub fn set_cluster(&mut self, name: &str, cluster: &Cluster) {
        let mut inner = self.inner(List::Clusters, name).cloned().unwrap_or_default();
        for key in [
            "server",
            "certificate-authority",
            "certificate-authority-data",
            "insecure-skip-tls-verify",
        ] {
            inner.shift_remove(key);
        }
        inner.insert("server".to_owned(), json!(cluster.server));
        if let Some(ca) = &cluster.certificate_authority_data {
            inner.insert("certificate-authority-data".to_owned(), json!(ca));
        }
        if cluster.insecure_skip_tls_verify {
            inner.insert("insecure-skip-tls-verify".to_owned(), json!(true));
        }
        self.put(List::Clusters, name, inner);
    }

    /// Adds or replaces a user. An existing entry is replaced whole: credentials of two kinds in one do not work.
    pub fn set_user(&mut self, name: &str, user: &User) {
        let value = match user {
            User::Token(token) => json!({ "token": token.expose_secret() }),
            User::Basic { username, password } => {
                json!({ "username": username, "password": password.expose_secret() })
            }
            User::Certificate {
                certificate_data,
                key_data,
            } => json!({
                "client-certificate-data": certificate_data,
                "client-key-data": key_data.expose_secret(),
            }),
        };
        let Value::Object(inner) = value else {
            unreachable!("written as an object above")
        };
        self.put(List::Users, name, inner);
    }

    /// Adds a context, or points an existing one to this cluster and user. What others added to it (a namespace) stays.
    pub fn set_context(&mut self, name: &str, cluster: &str, user: &str) {
        let mut inner = self.inner(List::Contexts, name).cloned().unwrap_or_default();
        inner.insert("cluster".to_owned(), json!(cluster));
        inner.insert("user".to_owned(), json!(user));
        self.put(List::Contexts, name, inner);
    }

    /// Takes over the cluster, the user and the context that `context` of another kubeconfig means, all three under
    /// `name`. Returns false, and changes nothing, when the other has no such context or it points nowhere.
    #[must_use]
    pub fn adopt(&mut self, other: &Self, context: &str, name: &str) -> bool {
        let Some(from) = other.inner(List::Contexts, context) else {
            return false;
        };
        let target = |list: List| {
            from.get(list.inner())?
                .as_str()
                .and_then(|name| other.inner(list, name))
        };
        let (Some(cluster), Some(user)) = (target(List::Clusters), target(List::Users)) else {
            return false;
        };
        self.put(List::Clusters, name, cluster.clone());
        self.put(List::Users, name, user.clone());
        let mut inner = from.clone();
        inner.insert("cluster".to_owned(), json!(name));
        inner.insert("user".to_owned(), json!(name));
        self.put(List::Contexts, name, inner);
        true
    }

    /// Removes the cluster, the user and the context of this name; if it was the current context, there is none then.
    pub fn remove(&mut self, name: &str) {
        for list in List::ALL {
            if let Some(Value::Array(entries)) = self.root.get_mut(list.key()) {
                entries.retain(|entry| entry["name"] != name);
            }
        }
        if self.current_context() == Some(name) {
            self.set_current_context(None);
        }
    }

    fn entries(&self, list: List) -> impl Iterator<Item = &Value> {
        self.root
            .get(list.key())
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    fn inner(&self, list: List, name: &str) -> Option<&Map<String, Value>> {
        self.entries(list)
            .find(|entry| entry["name"] == name)?
            .get(list.inner())?
            .as_object()
    }

    /// Replaces the first entry of this name, or appends one. Anything else that stands in the entry stays.
    fn put(&mut self, list: List, name: &str, inner: Map<String, Value>) {
        let slot = self.root.entry(list.key()).or_insert(Value::Null);
        if !slot.is_array() {
            *slot = json!([]);
        }
        let entries = slot.as_array_mut().expect("made an array above");
        match entries.iter_mut().find(|entry| entry["name"] == name) {
            Some(entry) => entry[list.inner()] = Value::Object(inner),
            None => entries.push(json!({ "name": name, list.inner(): inner })),
        }
    }
}
