//! What is there on the first day: organizations, their tokens, regions and server classes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::market;

/// Logs in to `acme`, which has billing and is where most tests live.
pub const ACME_TOKEN: &str = "spot-sim-refresh-token-acme";
/// Logs in to `acme` too, as another user.
pub const ACME_COLLEAGUE_TOKEN: &str = "spot-sim-refresh-token-acme-colleague";
/// Logs in to `frederick.`, whose name has a dot.
pub const FREDERICK_TOKEN: &str = "spot-sim-refresh-token-frederick";
/// Logs in to `penniless`, which has no billing.
pub const PENNILESS_TOKEN: &str = "spot-sim-refresh-token-penniless";
/// Once logged in to `acme`, and is revoked.
pub const REVOKED_TOKEN: &str = "spot-sim-refresh-token-revoked";

/// The namespace of `acme`.
pub const ACME_NAMESPACE: &str = "org-acme0001";

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Organization {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) billing: bool,
}

impl Organization {
    pub(crate) fn namespace(&self) -> String {
        namespace_of(&self.id)
    }
}

/// The namespace of the organization with this id.
pub(crate) fn namespace_of(org_id: &str) -> String {
    org_id.to_lowercase().replace('_', "-")
}

/// A refresh token that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshToken {
    pub(crate) org_id: String,
    /// Whose it is; without one, the only person the organization seems to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(default = "yes")]
    pub(crate) email_verified: bool,
    #[serde(default)]
    pub(crate) revoked: bool,
}

fn yes() -> bool {
    true
}

pub(crate) fn organizations() -> Vec<Organization> {
    [
        ("org_Acme0001", "acme", "Acme Incorporated", true),
        ("org_Fred0002", "frederick.", "Frederick's", true),
        ("org_Poor0003", "penniless", "Penniless Ltd", false),
    ]
    .map(|(id, name, display_name, billing)| Organization {
        id: id.to_owned(),
        name: name.to_owned(),
        display_name: display_name.to_owned(),
        billing,
    })
    .to_vec()
}

pub(crate) fn refresh_tokens() -> BTreeMap<String, RefreshToken> {
    [
        (ACME_TOKEN, "org_Acme0001", None, false),
        (ACME_COLLEAGUE_TOKEN, "org_Acme0001", Some("acme-colleague"), false),
        (FREDERICK_TOKEN, "org_Fred0002", None, false),
        (PENNILESS_TOKEN, "org_Poor0003", None, false),
        (REVOKED_TOKEN, "org_Acme0001", None, true),
    ]
    .map(|(token, org_id, user, revoked)| {
        let entry = RefreshToken {
            org_id: org_id.to_owned(),
            user: user.map(str::to_owned),
            email_verified: true,
            revoked,
        };
        (token.to_owned(), entry)
    })
    .into()
}

/// Name, country, what it is, generation, the location part of its server classes.
const REGIONS: [(&str, &str, &str, &str, &str); 8] = [
    ("us-east-iad-1", "USA", "Ashburn, Virginia", "v1", "iad"),
    ("us-central-dfw-1", "USA", "Dallas, Texas", "v1", "dfw"),
    ("us-central-ord-1", "USA", "Chicago, Illinois", "v1", "ord"),
    ("hkg-hkg-1", "HKG", "Hong Kong", "v1", "hkg"),
    ("aus-syd-1", "AUS", "Sydney, New South Wales", "v1", "syd"),
    ("uk-lon-1", "GBR", "London", "v1", "lon"),
    ("us-west-sjc-1", "USA", "San Jose, California", "v2", "sjc"),
    ("us-central-dfw-2", "USA", "Dallas, Texas", "v2", "dfw2"),
];

pub(crate) fn regions() -> Vec<Value> {
    REGIONS
        .iter()
        .map(|(name, country, description, generation, location)| {
            json!({
                "metadata": {"name": name},
                "spec": {
                    "country": country, "description": description, "generation": generation,
                    "provider": {"providerRegionName": location.to_uppercase(), "providerType": "ospc"},
                },
            })
        })
        .collect()
}

struct Flavor {
    family: &'static str,
    size: &'static str,
    cpu: u32,
    memory: &'static str,
}

const fn flavor(family: &'static str, size: &'static str, cpu: u32, memory: &'static str) -> Flavor {
    Flavor {
        family,
        size,
        cpu,
        memory,
    }
}

