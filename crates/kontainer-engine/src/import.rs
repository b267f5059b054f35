//! The driver of clusters that somebody else made: it is given a kubeconfig.
//!
//! Mirrors rancher/kontainer-engine `drivers/import/import_driver.go`. Differs from upstream: bearer tokens work, a new
//! kubeconfig is taken over on update, and `Remove`, which leaves the cluster alone, is the only thing that does nothing.

#[cfg(test)]
mod tests;

use std::path::Path;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Node;
use kit::{Class, Clock};
use kube::api::{Api, ListParams};
use kube_kit::kubeconfig::{Access, Cluster, Kubeconfig, User};
use secrecy::ExposeSecret as _;

use crate::call::Call;
use crate::driver::{CreateError, Driver};
use crate::error::DriverError;
use crate::kube_client::kube_client_to;
use crate::options::{OptionSpec, OptionTable, Options};
use crate::service_account::{self, Names};
use crate::wire::ClusterInfo;

const KUBECONFIG: &str = "kubeConfig";
const PATH: &str = "kubeConfigPath";
/// Metadata: whether the server's certificate is not checked.
const INSECURE: &str = "Insecure";

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::string(KUBECONFIG, "content of the kubeconfig of the cluster")
        .secret()
        .aliases(&["kube-config"]),
    OptionSpec::string(PATH, "file with the kubeconfig of the cluster, instead of its content")
        .aliases(&["kube-config-path"]),
];

/// The driver named `import`.
#[derive(Debug)]
pub struct ImportDriver {
    options: OptionTable,
    clock: Clock,
}

impl ImportDriver {
    /// The driver, waiting by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self {
            options: OptionTable::new(OPTIONS).expect("a test builds the table"),
            clock,
        }
    }
}

#[async_trait]
impl Driver for ImportDriver {
    fn name(&self) -> &'static str {
        "import"
    }

    fn options(&self) -> &OptionTable {
        &self.options
    }

    async fn create(
        &self,
        _call: &Call,
        options: &Options,
        previous: Option<ClusterInfo>,
    ) -> Result<ClusterInfo, CreateError> {
        let mut info = previous.unwrap_or_default();
        match read(options)? {
            Some((text, access)) => take(&mut info, text, &access),
            None if info.endpoint.is_empty() => {
                return Err(DriverError::invalid(format!("one of {KUBECONFIG} and {PATH} is required")).into());
            }
            // Going on with what the first attempt read.
            None => {}
        }
        Ok(info)
    }

    async fn update(&self, _call: &Call, mut info: ClusterInfo, options: &Options) -> Result<ClusterInfo, DriverError> {
        if let Some((text, access)) = read(options)? {
            take(&mut info, text, &access);
        }
        Ok(info)
    }

    async fn post_check(&self, call: &Call, mut info: ClusterInfo) -> Result<ClusterInfo, DriverError> {
        let client = kube_client_to(&cluster(&info), &user(&info)).await?;
        let version = call.run(client.apiserver_version()).await?.map_err(|error| {
            DriverError::transient(format!(
                "failed to get Kubernetes server version from {}",
                info.endpoint
            ))
            .caused_by(error)
        })?;
        call.step("making a service account");
        let names = Names::default();
        let credentials = call
            .run(service_account::bootstrap(&client, &names, &self.clock))
            .await??;
        info.version = version.git_version;
        info.service_account_token = credentials.token.expose_secret().to_owned();
        if let (true, Some(ca)) = (info.root_ca_certificate.is_empty(), credentials.ca_certificate) {
            info.root_ca_certificate = STANDARD.encode(ca);
        }
        // Worth knowing, not worth failing for.
        let (nodes, all) = (Api::<Node>::all(client), ListParams::default());
        if let Ok(nodes) = call.run(nodes.list_metadata(&all)).await? {
            info.node_count = i64::try_from(nodes.items.len()).unwrap_or(i64::MAX);
        }
        Ok(info)
    }

    async fn remove(&self, call: &Call, _info: ClusterInfo) -> Result<(), DriverError> {
        call.info("the cluster was imported: it is left as it is");
        Ok(())
    }

    async fn remove_legacy_service_account(&self, call: &Call, info: ClusterInfo) -> Result<(), DriverError> {
        let client = kube_client_to(&cluster(&info), &user(&info)).await?;
        let removed = call.run(service_account::remove_legacy(&client)).await?;
        removed.map_err(|error| {
            DriverError::new(error.class(), "removing the legacy service account failed").caused_by(error)
        })
    }
}

/// The kubeconfig of the options and what its first cluster and first user say; [`None`] when none is given.
fn read(options: &Options) -> Result<Option<(String, Access)>, DriverError> {
    let path = options.non_empty(PATH).map(Path::new);
    let text = match (path, options.non_empty(KUBECONFIG)) {
        (Some(path), _) => std::fs::read_to_string(path).map_err(|error| {
            DriverError::invalid(format!("failed to open kubeconfig file {}", path.display())).caused_by(error)
        })?,
        (None, Some(text)) => text.to_owned(),
        (None, None) => return Ok(None),
    };
    let config = Kubeconfig::parse(&text)
        .map_err(|error| DriverError::invalid("error unmarshalling kubeconfig").caused_by(error))?;
    let dir = path.and_then(Path::parent).unwrap_or(Path::new("."));
    let access = config
        .first_access(dir)
        .map_err(|error| DriverError::invalid("the kubeconfig can not be used").caused_by(error))?;
    if access.external {
        return Err(DriverError::new(
            Class::Invalid,
            "the user of the kubeconfig gets credentials from another program; give a kubeconfig with a token or a client certificate",
        ));
    }
    Ok(Some((text, access)))
}

/// Puts what a kubeconfig says into the info. Everything that was there from an earlier one goes.
fn take(info: &mut ClusterInfo, text: String, access: &Access) {
    let encode = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).unwrap_or_default();
    info.endpoint.clone_from(&access.server);
    info.root_ca_certificate = encode(&access.ca);
    info.client_certificate = encode(&access.client_certificate);
    info.client_key = access
        .client_key
        .as_ref()
        .map(|key| STANDARD.encode(key.expose_secret()))
        .unwrap_or_default();
    info.username = access.username.clone().unwrap_or_default();
    info.password = access
        .password
        .as_ref()
        .map(|text| text.expose_secret().to_owned())
        .unwrap_or_default();
    info.service_account_token = access
        .token
        .as_ref()
        .map(|text| text.expose_secret().to_owned())
        .unwrap_or_default();
    info.metadata = [
        ("Endpoint", info.endpoint.clone()),
        ("Config", text),
        ("RootCA", info.root_ca_certificate.clone()),
        ("ClientCert", info.client_certificate.clone()),
        ("ClientKey", info.client_key.clone()),
        (INSECURE, access.insecure.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
}

fn cluster(info: &ClusterInfo) -> Cluster {
    Cluster {
        server: info.endpoint.clone(),
        certificate_authority_data: (!info.root_ca_certificate.is_empty()).then(|| info.root_ca_certificate.clone()),
        insecure_skip_tls_verify: info.metadata.get(INSECURE).is_some_and(|text| text == "true"),
    }
}

fn user(info: &ClusterInfo) -> User {
    if !info.client_key.is_empty() {
        User::Certificate {
            certificate_data: info.client_certificate.clone(),
            key_data: info.client_key.clone().into(),
        }
    } else if !info.service_account_token.is_empty() {
        User::Token(info.service_account_token.clone().into())
    } else {
        User::Basic {
            username: info.username.clone(),
            password: info.password.clone().into(),
        }
    }
}
