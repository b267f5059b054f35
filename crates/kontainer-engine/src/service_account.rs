//! Gives an engine a long-lived token of a cluster administrator.
//!
//! Makes sure of a namespace, a service account, a cluster role that may do everything, the binding between them, and a
//! Secret of type `kubernetes.io/service-account-token`, which Kubernetes fills with a token that does not expire.
//! Everything is looked at first, put right where it is wrong, and may be run again at any time, also by two at once.
//!
//! Mirrors rancher/rancher `pkg/kontainer-engine/drivers/util/utils.go` and `pkg/serviceaccounttoken/secret.go`. Differs
//! from upstream: the Secret has a derived name, so that two runs make one; secrets of others are left alone; Kubernetes
//! gets longer than 100 ms to fill it in.

mod objects;
mod secret;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kit::{Backoff, Class, Clock};
use kube::Client;
use kube::api::{Api, DeleteParams};
use secrecy::SecretString;

use crate::error::DriverError;

/// How long Kubernetes gets to put a token into the Secret.
const TOKEN_PATIENCE: Duration = Duration::from_mins(1);
/// How long a server that has just come up gets to answer properly.
const SERVER_PATIENCE: Duration = Duration::from_mins(5);

/// What the objects are called. The defaults are Rancher's, so that it and older engines find the same objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The namespace of the account and its Secret.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The Secret with the token.
    pub secret: String,
    /// The cluster role. It is made when it is missing; one that Kubernetes itself maintains is not changed.
    pub cluster_role: String,
    /// The binding.
    pub cluster_role_binding: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            namespace: "cattle-system".to_owned(),
            service_account: "kontainer-engine".to_owned(),
            secret: "kontainer-engine-token".to_owned(),
            cluster_role: "cluster-admin".to_owned(),
            cluster_role_binding: "system-netes-default-clusterRoleBinding".to_owned(),
        }
    }
}

/// What the account is known by.
#[derive(Clone)]
pub struct Credentials {
    /// The token.
    pub token: SecretString,
    /// The PEM of the cluster's CA, if Kubernetes put it into the Secret.
    pub ca_certificate: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// An object can not be read.
    #[error("reading {what} failed")]
    Read {
        /// Kind and name.
        what: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// An object can not be made or put right.
    #[error("writing {what} failed")]
    Write {
        /// Kind and name.
        what: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// An object can not be deleted.
    #[error("deleting {what} failed")]
    Delete {
        /// Kind and name.
        what: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// Kubernetes did not fill in the Secret.
    #[error(
        "no token appeared in secret {secret} within {}; is the token controller of the cluster running?",
        kit::go_duration::format(TOKEN_PATIENCE)
    )]
    NoToken {
        /// The Secret, with its namespace.
        secret: String,
    },
}

impl BootstrapError {
    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } | Self::Delete { source, .. } => class_of(source),
            Self::NoToken { .. } => Class::Transient,
        }
    }
}

impl From<BootstrapError> for DriverError {
    fn from(error: BootstrapError) -> Self {
        Self::new(error.class(), "making a service account for the engine failed").caused_by(error)
    }
}

fn class_of(error: &kube::Error) -> Class {
    match error {
        kube::Error::Api(status) => match status.code {
            404 => Class::NotFound,
            409 => Class::Conflict,
            401 | 403 => Class::Unauthorized,
            429 => Class::Throttled { after: None },
            code if code >= 500 => Class::Transient,
            _ => Class::Invalid,
        },
        kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Class::Permanent,
        // What is left is the way to the server.
        _ => Class::Transient,
    }
}

/// Makes sure that the account exists and returns its credentials.
///
/// A server that does not answer properly is asked again for five minutes: clusters are often handed over before their
/// API server is steady. Refusals (not allowed, invalid) end it at once.
pub async fn bootstrap(client: &Client, names: &Names, clock: &Clock) -> Result<Credentials, BootstrapError> {
    let begun = clock.now();
    let mut waits = Backoff::new(Duration::from_millis(500), Duration::from_secs(10)).jitter(0.1);
    loop {
        let error = match attempt(client, names, clock).await {
            Ok(credentials) => return Ok(credentials),
            Err(error) => error,
        };
        // A conflict or something that vanished means that somebody else is at work: look again.
        let passing = error.class().is_temporary() || matches!(error.class(), Class::Conflict | Class::NotFound);
        let given_up = matches!(error, BootstrapError::NoToken { .. }) || clock.since(begun) >= SERVER_PATIENCE;
        if !passing || given_up {
            return Err(error);
        }
        tracing::debug!("making the service account again: {}", kit::chain(&error));
        clock.sleep(waits.next().unwrap_or_default()).await;
    }
}

async fn attempt(client: &Client, names: &Names, clock: &Clock) -> Result<Credentials, BootstrapError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &names.namespace);
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());

    objects::ensure(&namespaces, &objects::namespace(names), |_| objects::Verdict::Right).await?;
    let account = objects::ensure(&accounts, &objects::service_account(names), |_| objects::Verdict::Right).await?;
    objects::ensure(&roles, &objects::cluster_role(names), objects::judge_role).await?;
    let judge = |found: &ClusterRoleBinding| objects::judge_binding(found, names);
    objects::ensure(&bindings, &objects::cluster_role_binding(names), judge).await?;
    secret::credentials(client, &accounts, &account, names, clock).await
}

/// Deletes the account and binding that very old versions of Rancher made: ServiceAccount `netes-default` in `default` and
/// ClusterRoleBinding `netes-default-clusterRoleBinding`. What is not there needs no deleting.
pub async fn remove_legacy(client: &Client) -> Result<(), BootstrapError> {
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    delete(&bindings, "netes-default-clusterRoleBinding").await?;
    delete(&accounts, "netes-default").await
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<(), BootstrapError>
where
    K: kube::Resource<DynamicType = ()> + Clone + fmt::Debug + serde::de::DeserializeOwned,
{
    match api.delete(name, &DeleteParams::default()).await {
        Err(source) if class_of(&source) != Class::NotFound => Err(BootstrapError::Delete {
            what: objects::what::<K>(name),
            source: Box::new(source),
        }),
        _ => Ok(()),
    }
}

/// The uid of an object that came from the server.
fn uid(object: &impl kube::ResourceExt) -> String {
    object.uid().unwrap_or_default()
}
