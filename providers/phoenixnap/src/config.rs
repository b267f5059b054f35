//! What the cloud provider is told: the keys, variables and defaults of the original, all of them applied.

use std::fmt;

use cloud_provider::config::{Config as Reader, ConfigError};
use cloud_provider::selector::Selector;
use secrecy::SecretString;
use tracing::{info, warn};

use crate::client::{BASE_URL, TOKEN_URL};

/// The annotation of a Service that says where its block is to be, when nothing else is configured.
pub const ANNOTATION_IP_LOCATION: &str = "phoenixnap.com/ip-location";
/// The locations there were when this was written.
const LOCATIONS: [&str; 7] = ["PHX", "ASH", "SGP", "NLD", "CHI", "SEA", "AUS"];

/// The configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who logs in. `clientID`, `PNAP_CLIENT_ID`.
    pub client_id: String,
    /// With what. `clientSecret`, `PNAP_CLIENT_SECRET`.
    pub client_secret: SecretString,
    /// Which load balancer. `loadbalancer`, `PNAP_LOAD_BALANCER`; without it there is none.
    pub load_balancer: Option<LoadBalancer>,
    /// Where blocks are bought. `location`, `PNAP_LOCATION`.
    pub location: Option<String>,
    /// Below which all APIs are, without a slash at its end. `base-url`, `PNAP_BASE_URL`.
    pub base_url: String,
    /// Where tokens are given. `token-url`, `PNAP_TOKEN_URL`.
    pub token_url: String,
    /// The annotation of a Service that says where its block is to be, when no location is configured.
    /// `annotationIPLocation`, `PNAP_ANNOTATION_IP_LOCATION`.
    pub annotation_ip_location: String,
    /// The port of the API server. `apiServerPort`, `PNAP_API_SERVER_PORT`. Nothing uses it, as in the original: it is
    /// checked and told.
    pub api_server_port: u16,
    /// Which nodes stand behind Services; all of them when it is empty. `serviceNodeSelector`,
    /// `PNAP_SERVICE_NODE_SELECTOR`.
    pub service_node_selector: Selector,
}

/// The load balancer that is configured, `kube-vip://<public network id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Who announces addresses.
    pub announcer: Announcer,
    /// The public network that blocks are assigned to.
    pub network: String,
}

/// Who announces addresses inside the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcer {
    /// kube-vip, which reads them from Services.
    KubeVip,
}

/// Why a `loadbalancer` setting makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadBalancerError {
    /// It is no URL.
    #[error("invalid config: loadbalancer {0:?} is no URL such as kube-vip://<public network id>")]
    Url(String),
    /// It names no network.
    #[error("invalid config: no public network provided")]
    NoNetwork,
    /// It names an announcer there is not.
    #[error("invalid config: there is no load balancer {0:?}; known is kube-vip")]
    Unknown(String),
}

impl std::str::FromStr for LoadBalancer {
    type Err = LoadBalancerError;

    fn from_str(text: &str) -> Result<Self, LoadBalancerError> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| LoadBalancerError::Url(text.to_owned()))?;
        let announcer = match scheme.to_ascii_lowercase().as_str() {
            "kube-vip" => Announcer::KubeVip,
            _ => return Err(LoadBalancerError::Unknown(scheme.to_owned())),
        };
        // What follows the network is for backends that there are not.
        let network = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if network.is_empty() {
            return Err(LoadBalancerError::NoNetwork);
        }
        if !network
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        {
            return Err(LoadBalancerError::Url(text.to_owned()));
        }
        Ok(Self {
            announcer,
            network: network.to_owned(),
        })
    }
}

impl fmt::Display for LoadBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.announcer {
            Announcer::KubeVip => write!(f, "kube-vip://{}", self.network),
        }
    }
}

