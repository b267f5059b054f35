//! What the cloud provider is told: the keys, variables and defaults of the original, all of them applied.

use cloud_provider::config::{Config as Reader, ConfigError};
use cloud_provider::selector::Selector;
use secrecy::SecretString;
use tracing::{info, warn};

use crate::client::{BASE_URL, TOKEN_URL};

mod load_balancer;
mod table;

pub use load_balancer::{Announcer, BlockSize, BlockSizeError, LoadBalancer, LoadBalancerError};
pub use table::{SETTINGS, Setting, Upstream};

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
    /// Which nodes announce addresses by MetalLB; all of them when it is empty. kube-vip chooses by itself.
    /// `serviceNodeSelector`, `PNAP_SERVICE_NODE_SELECTOR`.
    pub service_node_selector: Selector,
    /// Whether Services share blocks, instead of having one each. `shareIPBlocks`, `PNAP_SHARE_IP_BLOCKS`.
    pub share_ip_blocks: bool,
    /// Whether the address of a Service is written to annotations only, and not to `spec.loadBalancerIP`. With kube-vip.
    /// `annotationOnly`, `PNAP_ANNOTATION_ONLY`.
    pub annotation_only: bool,
    /// How large blocks are that are bought. `ipBlockSize`, `PNAP_IP_BLOCK_SIZE`; default `/29`.
    pub ip_block_size: BlockSize,
    /// Whether blocks are given back whose Service is gone without this program having seen it go.
    /// `deleteOrphanedIPBlocks`, `PNAP_DELETE_ORPHANED_IP_BLOCKS`.
    pub delete_orphaned_ip_blocks: bool,
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
            share_ip_blocks: reader
                .flag("shareIPBlocks", Some("PNAP_SHARE_IP_BLOCKS"))
                .unwrap_or(false),
            annotation_only: reader
                .flag("annotationOnly", Some("PNAP_ANNOTATION_ONLY"))
                .unwrap_or(false),
            ip_block_size: reader
                .parsed("ipBlockSize", Some("PNAP_IP_BLOCK_SIZE"))
                .unwrap_or_default(),
            delete_orphaned_ip_blocks: reader
                .flag("deleteOrphanedIPBlocks", Some("PNAP_DELETE_ORPHANED_IP_BLOCKS"))
                .unwrap_or(false),
        };
        let metallb = matches!(
            &config.load_balancer,
            Some(LoadBalancer {
                announcer: Announcer::MetalLb { .. },
                ..
            })
        );
        if metallb && config.service_node_selector.to_json().is_none() {
            reader.problem("serviceNodeSelector compares numbers, which MetalLB cannot: use in, notin, = or !=");
        }
        if metallb && config.annotation_only {
            reader.problem("annotationOnly goes with kube-vip: all versions of MetalLB read spec.loadBalancerIP");
        }
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
        if [&self.token_url, &self.base_url].iter().any(|url| is_readable(url)) {
            warn!("credentials are sent over a connection that anybody on the way can read: use https");
        }
        if self.api_server_port != 0 {
            warn!("apiServerPort is accepted and has no effect");
        }
    }
}

/// Whether what is sent there can be read on its way: without TLS, and not on this machine.
fn is_readable(url: &str) -> bool {
    let uri: Option<http::Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let here = bare == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    url.starts_with("http://") && !here
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
