//! What the API tells, cut down to what is read.

use kit::lenient::{list, nullable, secret};
use secrecy::SecretString;
use serde::Deserialize;

/// A link to another object; its last part is that object's ID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Href {
    /// Such as `/metal/v1/devices/<id>`.
    #[serde(deserialize_with = "nullable")]
    pub href: String,
}

impl Href {
    /// The ID it leads to; empty when there is none.
    pub fn id(&self) -> &str {
        last_segment(&self.href)
    }
}

/// What stands after the last slash of a link.
pub fn last_segment(href: &str) -> &str {
    href.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// A metro or a facility.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Such as `da` or `da11`; empty in a mere link.
    #[serde(deserialize_with = "nullable")]
    pub code: String,
}

/// A kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// Such as `c3.small.x86`; empty in a mere link.
    #[serde(deserialize_with = "nullable")]
    pub slug: String,
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Device {
    /// Its UUID.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// Its host name. Need not be unique.
    #[serde(deserialize_with = "nullable")]
    pub hostname: String,
    /// `queued`, `provisioning`, `deprovisioning`, `reinstalling`, `active`, `inactive`, `failed`, `powering_on`,
    /// `powering_off`, `deleted`, or what the API adds.
    #[serde(deserialize_with = "nullable")]
    pub state: String,
    /// What kind of machine it is.
    #[serde(deserialize_with = "nullable")]
    pub plan: Plan,
    /// Its region.
    #[serde(deserialize_with = "nullable")]
    pub metro: Place,
    /// Its zone.
    #[serde(deserialize_with = "nullable")]
    pub facility: Place,
    /// Its addresses, Elastic IPs among them.
    #[serde(deserialize_with = "list")]
    pub ip_addresses: Vec<IpAddress>,
    /// Its project.
    #[serde(deserialize_with = "nullable")]
    pub project: Href,
}

/// An address on a device. An assignment of a reservation is the same thing, seen from the other side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IpAddress {
    /// Its UUID; empty in a mere link (see [`IpAddress::id`]).
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// The address; empty in a mere link.
    #[serde(deserialize_with = "nullable")]
    pub address: String,
    /// 4 or 6.
    #[serde(deserialize_with = "nullable")]
    pub address_family: u8,
    /// Whether the world can reach it.
    #[serde(deserialize_with = "nullable")]
    pub public: bool,
    /// Whether it came with the device, so that it is no Elastic IP.
    #[serde(deserialize_with = "nullable")]
    pub management: bool,
    /// The block it was taken from; its network is known only when it was asked for.
    #[serde(deserialize_with = "nullable")]
    pub parent_block: ParentBlock,
    /// The device it is on.
    #[serde(deserialize_with = "nullable")]
    pub assigned_to: Href,
    /// The link to itself.
    #[serde(deserialize_with = "nullable")]
    pub href: String,
}

impl IpAddress {
    /// Its UUID, from the link if need be.
    pub fn id(&self) -> &str {
        if self.id.is_empty() {
            last_segment(&self.href)
        } else {
            &self.id
        }
    }
}

/// The block that an address was taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ParentBlock {
    /// Its first address; empty in a mere link.
    #[serde(deserialize_with = "nullable")]
    pub network: String,
    /// How many bits of it count.
    #[serde(deserialize_with = "nullable")]
    pub cidr: u8,
}

/// A reserved block of addresses: an Elastic IP, or part of a VRF.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Reservation {
    /// Its UUID.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// `public_ipv4`, `private_ipv4`, `global_ipv4`, `public_ipv6`, `vrf`, or what the API adds.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Its first address; empty in some VRF reservations.
    #[serde(deserialize_with = "nullable")]
    pub address: String,
    /// 4 or 6.
    #[serde(deserialize_with = "nullable")]
    pub address_family: u8,
    /// How many bits of it are the block's.
    #[serde(deserialize_with = "nullable")]
    pub cidr: u8,
    /// `created` when it can be used, `pending` or `denied` while or because nobody approved it.
    #[serde(deserialize_with = "nullable")]
    pub state: String,
    /// Its tags, as they were given.
    #[serde(deserialize_with = "list")]
    pub tags: Vec<String>,
    /// Its region.
    #[serde(deserialize_with = "nullable")]
    pub metro: Place,
    /// Where its addresses are; mere links unless they were asked for.
    #[serde(deserialize_with = "list")]
    pub assignments: Vec<IpAddress>,
    /// When it was made, as RFC 3339.
    #[serde(deserialize_with = "nullable")]
    pub created_at: String,
}

impl Reservation {
    /// Whether it is part of a VRF, and so none of our business.
    pub fn is_vrf(&self) -> bool {
        self.kind == "vrf"
    }
}

/// How a project speaks BGP. All is empty when it never did.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BgpConfig {
    /// Its UUID; empty when there is none.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// `enabled`, `requested` or `disabled`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// The number that devices speak as.
    #[serde(deserialize_with = "nullable")]
    pub asn: u32,
    /// The password of sessions, if there is one.
    #[serde(deserialize_with = "secret")]
    pub md5: Option<SecretString>,
    /// How many prefixes a session may announce; 0 when the API does not say.
    #[serde(deserialize_with = "nullable")]
    pub max_prefix: u32,
}

impl BgpConfig {
    /// Whether the project speaks BGP, or soon will.
    pub fn is_enabled(&self) -> bool {
        !self.id.is_empty() && self.status != "disabled"
    }
}

/// A BGP session of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct BgpSession {
    /// Its UUID.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// `ipv4` or `ipv6`.
    #[serde(deserialize_with = "nullable")]
    pub address_family: String,
    /// Its device.
    #[serde(deserialize_with = "nullable")]
    pub device: Href,
}

/// Whom a device speaks BGP with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BgpNeighbor {
    /// 4 or 6.
    #[serde(deserialize_with = "nullable")]
    pub address_family: u8,
    /// The number that the device speaks as.
    #[serde(deserialize_with = "nullable")]
    pub customer_as: u32,
    /// The address that the device speaks from.
    #[serde(deserialize_with = "nullable")]
    pub customer_ip: String,
    /// The password, if there is one.
    #[serde(deserialize_with = "secret")]
    pub md5_password: Option<SecretString>,
    /// The number that the peers speak as.
    #[serde(deserialize_with = "nullable")]
    pub peer_as: u32,
    /// The peers' addresses, in no order.
    #[serde(deserialize_with = "list")]
    pub peer_ips: Vec<String>,
}
