//! What is there on the first day: places, plans, projects and keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::world::{Project, Table};

/// The project most tests live in.
pub const PROJECT_ID: &str = "5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11";
/// A key of a user who may use [`PROJECT_ID`] and [`OTHER_PROJECT_ID`].
pub const API_KEY: &str = "metal-sim-user-api-key-0001";
/// A key of [`PROJECT_ID`] that may not write.
pub const READ_ONLY_KEY: &str = "metal-sim-read-only-key-0002";
/// Another project.
pub const OTHER_PROJECT_ID: &str = "c7a1d6a2-51f5-4b9e-8f0c-3d2b1a098877";
/// A key of [`OTHER_PROJECT_ID`] alone.
pub const OTHER_API_KEY: &str = "metal-sim-project-api-key-0003";

/// A metro: a region of facilities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metro {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) country: String,
}

/// A facility: one building.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facility {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) metro: String,
}

/// A kind of device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) slug: String,
    /// Whether its devices speak BGP with the loopbacks of two routers, not with their gateway.
    #[serde(default = "yes")]
    pub(crate) multihop: bool,
}

/// What a key may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Key {
    /// The only project it is good for; all of them when not given.
    pub(crate) project: Option<String>,
    pub(crate) read_only: bool,
}

fn yes() -> bool {
    true
}

/// An id that is the same in every simulation.
pub(crate) fn named_id(name: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

pub(crate) fn metros() -> Vec<Metro> {
    [
        ("da", "Dallas", "US"),
        ("ny", "New York", "US"),
        ("sv", "Silicon Valley", "US"),
        ("am", "Amsterdam", "NL"),
        ("fr", "Frankfurt", "DE"),
        ("dc", "Washington DC", "US"),
        ("sg", "Singapore", "SG"),
        ("sy", "Sydney", "AU"),
    ]
    .map(|(code, name, country)| Metro {
        id: named_id(&format!("metro/{code}")),
        code: code.to_owned(),
        name: name.to_owned(),
        country: country.to_owned(),
    })
    .to_vec()
}

pub(crate) fn facilities() -> Vec<Facility> {
    [
        ("da11", "Dallas 11", "da"),
        ("da6", "Dallas 6", "da"),
        ("ny5", "New York 5", "ny"),
        ("ny7", "New York 7", "ny"),
        ("sv15", "Silicon Valley 15", "sv"),
        ("sv16", "Silicon Valley 16", "sv"),
        ("am6", "Amsterdam 6", "am"),
        ("fr8", "Frankfurt 8", "fr"),
        ("dc13", "Washington DC 13", "dc"),
        ("sg5", "Singapore 5", "sg"),
        ("sy5", "Sydney 5", "sy"),
    ]
    .map(|(code, name, metro)| Facility {
        id: named_id(&format!("facility/{code}")),
        code: code.to_owned(),
        name: name.to_owned(),
        metro: metro.to_owned(),
    })
    .to_vec()
}

pub(crate) fn plans() -> Vec<Plan> {
    [
        ("c3.small.x86", true),
        ("c3.medium.x86", true),
        ("m3.small.x86", true),
        ("m3.large.x86", true),
        ("s3.xlarge.x86", true),
        ("n3.xlarge.x86", true),
        ("c3.large.arm64", true),
        // The first generation spoke with its gateway.
        ("baremetal_0", false),
    ]
    .map(|(slug, multihop)| Plan {
        id: named_id(&format!("plan/{slug}")),
        slug: slug.to_owned(),
        multihop,
    })
    .to_vec()
}

pub(crate) fn projects() -> Table<Project> {
    let mut projects = Table::default();
    for (id, name) in [(PROJECT_ID, "kubernetes"), (OTHER_PROJECT_ID, "elsewhere")] {
        projects.insert(Project {
            id: id.to_owned(),
            name: name.to_owned(),
            ..Project::default()
        });
    }
    projects
}

pub(crate) fn keys() -> BTreeMap<String, Key> {
    let key = |project: Option<&str>, read_only| Key {
        project: project.map(str::to_owned),
        read_only,
    };
    [
        (API_KEY, key(None, false)),
        (READ_ONLY_KEY, key(Some(PROJECT_ID), true)),
        (OTHER_API_KEY, key(Some(OTHER_PROJECT_ID), false)),
    ]
    .map(|(name, key)| (name.to_owned(), key))
    .into()
}
