//! The `loadbalancer` setting: a URL whose scheme selects what gives Services their addresses.

/// The metros that EMLB is offered in, and their location IDs.
pub const EMLB_LOCATIONS: [(&str, &str); 3] = [
    ("da", "lctnloc--uxs0GLeAELHKV8GxO_AI"),
    ("ny", "lctnloc-Vy-1Qpw31mPi6RJQwVf9A"),
    ("sv", "lctnloc-H5rl2M2VL5dcFmdxhbEKx"),
];

/// What gives Services of type LoadBalancer their addresses, and makes them reachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackEnd {
    /// Elastic IPs over BGP, announced by kube-vip, which reads the nodes' annotations.
    KubeVip,
    /// Elastic IPs over BGP, announced by whoever reads the nodes' annotations.
    Empty,
    /// Elastic IPs over BGP, announced by MetalLB before 0.13, which reads a config map.
    MetalLbConfigMap {
        /// The namespace of the config map.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Elastic IPs over BGP, announced by MetalLB since 0.13, which reads custom resources.
    MetalLbResources {
        /// The namespace of the resources.
        namespace: String,
    },
    /// Load balancers of Equinix Metal.
    Emlb {
        /// The metro they are made in: one of [`EMLB_LOCATIONS`].
        metro: String,
    },
}

/// What is wrong with a `loadbalancer` setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackEndError {
    /// Nobody knows such a scheme.
    #[error("has no known scheme; known ones are emlb, empty, kube-vip and metallb")]
    Scheme,
    /// The switch for custom resources is neither on nor off.
    #[error("needs a boolean for crdConfiguration")]
    CrdConfiguration,
    /// EMLB is not offered there.
    #[error("needs a metro, as in emlb:///da; valid values are da, ny and sv")]
    Metro,
}

impl BackEnd {
    /// Whether its addresses are Elastic IPs that nodes announce over BGP.
    pub fn uses_bgp(&self) -> bool {
        !matches!(self, Self::Emlb { .. })
    }

    /// Its name in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::KubeVip => "kube-vip",
            Self::Empty => "empty, bgp only",
            Self::MetalLbConfigMap { .. } | Self::MetalLbResources { .. } => "metallb",
            Self::Emlb { .. } => "emlb",
        }
    }
}

impl std::str::FromStr for BackEnd {
    type Err = BackEndError;

    fn from_str(text: &str) -> Result<Self, BackEndError> {
        let (scheme, rest) = text.split_once(':').ok_or(BackEndError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // What was meant by two slashes where there should be three is plain enough.
        let path = rest.trim_matches('/');
        match scheme.to_ascii_lowercase().as_str() {
            "kube-vip" => Ok(Self::KubeVip),
            "empty" => Ok(Self::Empty),
            "metallb" => metallb(path, query),
            "emlb" => {
                let known = EMLB_LOCATIONS.iter().any(|(metro, _)| *metro == path);
                let metro = path.to_owned();
                known.then_some(Self::Emlb { metro }).ok_or(BackEndError::Metro)
            }
            _ => Err(BackEndError::Scheme),
        }
    }
}

/// A truth value as Go's `strconv.ParseBool` reads it.
fn bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn metallb(path: &str, query: &str) -> Result<BackEnd, BackEndError> {
    let (namespace, name) = path.split_once('/').unwrap_or((path, ""));
    let or = |text: &str, default: &str| if text.is_empty() { default } else { text }.to_owned();
    let namespace = or(namespace, "metallb-system");
    let mut resources = false;
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if key == "crdConfiguration" {
            resources = bool(value).ok_or(BackEndError::CrdConfiguration)?;
        }
    }
    Ok(if resources {
        BackEnd::MetalLbResources { namespace }
    } else {
        let name = or(name, "config");
        BackEnd::MetalLbConfigMap { namespace, name }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_setting_is_read() {
        let map = |namespace: &str, name: &str| BackEnd::MetalLbConfigMap {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let resources = |namespace: &str| BackEnd::MetalLbResources {
            namespace: namespace.to_owned(),
        };
        let emlb = |metro: &str| BackEnd::Emlb {
            metro: metro.to_owned(),
        };
        for (text, expected) in [
            ("kube-vip://", Ok(BackEnd::KubeVip)),
            ("kube-vip:///anything", Ok(BackEnd::KubeVip)),
            ("empty://", Ok(BackEnd::Empty)),
            ("metallb:///metallb-system/config", Ok(map("metallb-system", "config"))),
            ("metallb:///ns/map/", Ok(map("ns", "map"))),
            ("metallb://", Ok(map("metallb-system", "config"))),
            ("metallb:///ns?crdConfiguration=false", Ok(map("ns", "config"))),
            ("metallb:///ns?crdConfiguration=true", Ok(resources("ns"))),
            ("metallb:///?crdConfiguration=1", Ok(resources("metallb-system"))),
            (
                "metallb:///ns?crdConfiguration=yes",
                Err(BackEndError::CrdConfiguration),
            ),
            ("emlb:///sv", Ok(emlb("sv"))),
            ("emlb:///sv/", Ok(emlb("sv"))),
            ("emlb://da", Ok(emlb("da"))),
            ("emlb:///", Err(BackEndError::Metro)),
            ("emlb:///am", Err(BackEndError::Metro)),
            ("haproxy://", Err(BackEndError::Scheme)),
            ("metallb", Err(BackEndError::Scheme)),
            ("://", Err(BackEndError::Scheme)),
        ] {
            assert_eq!(text.parse::<BackEnd>(), expected, "{text}");
        }
    }
}
