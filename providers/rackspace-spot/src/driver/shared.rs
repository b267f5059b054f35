//! What an administrator has laid down for all clusters: an organization and a refresh token, in Secret
//! `cattle-system/rackspace-spot-credentials` of the cluster that Rancher runs in.
//!
//! Mirrors `driver/secrets.go` of the Go driver. Differs from upstream: the token is never the default of a flag, because
//! Rancher shows these to every user; it is taken when a cluster is created whose options leave it open. Rancher's jail
//! gives drivers no account in its cluster, so there Rancher's form fills the options in; elsewhere the driver does it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::lenient::nullable;
use kontainer_engine::wire::Default as FlagDefault;
use kontainer_engine::{Call, DriverFlags};
use secrecy::SecretString;
use serde::Deserialize;

use super::access;
use super::options as o;
use crate::Settings;

const PATH: &str = "/api/v1/namespaces/cattle-system/secrets/rackspace-spot-credentials";
/// How long Rancher's API server may take: whoever asks for the flags must not wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was laid down.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) organization: Option<String>,
    pub(super) refresh_token: Option<SecretString>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Secret {
    #[serde(deserialize_with = "nullable")]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Data {
    #[serde(deserialize_with = "kit::lenient::secret")]
    org: Option<SecretString>,
    #[serde(deserialize_with = "kit::lenient::secret")]
    refresh_token: Option<SecretString>,
}

impl Shared {
    /// Reads it. Nothing laid down is nothing; that it cannot be read is told, and counts as nothing.
    pub(super) async fn read(settings: &Settings, call: &Call) -> Self {
        let Some(home) = &settings.home else {
            return Self::default();
        };
        let asked = async {
            let client = access::client(settings, home).map_err(|error| kit::chain(&error))?;
            let request = http::Request::get(PATH)
                .body(Vec::new())
                .map_err(|error| error.to_string())?;
            match client.request::<Secret>(request).await {
                Ok(secret) => Ok(secret.data),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(Data::default()),
                Err(error) => Err(kit::chain(&error)),
            }
        };
        let read = tokio::time::timeout(PATIENCE, asked).await;
        match read.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(data) => Self {
                organization: data.org.and_then(|text| decode(&text)),
                refresh_token: data
                    .refresh_token
                    .and_then(|text| decode(&text))
                    .map(SecretString::from),
            },
            Err(why) => {
                call.warn(format!(
                    "secret cattle-system/rackspace-spot-credentials cannot be read: {why}"
                ));
                Self::default()
            }
        }
    }
}

fn decode(text: &SecretString) -> Option<String> {
    use secrecy::ExposeSecret as _;
    let bytes = STANDARD.decode(text.expose_secret()).ok()?;
    let text = String::from_utf8(bytes).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The flags, with the organization that was laid down as a default.
pub(super) async fn flags(settings: &Settings, call: &Call, flags: &DriverFlags) -> DriverFlags {
    let mut flags = flags.clone();
    let Some(organization) = Shared::read(settings, call).await.organization else {
        return flags;
    };
    if let Some(flag) = flags.options.get_mut(o::ORGANIZATION) {
        flag.value.clone_from(&organization);
        flag.default = Some(FlagDefault {
            default_string: organization,
            ..FlagDefault::default()
        });
    }
    flags
}
