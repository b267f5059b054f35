//! What an engine stores of a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::wire::ClusterInfo;

/// The statuses of a cluster, as they are stored. Mirrors rancher/kontainer-engine `cluster/cluster.go`.
pub mod status {
    /// Known, nothing done yet.
    pub const INIT: &str = "Init";
    /// About to be created.
    pub const PRE_CREATING: &str = "Pre-Creating";
    /// The driver is creating it.
    pub const CREATING: &str = "Creating";
    /// The driver waits until it is usable.
    pub const POST_CHECKING: &str = "Post-Checking";
    /// Usable.
    pub const RUNNING: &str = "Running";
    /// Creating it failed.
    pub const ERROR: &str = "Error";
    /// The driver is changing it.
    pub const UPDATING: &str = "Updating";
}

/// The record of a cluster: JSON as in rancher/kontainer-engine `cluster/cluster.go`, empty fields left out. Certificates
/// and keys are base64 of PEM.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cluster {
    /// The name of the driver that made it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver_name: String,
    /// The cluster's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// One of [`status`], or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// The Kubernetes version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// A long-lived token of a cluster administrator.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account_token: String,
    /// Where the API server answers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// For basic authentication.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// For basic authentication; some drivers keep a secret of their own here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// The CA.
    #[serde(rename = "rootCACert", skip_serializing_if = "String::is_empty")]
    pub root_ca_cert: String,
    /// A client certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_certificate: String,
    /// Its key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_key: String,
    /// The number of nodes.
    #[serde(skip_serializing_if = "is_zero")]
    pub node_count: i64,
    /// The driver's notes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The program of the driver, when it is not built in. Differs from upstream, which has no such drivers on its command
    /// line and skips the key when it reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_path: Option<PathBuf>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Cluster {
    /// What the driver is told about the cluster.
    pub fn info(&self) -> ClusterInfo {
        ClusterInfo {
            version: self.version.clone(),
            service_account_token: self.service_account_token.clone(),
            endpoint: self.endpoint.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            root_ca_certificate: self.root_ca_cert.clone(),
            client_certificate: self.client_certificate.clone(),
            client_key: self.client_key.clone(),
            node_count: self.node_count,
            metadata: self.metadata.clone(),
            status: self.status.clone(),
            create_error: String::new(),
        }
    }

    /// Takes over what the driver says, all of it: empty fields become empty.
    ///
    /// Differs from upstream: the status stays the engine's, and an answer with nothing in it at all, which is what drivers
    /// of an older protocol send, changes nothing.
    pub fn take(&mut self, info: ClusterInfo) {
        let nothing = ClusterInfo {
            status: info.status.clone(),
            create_error: info.create_error.clone(),
            ..ClusterInfo::default()
        };
        if info == nothing {
            return;
        }
        self.version = info.version;
        self.service_account_token = info.service_account_token;
        self.endpoint = info.endpoint;
        self.username = info.username;
        self.password = info.password;
        self.root_ca_cert = info.root_ca_certificate;
        self.client_certificate = info.client_certificate;
        self.client_key = info.client_key;
        self.node_count = info.node_count;
        self.metadata = info.metadata;
    }

    /// The URL of the API server: the endpoint, with `https://` where the driver left that out. Empty without an endpoint.
    pub fn server(&self) -> String {
        if self.endpoint.is_empty() || self.endpoint.starts_with("https://") {
            self.endpoint.clone()
        } else {
            format!("https://{}", self.endpoint)
        }
    }

    /// A copy that can be shown: secrets, certificates and the driver's notes say that there is something, not what.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let hide = |text: &String| {
            if text.is_empty() {
                String::new()
            } else {
                "Redacted".to_owned()
            }
        };
        Self {
            service_account_token: hide(&self.service_account_token),
            password: hide(&self.password),
            root_ca_cert: hide(&self.root_ca_cert),
            client_certificate: hide(&self.client_certificate),
            client_key: hide(&self.client_key),
            metadata: self
                .metadata
                .iter()
                .map(|(key, value)| (key.clone(), hide(value)))
                .collect(),
            ..self.clone()
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("driver_name", &self.driver_name)
            .field("name", &self.name)
            .field("info", &self.info())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_written_by_the_go_program_is_read_and_written_alike() {
        let text = r#"{"driverName":"googlekubernetesengine","name":"demo","status":"Running","version":"1.15.9","serviceAccountToken":"t","endpoint":"1.2.3.4","rootCACert":"Q0E=","clientCertificate":"Qw==","clientKey":"Sw==","nodeCount":3,"metadata":{"state":"{}","zone":"a"}}"#;
        let cluster: Cluster = serde_json::from_str(text).unwrap();
        assert_eq!((cluster.node_count, cluster.server().as_str()), (3, "https://1.2.3.4"));
        assert_eq!(serde_json::to_string(&cluster).unwrap(), text);
        assert_eq!(serde_json::to_string(&Cluster::default()).unwrap(), "{}");
    }

    #[test]
    fn what_the_driver_says_replaces_all_but_the_status() {
        let mut cluster = Cluster {
            status: status::UPDATING.into(),
            endpoint: "old".into(),
            metadata: [("a".to_owned(), "b".to_owned())].into(),
            ..Cluster::default()
        };
        cluster.take(ClusterInfo {
            version: "1.31".into(),
            ..ClusterInfo::default()
        });
        assert_eq!(
            (cluster.status.as_str(), cluster.version.as_str()),
            ("Updating", "1.31")
        );
        assert!(cluster.endpoint.is_empty() && cluster.metadata.is_empty());
        cluster.take(ClusterInfo::default());
        assert_eq!(
            cluster.version, "1.31",
            "an answer with nothing in it must not wipe the record"
        );
    }

    #[test]
    fn a_redacted_copy_has_no_secret_in_it() {
        let cluster = Cluster {
            service_account_token: "hunter2".into(),
            password: "hunter2".into(),
            client_key: "hunter2".into(),
            metadata: [("state".to_owned(), "hunter2".to_owned())].into(),
            ..Cluster::default()
        };
        assert!(!serde_json::to_string(&cluster.redacted()).unwrap().contains("hunter2"));
        assert!(!format!("{cluster:?}").contains("hunter2"));
        assert!(
            cluster.redacted().root_ca_cert.is_empty(),
            "what is not there is not redacted"
        );
    }
}