impl Config {
    /// Reads the content of `--cloud-config`, if there is one, and the environment, which wins. Everything that is wrong is
    /// told at once.
    pub fn read(file: Option<&[u8]>, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let reader = Reader::new(file, env);
        let required = |key: &str, variable: &str| {
            let text = reader.text(key, Some(variable));
            if text.is_none() {
                reader.problem(format!(
                    "environment variable \"{variable}\" is required, or {key} in the configuration file"
                ));
            }
            text.unwrap_or_default()
        };
        let client_id = required("clientID", "PNAP_CLIENT_ID");
        let client_secret = required("clientSecret", "PNAP_CLIENT_SECRET").into();
        let text = reader.text("loadbalancer", Some("PNAP_LOAD_BALANCER"));
        let load_balancer = text.and_then(|text| match text.parse::<LoadBalancer>() {
            Ok(load_balancer) => Some(load_balancer),
            Err(error) => {
                reader.problem(error.to_string());
                None
            }
        });
        let location = reader
            .text("location", Some("PNAP_LOCATION"))
            .map(|text| text.to_ascii_uppercase());
        if let Some(location) = &location {
            check_location(location, &reader);
        }
        let url = |key: &str, variable: &str, default: &str| {
            let text = reader.text(key, Some(variable)).unwrap_or_else(|| default.to_owned());
            let valid = text.parse::<http::Uri>().is_ok_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
            });
            if !valid {
                reader.problem(format!("{key} {text:?} is not a http or https URL"));
            }
            text.trim_end_matches('/').to_owned()
        };
        let annotation = reader.text("annotationIPLocation", Some("PNAP_ANNOTATION_IP_LOCATION"));
        let config = Self {
            client_id,
            client_secret,
            load_balancer,
            location,
            base_url: url("base-url", "PNAP_BASE_URL", BASE_URL),
            token_url: url("token-url", "PNAP_TOKEN_URL", TOKEN_URL),
            annotation_ip_location: annotation.unwrap_or_else(|| ANNOTATION_IP_LOCATION.to_owned()),
            api_server_port: reader
                .number("apiServerPort", Some("PNAP_API_SERVER_PORT"), 0..=u16::MAX)
                .unwrap_or(0),
            service_node_selector: reader
                .parsed("serviceNodeSelector", Some("PNAP_SERVICE_NODE_SELECTOR"))
                .unwrap_or_default(),
        };
        reader.finish(config)
    }

    /// Says what is configured, and never a secret.
    pub fn tell(&self) {
        info!("ClientSecret: '<masked>'");
        match &self.load_balancer {
            None => info!("loadbalancer config: disabled"),
            Some(load_balancer) => info!("load balancer config: '{load_balancer}'"),
        }
        info!("location: '{}'", self.location.as_deref().unwrap_or_default());
        info!("API Server Port: '{}'", self.api_server_port);
        info!("IP Location annotation: {}", self.annotation_ip_location);
        if self.service_node_selector.is_empty() {
            info!("service node selector: all nodes");
        } else {
            info!("service node selector: {:?}", self.service_node_selector);
        }
        if self.base_url != BASE_URL || self.token_url != TOKEN_URL {
            info!("API: {}, tokens from {}", self.base_url, self.token_url);
        }
        if self.token_url.starts_with("http://") || self.base_url.starts_with("http://") {
            warn!("credentials are sent over a connection that anybody on the way can read: use https");
        }
        if self.api_server_port != 0 {
            warn!("apiServerPort is accepted and has no effect");
        }
    }
}

/// A location must look like one. One that is not known is only told: there may be new ones.
fn check_location(location: &str, reader: &Reader<'_>) {
    if location.len() != 3 || !location.bytes().all(|c| c.is_ascii_uppercase()) {
        reader.problem(format!(
            "location {location:?} is no location, such as {}",
            LOCATIONS.join(", ")
        ));
    } else if !LOCATIONS.contains(&location) {
        warn!(
            "location {location} is not among those known here: {}",
            LOCATIONS.join(", ")
        );
    }
}

#[cfg(test)]
mod tests;
