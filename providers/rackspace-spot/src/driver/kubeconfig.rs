//! What a kubeconfig says about reaching a cluster. Mirrors `driver/util.go` of the Go driver; file names are ignored.

mod yaml;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;

/// Why a kubeconfig is of no use. Nothing of its content is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// It is no YAML, or not of the right shape.
    #[error("failed to parse kubeconfig")]
    Parse,
    /// It says not which context counts.
    #[error("kubeconfig has no current-context")]
    NoCurrentContext,
    /// The context that counts is not in it.
    #[error("context {0:?} not found in kubeconfig")]
    NoContext(String),
    /// The context's cluster is not in it.
    #[error("cluster {0:?} not found in kubeconfig")]
    NoCluster(String),
    /// A certificate is not base64.
    #[error("{0} in kubeconfig is not base64")]
    Base64(&'static str),
}

/// How to reach a cluster.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// URL of the API server, without a slash at its end.
    pub server: String,
    /// The CA, as PEM.
    pub ca: Option<Vec<u8>>,
    /// Whether the server may be anybody.
    pub insecure: bool,
    /// The user's token.
    pub token: Option<SecretString>,
    /// Base64 of the PEM, as it stood there.
    pub client_certificate: Option<String>,
    /// Base64 of the PEM, as it stood there.
    pub client_key: Option<SecretString>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    current_context: Option<String>,
    #[serde(default = "Vec::new")]
    contexts: Vec<Named<ContextEntry>>,
    #[serde(default = "Vec::new")]
    clusters: Vec<Named<ClusterEntry>>,
    #[serde(default = "Vec::new")]
    users: Vec<Named<UserEntry>>,
}

#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(flatten)]
    entry: T,
}

#[derive(Deserialize)]
struct ContextEntry {
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct ClusterEntry {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    #[serde(default)]
    server: String,
    #[serde(default)]
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: Option<bool>,
}

#[derive(Deserialize)]
struct UserEntry {
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    #[serde(default, deserialize_with = "kit::lenient::secret")]
    token: Option<SecretString>,
    #[serde(default)]
    client_certificate_data: Option<String>,
    #[serde(default, deserialize_with = "kit::lenient::secret")]
    client_key_data: Option<SecretString>,
}

fn find<T>(list: Vec<Named<T>>, name: &str) -> Option<T> {
    list.into_iter().find(|item| item.name == name).map(|item| item.entry)
}

/// Reads the current context.
pub fn parse(yaml: &str) -> Result<Access, KubeconfigError> {
    let value = yaml::read(yaml).ok_or(KubeconfigError::Parse)?;
    let file: File = serde_json::from_value(value).map_err(|_| KubeconfigError::Parse)?;
    let current = file.current_context.filter(|name| !name.is_empty());
    let current = current.ok_or(KubeconfigError::NoCurrentContext)?;
    let context = find(file.contexts, &current)
        .ok_or(KubeconfigError::NoContext(current))?
        .context;
    let cluster = find(file.clusters, &context.cluster);
    let cluster = cluster
        .ok_or_else(|| KubeconfigError::NoCluster(context.cluster.clone()))?
        .cluster;
    // A user that is missing is borne: the token may come from elsewhere.
    let user = find(file.users, &context.user)
        .map(|entry| entry.user)
        .unwrap_or_default();
    let ca = match cluster.certificate_authority_data.filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let compact: String = text.split_whitespace().collect();
            Some(
                STANDARD
                    .decode(compact)
                    .map_err(|_| KubeconfigError::Base64("certificate-authority-data"))?,
            )
        }
    };
    Ok(Access {
        server: cluster.server.trim_end_matches('/').to_owned(),
        ca,
        insecure: cluster.insecure_skip_tls_verify.unwrap_or_default(),
        token: user.token,
        client_certificate: user.client_certificate_data,
        client_key: user.client_key_data,
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const GOOD: &str = "
apiVersion: v1
kind: Config
current-context: acme-c-1
clusters:
- name: acme-c-1
  cluster: {server: 'https://host.example/', insecure-skip-tls-verify: true}
contexts:
- {name: acme-c-1, context: {cluster: acme-c-1, user: ngpc-user}}
- {name: acme-c-1-oidc, context: {cluster: acme-c-1, user: oidc}}
users:
- {name: ngpc-user, user: {token: t0ken}}
- name: oidc
  user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubectl}}
";

    #[test]
    fn the_current_context_is_read() {
        let access = parse(GOOD).unwrap();
        assert_eq!(access.server, "https://host.example");
        assert!(access.insecure && access.ca.is_none());
        assert_eq!(access.token.unwrap().expose_secret(), "t0ken");
        let other = parse(&GOOD.replace("current-context: acme-c-1", "current-context: acme-c-1-oidc")).unwrap();
        assert!(other.token.is_none());
    }

    #[test]
    fn what_is_missing_is_named() {
        use KubeconfigError as E;
        for (text, error) in [
            (GOOD.replace("current-context: acme-c-1\n", ""), E::NoCurrentContext),
            (
                GOOD.replace("current-context: acme-c-1", "current-context: other"),
                E::NoContext("other".to_owned()),
            ),
            (
                GOOD.replace(
                    "{cluster: acme-c-1, user: ngpc-user}",
                    "{cluster: gone, user: ngpc-user}",
                ),
                E::NoCluster("gone".to_owned()),
            ),
            ("t0ken: [".to_owned(), E::Parse),
            ("just text".to_owned(), E::Parse),
            (
                GOOD.replace("insecure-skip-tls-verify: true", "certificate-authority-data: '*'"),
                E::Base64("certificate-authority-data"),
            ),
        ] {
            assert_eq!(parse(&text).unwrap_err(), error);
        }
    }

    #[test]
    fn a_user_that_is_missing_is_borne() {
        assert!(
            parse(&GOOD.replace("user: ngpc-user", "user: nobody"))
                .unwrap()
                .token
                .is_none()
        );
    }
}
