//! Plain data of the APIs, as far as it is read.

use std::fmt;

use kit::lenient::{list, nullable};
use serde::{Deserialize, Deserializer, Serialize};

/// A server (`bmc/v1/servers`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Server {
    /// Its id.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// What it is doing.
    #[serde(deserialize_with = "nullable")]
    pub status: ServerStatus,
    /// Its name. Several may have the same.
    #[serde(deserialize_with = "nullable")]
    pub hostname: String,
    /// Its type, such as `s1.c1.small`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Where it is, such as `ASH`.
    #[serde(deserialize_with = "nullable")]
    pub location: String,
    /// Its addresses inside.
    #[serde(deserialize_with = "list")]
    pub private_ip_addresses: Vec<String>,
    /// Its addresses that the world can reach.
    #[serde(deserialize_with = "list")]
    pub public_ip_addresses: Vec<String>,
}

/// What a server is doing. Compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerStatus {
    /// Being made.
    Creating,
    /// Running.
    PoweredOn,
    /// Switched off.
    PoweredOff,
    /// Being deleted.
    Deleting,
    /// Paid for, with nothing on it.
    Reserved,
    /// Any other word.
    Other(String),
    /// None.
    #[default]
    Unknown,
}

impl<'de> Deserialize<'de> for ServerStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.to_ascii_lowercase().replace(['_', ' '], "-").as_str() {
            "" => Self::Unknown,
            "creating" => Self::Creating,
            "powered-on" => Self::PoweredOn,
            "powered-off" => Self::PoweredOff,
            "deleting" => Self::Deleting,
            "reserved" => Self::Reserved,
            _ => Self::Other(text),
        })
    }
}

/// An IP block (`ips/v1/ip-blocks`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IpBlock {
    /// Its id.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// Where it is.
    #[serde(deserialize_with = "nullable")]
    pub location: String,
    /// Its network, such as `203.0.113.8/29`.
    #[serde(deserialize_with = "nullable")]
    pub cidr: String,
    /// What it is doing.
    #[serde(deserialize_with = "nullable")]
    pub status: BlockStatus,
    /// What it is assigned to.
    pub assigned_resource_id: Option<String>,
    /// What kind of thing that is; see [`IpBlock::is_on_public_network`].
    pub assigned_resource_type: Option<String>,
    /// What it bears.
    #[serde(deserialize_with = "list")]
    pub tags: Vec<TagValue>,
    /// When it was bought, as a time of RFC 3339.
    #[serde(deserialize_with = "nullable")]
    pub created_on: String,
}

impl IpBlock {
    /// Whether it bears a tag of this name, whatever its value.
    pub fn has_tag(&self, name: &str) -> bool {
        self.tags.iter().any(|tag| tag.name == name)
    }

    /// The value of a tag, if it bears it.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let tag = self.tags.iter().find(|tag| tag.name == name)?;
        Some(tag.value.as_deref().unwrap_or_default())
    }

    /// Whether it bears all of these, each with its value.
    pub fn bears(&self, wanted: &[TagValue]) -> bool {
        wanted.iter().all(|wanted| self.tags.contains(wanted))
    }

    /// Whether what it is assigned to is a public network: the API has two spellings.
    pub fn is_on_public_network(&self) -> bool {
        let kind = self.assigned_resource_type.as_deref().unwrap_or_default();
        kind.to_ascii_lowercase().replace(['_', '-'], " ") == "public network"
    }
}

/// What an IP block is doing. Compared without regard to case; `_` is a blank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BlockStatus {
    /// Being made.
    Creating,
    /// Free.
    Unassigned,
    /// On its way to what it will be assigned to.
    Assigning,
    /// It did not get there.
    ErrorAssigning,
    /// There.
    Assigned,
    /// On its way from what it is assigned to.
    Unassigning,
    /// It did not get away.
    ErrorUnassigning,
    /// Any other word.
    Other(String),
    /// None.
    #[default]
    Unknown,
}

impl<'de> Deserialize<'de> for BlockStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.to_ascii_lowercase().replace(['_', '-'], " ").as_str() {
            "" => Self::Unknown,
            "creating" => Self::Creating,
            "unassigned" => Self::Unassigned,
            "assigning" => Self::Assigning,
            "error assigning" => Self::ErrorAssigning,
            "assigned" => Self::Assigned,
            "unassigning" => Self::Unassigning,
            "error unassigning" => Self::ErrorUnassigning,
            _ => Self::Other(text),
        })
    }
}

impl fmt::Display for BlockStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Unassigned => "unassigned",
            Self::Assigning => "assigning",
            Self::ErrorAssigning => "error assigning",
            Self::Assigned => "assigned",
            Self::Unassigning => "unassigning",
            Self::ErrorUnassigning => "error unassigning",
            Self::Other(text) => text,
            Self::Unknown => "unknown",
        })
    }
}

