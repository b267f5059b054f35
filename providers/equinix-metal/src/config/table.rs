//! Everything that can be set, and where: the reference page is held against this table.

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that no log shows.
    Secret,
    /// A http or https URL.
    Url,
    /// A whole number up to this one.
    Number(u32),
    /// A truth value as Go reads it.
    Bool,
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key in the file; upper and lower case are the same.
    pub key: &'static str,
    /// Its environment variable, which wins when it is not empty.
    pub env: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Its value when it is not given; empty for none.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn setting(
    key: &'static str,
    env: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        env,
        kind,
        default,
        help,
    }
}

use Kind::{Bool, Number, Secret, Text, Url};

/// All options. Keys, variables and defaults are those of the Go program (`metal/config.go`), but for the three URLs: it
/// reads `base-url` and never uses it.
pub const SETTINGS: &[Setting] = &[
    setting("apiKey", "METAL_API_KEY", Secret, "", "The API key. Required."),
    setting(
        "projectID",
        "METAL_PROJECT_ID",
        Text,
        "",
        "The UUID of the project that the cluster's devices are in. Required.",
    ),
    setting(
        "base-url",
        "METAL_BASE_URL",
        Url,
        "https://api.equinix.com/metal/v1",
        "The API.",
    ),
    setting(
        "emlb-base-url",
        "METAL_EMLB_BASE_URL",
        Url,
        "https://lb.metalctrl.io",
        "The load balancer API. Without it, the host of `base-url` when that is given.",
    ),
    setting(
        "token-exchange-url",
        "METAL_TOKEN_EXCHANGE_URL",
        Url,
        "https://iam.metalctrl.io/api-keys/exchange",
        "Where the API key buys tokens of the load balancer API. Without it, `/api-keys/exchange` on the host of \
         `base-url` when that is given.",
    ),
    setting(
        "loadbalancer",
        "METAL_LOAD_BALANCER",
        Text,
        "",
        "What gives Services of type LoadBalancer their addresses: `kube-vip://`, `metallb:///NAMESPACE/CONFIGMAP`, \
         `metallb:///NAMESPACE?crdConfiguration=true`, `empty://` or `emlb:///METRO`. Without it nothing does.",
    ),
    setting(
        "metro",
        "METAL_METRO_NAME",
        Text,
        "",
        "The metro that addresses are reserved in, unless the Service says otherwise.",
    ),
    setting(
        "facility",
        "METAL_FACILITY_NAME",
        Text,
        "",
        "The facility that addresses are reserved in when there is no metro.",
    ),
    setting(
        "localASN",
        "METAL_LOCAL_ASN",
        Number(u32::MAX),
        "65000",
        "The number that devices speak BGP as. Used only when BGP is not enabled in the project yet.",
    ),
    setting(
        "bgpPass",
        "METAL_BGP_PASS",
        Secret,
        "",
        "The password of BGP sessions. Used only when BGP is not enabled in the project yet.",
    ),
    setting(
        "annotationLocalASN",
        "METAL_ANNOTATION_LOCAL_ASN",
        Text,
        "metal.equinix.com/bgp-peers-{{n}}-node-asn",
        "The node annotation with the number that the node speaks BGP as.",
    ),
    setting(
        "annotationPeerASN",
        "METAL_ANNOTATION_PEER_ASN",
        Text,
        "metal.equinix.com/bgp-peers-{{n}}-peer-asn",
        "The node annotation with the number that its peer speaks BGP as.",
    ),
    setting(
        "annotationPeerIP",
        "METAL_ANNOTATION_PEER_IP",
        Text,
        "metal.equinix.com/bgp-peers-{{n}}-peer-ip",
        "The node annotation with the address of its peer.",
    ),
    setting(
        "annotationSrcIP",
        "METAL_ANNOTATION_SRC_IP",
        Text,
        "metal.equinix.com/bgp-peers-{{n}}-src-ip",
        "The node annotation with the address that the node speaks BGP from.",
    ),
    setting(
        "annotationBGPPass",
        "METAL_ANNOTATION_BGP_PASS",
        Text,
        "metal.equinix.com/bgp-peers-{{n}}-bgp-pass",
        "The node annotation with the password of the session, in base64.",
    ),
    setting(
        "annotationNetworkIPv4Private",
        "METAL_ANNOTATION_NETWORK_IPV4_PRIVATE",
        Text,
        "metal.equinix.com/network-4-private",
        "The node annotation with the block of its private addresses.",
    ),
    setting(
        "annotationEIPMetro",
        "METAL_ANNOTATION_EIP_METRO",
        Text,
        "metal.equinix.com/eip-metro",
        "The Service annotation with the metro to reserve its address in.",
    ),
    setting(
        "annotationEIPFacility",
        "METAL_ANNOTATION_EIP_FACILITY",
        Text,
        "metal.equinix.com/eip-facility",
        "The Service annotation with the facility to reserve its address in.",
    ),
    setting(
        "eipTag",
        "METAL_EIP_TAG",
        Text,
        "",
        "The tag of the Elastic IP that is kept on a healthy control-plane node. Without it none is.",
    ),
    setting(
        "loadBalancerID",
        "METAL_LOAD_BALANCER_ID",
        Text,
        "",
        "The ID of the EMLB load balancer in front of the control plane. Needs `loadbalancer` to be `emlb:///METRO`.",
    ),
    setting(
        "apiServerPort",
        "METAL_API_SERVER_PORT",
        Number(65535),
        "0",
        "The port that the control plane is reached at from outside; 0 for the one kube-apiserver listens on.",
    ),
    setting(
        "bgpNodeSelector",
        "METAL_BGP_NODE_SELECTOR",
        Text,
        "",
        "A label selector for the nodes that speak BGP. Without it all do.",
    ),
    setting(
        "eipHealthCheckUseHostIP",
        "METAL_EIP_HEALTH_CHECK_USE_HOST_IP",
        Bool,
        "false",
        "Whether the control-plane node that has the Elastic IP is checked at an address of its own.",
    ),
];