/// The virtual machines of generation 1.
const VS1: [Flavor; 12] = [
    flavor("gp", "medium", 2, "3.75GB"),
    flavor("gp", "large", 4, "15GB"),
    flavor("gp", "xlarge", 8, "30GB"),
    flavor("gp", "2xlarge", 16, "60GB"),
    flavor("ch", "medium", 2, "3.75GB"),
    flavor("ch", "large", 4, "7.5GB"),
    flavor("ch", "xlarge", 8, "15GB"),
    flavor("ch", "2xlarge", 16, "30GB"),
    flavor("mh", "medium", 2, "15GB"),
    flavor("mh", "large", 4, "30GB"),
    flavor("mh", "xlarge", 8, "60GB"),
    flavor("mh", "2xlarge", 16, "120GB"),
];

/// The virtual machines of generation 2.
const VS2: [Flavor; 10] = [
    flavor("gp", "medium", 2, "4GB"),
    flavor("gp", "large", 4, "16GB"),
    flavor("gp", "xlarge", 8, "32GB"),
    flavor("gp", "2xlarge", 16, "64GB"),
    flavor("ch", "medium", 2, "4GB"),
    flavor("ch", "large", 4, "8GB"),
    flavor("ch", "xlarge", 8, "16GB"),
    flavor("mh", "medium", 2, "16GB"),
    flavor("mh", "large", 4, "32GB"),
    flavor("mh", "xlarge", 8, "64GB"),
];

/// Whole machines, by the location they stand at.
const METAL: [(&str, &str); 8] = [
    ("gp.bm2.small", "iad"),
    ("io.bm2", "iad"),
    ("gp.bm2.medium", "dfw"),
    ("gp.bm2.large", "dfw"),
    ("gp.bm2.small", "lon"),
    ("gp.bm2.medium", "lon"),
    ("gp.bm2.large", "lon"),
    ("io.bm2", "lon"),
];

pub(crate) fn server_classes() -> Vec<Value> {
    let mut classes = Vec::new();
    for (region, _, _, generation, location) in REGIONS {
        let (word, flavors) = if generation == "v1" {
            ("vs1", &VS1[..])
        } else {
            ("vs2", &VS2[..])
        };
        for Flavor {
            family,
            size,
            cpu,
            memory,
        } in flavors
        {
            let name = format!("{family}.{word}.{size}-{location}");
            classes.push(class(&name, region, "VM", *cpu, memory, "available", 50));
        }
        for (metal, _) in METAL.iter().filter(|(_, at)| *at == location) {
            let name = format!("{metal}-{location}");
            classes.push(class(&name, region, "Bare metal", 24, "128GB", "available", 5));
        }
        if location == "sjc" {
            classes.push(class(
                "gpu.vs2.xlargeplusplus-sjc",
                region,
                "VM",
                24,
                "128GB",
                "available",
                4,
            ));
        }
        if location == "iad" {
            classes.push(class("gp.vs1.small-iad", region, "VM", 1, "1.875GB", "deprecated", 0));
        }
    }
    classes
}

fn class(name: &str, region: &str, flavor: &str, cpu: u32, memory: &str, availability: &str, capacity: u32) -> Value {
    let category = match name.split('.').next() {
        Some("ch") => "Compute Heavy",
        Some("mh") => "Memory Heavy",
        Some("gpu") => "GPU",
        Some("io") => "I/O Optimized",
        _ => "General Purpose",
    };
    let price = market::text(u64::from(cpu) * 30);
    let mut resources = json!({"cpu": cpu.to_string(), "memory": memory, "disk": "40GB"});
    if name.starts_with("gpu.") {
        resources["gpu"] = json!("1");
    }
    json!({
        "metadata": {"name": name},
        "spec": {
            "availability": availability, "category": category, "displayName": format!("{category}, {name}"),
            "flavorType": flavor, "minBidPricePerHour": "0.01",
            "onDemandPricing": {"cost": price, "interval": "1h"},
            "provider": {"providerFlavorID": name.replace('-', "."), "providerType": "ospc"},
            "region": region, "resources": resources,
        },
        "status": {"capacity": capacity},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_the_classes_it_has_in_life() {
        let classes = server_classes();
        let count = |region: &str| classes.iter().filter(|class| class["spec"]["region"] == region).count();
        for (region, expected) in [
            ("us-east-iad-1", 15),
            ("us-central-dfw-1", 14),
            ("us-central-ord-1", 12),
            ("uk-lon-1", 16),
            ("us-west-sjc-1", 11),
            ("us-central-dfw-2", 10),
        ] {
            assert_eq!(count(region), expected, "{region}");
        }
        assert!(
            classes
                .iter()
                .any(|class| class["metadata"]["name"] == "gp.vs2.medium-dfw2")
        );
    }

    #[test]
    fn a_namespace_is_the_organizations_id_in_lower_case_with_dashes() {
        assert_eq!(organizations()[0].namespace(), ACME_NAMESPACE);
    }
}
