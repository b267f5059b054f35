//! What can be set: a JSON file, and environment variables that win over it.
//!
//! Mirrors `metal/config.go` of the Go program. Differs from upstream: every problem is told at once, by the key's name;
//! unknown keys are warned of; what cannot work is refused at the start.

mod back_end;
pub mod table;
mod values;

use cloud_provider::selector::{Selector, SelectorError};
use secrecy::SecretString;
use tracing::{info, warn};

pub use back_end::{BackEnd, BackEndError, EMLB_LOCATIONS};
pub use cloud_provider::config::ConfigError;

use values::Values;

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `apiKey`.
    pub api_key: SecretString,
    /// `projectID`.
    pub project: String,
    /// `base-url`, without a slash at its end.
    pub base_url: String,
    /// `emlb-base-url`, without a slash at its end.
    pub emlb_url: String,
    /// `token-exchange-url`.
    pub exchange_url: String,
    /// `loadbalancer`; nothing when there are to be no load balancers.
    pub back_end: Option<BackEnd>,
    /// `metro`.
    pub metro: Option<String>,
    /// `facility`.
    pub facility: Option<String>,
    /// `localASN`.
    pub local_asn: u32,
    /// `bgpPass`.
    pub bgp_pass: Option<SecretString>,
    /// The names of annotations.
    pub annotations: Annotations,
    /// `eipTag`.
    pub eip_tag: Option<String>,
    /// `loadBalancerID`.
    pub load_balancer_id: Option<String>,
    /// `apiServerPort`; nothing for the port that kube-apiserver listens on.
    pub api_server_port: Option<u16>,
    /// `bgpNodeSelector`.
    pub bgp_nodes: Selector,
    /// `eipHealthCheckUseHostIP`.
    pub check_host_ip: bool,
    /// `loadbalancer`, as it was written.
    back_end_text: String,
    /// `bgpNodeSelector`, as it was written.
    bgp_nodes_text: String,
}

/// The names of annotations. Those of peers hold `{{n}}` where the number of the peer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the setting of that name without its `annotation`")]
pub struct Annotations {
    pub local_asn: String,
    pub peer_asn: String,
    pub peer_ip: String,
    pub src_ip: String,
    pub bgp_pass: String,
    pub network_ipv4_private: String,
    pub eip_metro: String,
    pub eip_facility: String,
}

impl Config {
    /// Reads the content of the file, if there is one, and the environment. Everything that is wrong is told at once; what
    /// has no effect is warned of.
    pub fn read(file: Option<&[u8]>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        if env("PACKNGO_DEBUG").is_some() {
            warn!("PACKNGO_DEBUG has no effect: --v=5 logs each request to the provider, without bodies");
        }
        let values = Values::new(file, env);
        let config = Self::from_values(&values);
        values.finish(config)
    }

    fn from_values(values: &Values<'_>) -> Self {
        let required = |key: &str, variable: &str| {
            values.given(key).unwrap_or_else(|| {
                let text = format!("{key}: environment variable {variable:?} is required if not in config file");
                values.wrong(text);
                String::new()
            })
        };
        let api_key = required("apiKey", "METAL_API_KEY").into();
        let project = required("projectID", "METAL_PROJECT_ID");
        let back_end_text = values.text("loadbalancer");
        let back_end = match back_end_text.parse::<BackEnd>() {
            Ok(back_end) => Some(back_end),
            Err(_) if back_end_text.is_empty() => None,
            Err(error) => {
                values.wrong(format!("loadbalancer {error}, was {back_end_text:?}"));
                None
            }
        };
        let bgp_nodes_text = values.text("bgpNodeSelector");
        let bgp_nodes = bgp_nodes_text.parse().unwrap_or_else(|error: SelectorError| {
            let text = format!("bgpNodeSelector: BGP Node Selector must be valid Kubernetes selector: {error}");
            values.wrong(text);
            Selector::default()
        });
        let bgp_pass = values.given("bgpPass");
        if bgp_pass.as_deref().is_some_and(|pass| !is_bgp_password(pass)) {
            warn!(
                "bgpPass is not what the API takes: 10 to 20 letters and digits, at least one of each of A-Z, a-z, 0-9"
            );
        }
        let (eip_tag, load_balancer_id) = (values.given("eipTag"), values.given("loadBalancerID"));
        if eip_tag.is_some() && load_balancer_id.is_some() {
            values.wrong("eipTag and loadBalancerID exclude each other: both are the way to the control plane");
        }
        let is_emlb = matches!(back_end, Some(BackEnd::Emlb { .. }));
        if load_balancer_id.is_some() && !is_emlb {
            values.wrong("loadBalancerID needs loadbalancer to be emlb:///METRO");
        }
        // A key for an API that is elsewhere must not be sent to the service that is not.
        let elsewhere = values.given("base-url").and_then(|url| origin(&url));
        let sibling = |key: &str, path: &str| match &elsewhere {
            Some(origin) if values.given(key).is_none() => format!("{origin}{path}"),
            _ => values.url(key),
        };
        Self {
            api_key,
            project,
            base_url: values.url("base-url"),
            emlb_url: sibling("emlb-base-url", ""),
            exchange_url: sibling("token-exchange-url", "/api-keys/exchange"),
            back_end,
            metro: values.given("metro"),
            facility: values.given("facility"),
            local_asn: values.number("localASN"),
            bgp_pass: bgp_pass.map(SecretString::from),
            annotations: Annotations {
                local_asn: values.text("annotationLocalASN"),
                peer_asn: values.text("annotationPeerASN"),
                peer_ip: values.text("annotationPeerIP"),
                src_ip: values.text("annotationSrcIP"),
                bgp_pass: values.text("annotationBGPPass"),
                network_ipv4_private: values.text("annotationNetworkIPv4Private"),
                eip_metro: values.text("annotationEIPMetro"),
                eip_facility: values.text("annotationEIPFacility"),
            },
            eip_tag,
            load_balancer_id,
            api_server_port: u16::try_from(values.number("apiServerPort"))
                .ok()
                .filter(|port| *port != 0),
            bgp_nodes,
            check_host_ip: values.flag("eipHealthCheckUseHostIP"),
            back_end_text,
            bgp_nodes_text,
        }
    }

    /// Tells what is set, one line each, as the Go program does when it starts.
    pub fn log(&self) {
        info!("authToken: '<masked>'");
        info!("projectID: '{}'", self.project);
        if self.back_end.is_some() {
            info!("load balancer config: '{}'", self.back_end_text);
        } else {
            info!("loadbalancer config: disabled");
        }
        info!("metro: '{}'", self.metro.as_deref().unwrap_or_default());
        info!("facility: '{}'", self.facility.as_deref().unwrap_or_default());
        info!("local ASN: '{}'", self.local_asn);
        info!("Elastic IP Tag: '{}'", self.eip_tag.as_deref().unwrap_or_default());
        info!("API Server Port: '{}'", self.api_server_port.unwrap_or(0));
        info!("BGP Node Selector: '{}'", self.bgp_nodes_text);
        info!(
            "Load Balancer ID: '{}'",
            self.load_balancer_id.as_deref().unwrap_or_default()
        );
        info!("API: '{}'", self.base_url);
    }
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// What the API takes as the password of BGP sessions.
fn is_bgp_password(text: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    (10..=20).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests;
