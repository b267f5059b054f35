//! Which load balancer is configured.

use std::fmt;
use std::str::FromStr;

/// Where MetalLB is, unless it is said.
const METALLB_NAMESPACE: &str = "metallb-system";

/// The load balancer that is configured: `kube-vip://NETWORK`, or
/// `metallb://NETWORK[/NAMESPACE][?interfaces=NAME,NAME]`, where the network is a public network's ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Who announces addresses.
    pub announcer: Announcer,
    /// The public network that blocks are assigned to.
    pub network: String,
}

/// Who announces addresses inside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcer {
    /// kube-vip, which reads them from Services.
    KubeVip,
    /// MetalLB by layer 2, which reads them from custom resources.
    MetalLb {
        /// Its namespace.
        namespace: String,
        /// The network interfaces that addresses are announced on; all when there are none.
        interfaces: Vec<String>,
    },
}

/// Why a `loadbalancer` setting makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadBalancerError {
    /// It cannot be read.
    #[error("invalid config: loadbalancer {0:?} is no URL such as kube-vip://<public network id>")]
    Url(String),
    /// It names no network.
    #[error("invalid config: no public network provided")]
    NoNetwork,
    /// There is no such load balancer.
    #[error("invalid config: there is no load balancer {0:?}; known are kube-vip and metallb")]
    Unknown(String),
    /// It says something that has no meaning.
    #[error("invalid config: loadbalancer option {0:?} is not known; there is interfaces=<name>,<name>")]
    Option(String),
}

impl FromStr for LoadBalancer {
    type Err = LoadBalancerError;

    fn from_str(text: &str) -> Result<Self, LoadBalancerError> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| LoadBalancerError::Url(text.to_owned()))?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (network, path) = rest.split_once('/').unwrap_or((rest, ""));
        let announcer = match scheme.to_ascii_lowercase().as_str() {
            // What follows the network was for more of them, and never read.
            "kube-vip" => Announcer::KubeVip,
            "metallb" => metallb(path.trim_end_matches('/'), options)?,
            _ => return Err(LoadBalancerError::Unknown(scheme.to_owned())),
        };
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

fn metallb(path: &str, options: &str) -> Result<Announcer, LoadBalancerError> {
    let mut interfaces = Vec::new();
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("interfaces", names)) => {
                interfaces.extend(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned));
            }
            _ => return Err(LoadBalancerError::Option(option.to_owned())),
        }
    }
    let namespace = if path.is_empty() { METALLB_NAMESPACE } else { path };
    if !namespace
        .bytes()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    {
        return Err(LoadBalancerError::Option(path.to_owned()));
    }
    Ok(Announcer::MetalLb {
        namespace: namespace.to_owned(),
        interfaces,
    })
}

impl fmt::Display for LoadBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.announcer {
            Announcer::KubeVip => write!(f, "kube-vip://{}", self.network),
            Announcer::MetalLb { namespace, interfaces } => {
                write!(f, "metallb://{}/{namespace}", self.network)?;
                if interfaces.is_empty() {
                    return Ok(());
                }
                write!(f, "?interfaces={}", interfaces.join(","))
            }
        }
    }
}

/// How large a block is: of the sizes that are sold, those that have an address for a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockSize {
    /// One address for Services.
    Four,
    /// Five. The original's.
    #[default]
    Eight,
    /// Thirteen.
    Sixteen,
}

/// Why a block size makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no size of an IP block; there are /30, /29 and /28")]
pub struct BlockSizeError(String);

impl FromStr for BlockSize {
    type Err = BlockSizeError;

    fn from_str(text: &str) -> Result<Self, BlockSizeError> {
        match text.trim_start_matches('/') {
            "30" => Ok(Self::Four),
            "29" => Ok(Self::Eight),
            "28" => Ok(Self::Sixteen),
            _ => Err(BlockSizeError(text.to_owned())),
        }
    }
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Four => "/30",
            Self::Eight => "/29",
            Self::Sixteen => "/28",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_load_balancer_is_read_and_told() {
        let metallb = |namespace: &str, interfaces: &[&str]| Announcer::MetalLb {
            namespace: namespace.to_owned(),
            interfaces: interfaces.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (text, announcer, told) in [
            ("kube-vip://63fd", Announcer::KubeVip, "kube-vip://63fd"),
            ("kube-vip://63fd/path?x=y", Announcer::KubeVip, "kube-vip://63fd"),
            (
                "metallb://63fd",
                metallb("metallb-system", &[]),
                "metallb://63fd/metallb-system",
            ),
            (
                "metallb://63fd/lb/?interfaces=bond0.11,eth1",
                metallb("lb", &["bond0.11", "eth1"]),
                "metallb://63fd/lb?interfaces=bond0.11,eth1",
            ),
        ] {
            let read: LoadBalancer = text.parse().unwrap();
            assert_eq!((read.network.as_str(), &read.announcer), ("63fd", &announcer), "{text}");
            assert_eq!(read.to_string(), told);
            assert_eq!(told.parse(), Ok(read));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let error = |text: &str| text.parse::<LoadBalancer>().unwrap_err();
        assert_eq!(error("kube-vip://"), LoadBalancerError::NoNetwork);
        assert_eq!(error("metallb:///x"), LoadBalancerError::NoNetwork);
        assert_eq!(error("emlb://net"), LoadBalancerError::Unknown("emlb".to_owned()));
        assert_eq!(error("net"), LoadBalancerError::Url("net".to_owned()));
        assert_eq!(
            error("kube-vip://a b"),
            LoadBalancerError::Url("kube-vip://a b".to_owned())
        );
        assert_eq!(
            error("metallb://net?speed=1"),
            LoadBalancerError::Option("speed=1".to_owned())
        );
        assert_eq!(error("metallb://net/A_B"), LoadBalancerError::Option("A_B".to_owned()));
    }

    #[test]
    fn block_sizes_are_those_that_have_an_address_for_a_service() {
        for (text, told) in [("/29", "/29"), ("28", "/28"), ("/30", "/30")] {
            assert_eq!(text.parse::<BlockSize>().unwrap().to_string(), told);
        }
        for text in ["/31", "/24", "", "x"] {
            assert!(text.parse::<BlockSize>().is_err(), "{text}");
        }
        assert_eq!(BlockSize::default().to_string(), "/29");
    }
}