/// A tag with its value on something. Written, it is a request to put it there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct TagValue {
    /// The tag's name: letters, digits, `-` and `_`.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Its value, of the same characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl TagValue {
    /// A tag with a value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
        }
    }
}

/// A tag (`tag-manager/v1/tags`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tag {
    /// Its id.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
}

/// A public network (`networks/v1/public-networks`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PublicNetwork {
    /// Its id.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Where it is.
    #[serde(deserialize_with = "nullable")]
    pub location: String,
    /// `READY`, `BUSY`, `DELETING` or `ERROR`, as it came.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// Who is in it.
    #[serde(deserialize_with = "list")]
    pub memberships: Vec<Member>,
    /// Its blocks.
    #[serde(deserialize_with = "list")]
    pub ip_blocks: Vec<NetworkBlock>,
}

/// A private network (`networks/v1/private-networks`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PrivateNetwork {
    /// Its id.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Where it is.
    #[serde(deserialize_with = "nullable")]
    pub location: String,
    /// Its addresses, such as `10.0.0.0/24`.
    #[serde(deserialize_with = "nullable")]
    pub cidr: String,
    /// Who is in it.
    #[serde(deserialize_with = "list")]
    pub memberships: Vec<Member>,
}

/// A member of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Member {
    /// Its id.
    #[serde(deserialize_with = "nullable")]
    pub resource_id: String,
    /// `server`, `storage` or `virtual`.
    #[serde(deserialize_with = "nullable")]
    pub resource_type: String,
    /// Its addresses there: each one, or `first - last`.
    #[serde(deserialize_with = "list")]
    pub ips: Vec<String>,
}

/// A block as its network tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkBlock {
    /// The block's id.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// Its network.
    #[serde(deserialize_with = "nullable")]
    pub cidr: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn block(json: Value) -> IpBlock {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_is_left_out_or_null_is_empty_and_what_is_not_known_is_ignored() {
        let server: Server = serde_json::from_value(json!({
            "id": "a", "status": null, "privateIpAddresses": null, "tags": 5, "newField": {"x": [1]},
        }))
        .unwrap();
        assert_eq!((server.id.as_str(), server.status), ("a", ServerStatus::Unknown));
        assert!(server.private_ip_addresses.is_empty() && server.public_ip_addresses.is_empty());
        let network: PublicNetwork =
            serde_json::from_value(json!({"ipBlocks": null, "memberships": [{"ips": null}]})).unwrap();
        assert_eq!((network.ip_blocks.len(), network.memberships.len()), (0, 1));
        let free = block(json!({"id": "b", "status": "unassigned", "tags": null}));
        assert_eq!((free.assigned_resource_id, free.tags), (None, vec![]));
    }

    #[test]
    fn statuses_are_read_in_every_spelling() {
        for (text, status) in [
            ("assigned", BlockStatus::Assigned),
            ("ASSIGNED", BlockStatus::Assigned),
            ("error assigning", BlockStatus::ErrorAssigning),
            ("ERROR_UNASSIGNING", BlockStatus::ErrorUnassigning),
            ("subnetted", BlockStatus::Other("subnetted".to_owned())),
        ] {
            assert_eq!(block(json!({"status": text})).status, status);
        }
        for (text, status) in [
            ("powered-off", ServerStatus::PoweredOff),
            ("POWERED_OFF", ServerStatus::PoweredOff),
            ("reinstating", ServerStatus::Other("reinstating".to_owned())),
        ] {
            let server: Server = serde_json::from_value(json!({"status": text})).unwrap();
            assert_eq!(server.status, status);
        }
    }

    #[test]
    fn a_block_on_a_public_network_says_so_in_two_ways() {
        for (kind, expected) in [("public network", true), ("PUBLIC_NETWORK", true), ("server", false)] {
            assert_eq!(
                block(json!({"assignedResourceType": kind})).is_on_public_network(),
                expected,
                "{kind}"
            );
        }
        assert!(!block(json!({})).is_on_public_network());
    }

    #[test]
    fn tags_are_compared_with_their_values() {
        let block = block(json!({"tags": [{"id": "1", "name": "a", "value": "x"}, {"name": "delete", "value": null}]}));
        assert!(block.bears(&[TagValue::new("a", "x")]) && !block.bears(&[TagValue::new("a", "y")]));
        assert!(block.has_tag("delete") && !block.has_tag("b"));
        assert_eq!(
            (block.tag("a"), block.tag("delete"), block.tag("b")),
            (Some("x"), Some(""), None)
        );
    }
}
