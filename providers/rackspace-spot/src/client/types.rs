//! The objects of the API, as far as anybody reads or writes them.
//!
//! Reading is lenient: a field that is missing or `null` is empty. Writing is exact: what is empty is not sent.

use std::collections::BTreeMap;

use kit::lenient::nullable;
use serde::{Deserialize, Serialize};

/// The names and marks of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Its name.
    pub name: String,
    /// The namespace of its organization.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Labels.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// When its deletion began; RFC 3339.
    #[serde(skip_serializing)]
    pub deletion_timestamp: Option<String>,
}

/// A managed control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct CloudSpace {
    /// Names and marks.
    pub metadata: Meta,
    /// What was asked for.
    pub spec: CloudSpaceSpec,
    /// What is.
    #[serde(skip_serializing, deserialize_with = "nullable")]
    pub status: CloudSpaceStatus,
}

/// What was asked of a cloudspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CloudSpaceSpec {
    /// Always `gen2` for new ones; immutable.
    #[serde(deserialize_with = "nullable")]
    pub deployment_type: String,
    /// Always `default`.
    #[serde(deserialize_with = "nullable")]
    pub cloud: String,
    /// Immutable.
    #[serde(deserialize_with = "nullable")]
    pub region: String,
    /// URL that is told of preemptions.
    #[serde(deserialize_with = "nullable")]
    pub webhook: String,
    /// `calico`, `cilium` or `byocni`; immutable.
    #[serde(deserialize_with = "nullable")]
    pub cni: String,
    /// Full version; a change is an upgrade.
    #[serde(deserialize_with = "nullable")]
    pub kubernetes_version: String,
    /// Whether the control plane is highly available.
    #[serde(rename = "HAControlPlane", deserialize_with = "nullable")]
    pub ha_control_plane: bool,
    /// Sent as the official SDK does; the published schema does not have it.
    #[serde(deserialize_with = "nullable")]
    pub gpu_enabled: bool,
}

/// What a cloudspace is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CloudSpaceStatus {
    /// `Provisioning`, `Ready`, `Upgrading`, `NoWinningBids`, `Error`, `Deleting`, …
    #[serde(deserialize_with = "nullable")]
    pub phase: String,
    /// Why; free text, also during normal work.
    #[serde(deserialize_with = "nullable")]
    pub reason: String,
    /// Host of the API server, without scheme; empty until the control plane is up.
    #[serde(rename = "APIServerEndpoint", deserialize_with = "nullable")]
    pub api_server_endpoint: String,
    /// The version that runs.
    #[serde(deserialize_with = "nullable")]
    pub current_kubernetes_version: String,
    /// How far an upgrade is.
    #[serde(deserialize_with = "nullable")]
    pub upgrade_phase: String,
}

/// A pool of machines that are bid for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct SpotNodePool {
    /// Names and marks; the name is a lower-case UUID.
    pub metadata: Meta,
    /// What was asked for.
    pub spec: SpotSpec,
    /// What is.
    #[serde(skip_serializing, deserialize_with = "nullable")]
    pub status: SpotStatus,
}

/// What was asked of a spot pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpotSpec {
    /// Kind of machine; immutable.
    #[serde(deserialize_with = "nullable")]
    pub server_class: String,
    /// How many; always required.
    #[serde(deserialize_with = "nullable")]
    pub desired: i64,
    /// US dollars per hour and machine.
    #[serde(deserialize_with = "nullable")]
    pub bid_price: String,
    /// Whose nodes they become; immutable.
    #[serde(deserialize_with = "nullable")]
    pub cloud_space: String,
    /// Whether the number follows the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Labels of its nodes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_labels: BTreeMap<String, String>,
    /// Annotations of its nodes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_annotations: BTreeMap<String, String>,
    /// Taints of its nodes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub custom_taints: Vec<Taint>,
}

/// How many machines came of the bids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpotStatus {
    /// Free text; never branch on it.
    #[serde(deserialize_with = "nullable")]
    pub bid_status: String,
    /// Machines won.
    #[serde(deserialize_with = "nullable")]
    pub won_count: i64,
}

/// A number of machines that follows the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Autoscaling {
    /// Whether it does. At most one pool of a cloudspace may.
    #[serde(deserialize_with = "nullable")]
    pub enabled: bool,
    /// Not fewer than this.
    #[serde(deserialize_with = "nullable")]
    pub min_nodes: i64,
    /// Not more than this.
    #[serde(deserialize_with = "nullable")]
    pub max_nodes: i64,
}

/// A taint of a pool's nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, may be empty.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What it does.
    pub effect: Effect,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Effect {
    /// New ones stay away.
    NoSchedule,
    /// New ones stay away if they can.
    PreferNoSchedule,
    /// Running ones leave, too.
    NoExecute,
}

/// A pool of machines at a fixed price.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct OnDemandNodePool {
    /// Names and marks; the name is a lower-case UUID.
    pub metadata: Meta,
    /// What was asked for.
    pub spec: OnDemandSpec,
    /// What is.
    #[serde(skip_serializing, deserialize_with = "nullable")]
    pub status: OnDemandStatus,
}

/// What was asked of an on-demand pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnDemandSpec {
    /// Kind of machine; immutable.
    #[serde(deserialize_with = "nullable")]
    pub server_class: String,
    /// How many.
    #[serde(deserialize_with = "nullable")]
    pub desired: i64,
    /// Whose nodes they become; immutable.
    #[serde(deserialize_with = "nullable")]
    pub cloud_space: String,
    /// Labels of its nodes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_labels: BTreeMap<String, String>,
    /// Annotations of its nodes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_annotations: BTreeMap<String, String>,
    /// Taints of its nodes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub custom_taints: Vec<Taint>,
}

/// How many machines are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnDemandStatus {
    /// Free text; never branch on it.
    #[serde(deserialize_with = "nullable")]
    pub reserved_status: String,
    /// Machines there.
    #[serde(deserialize_with = "nullable")]
    pub reserved_count: i64,
}

/// A place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Region {
    /// Its name.
    pub metadata: Meta,
    /// About it.
    #[serde(deserialize_with = "nullable")]
    pub spec: RegionSpec,
}

/// About a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RegionSpec {
    /// ISO 3166 alpha-3.
    #[serde(deserialize_with = "nullable")]
    pub country: String,
    /// For people.
    #[serde(deserialize_with = "nullable")]
    pub description: String,
}

/// A kind of machine in one region.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServerClass {
    /// Its name.
    pub metadata: Meta,
    /// About it.
    #[serde(deserialize_with = "nullable")]
    pub spec: ServerClassSpec,
    /// Its market.
    #[serde(deserialize_with = "nullable")]
    pub status: ServerClassStatus,
}

impl ServerClass {
    /// Whether new pools can be made of it.
    pub fn is_available(&self) -> bool {
        self.spec.availability == "available"
    }
}

/// About a kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerClassSpec {
    /// New pools can be made of it when this is `available`.
    #[serde(deserialize_with = "nullable")]
    pub availability: String,
    /// Where it is.
    #[serde(deserialize_with = "nullable")]
    pub region: String,
    /// The lowest bid taken.
    #[serde(deserialize_with = "nullable")]
    pub min_bid_price_per_hour: String,
    /// What a machine costs that is bought.
    #[serde(deserialize_with = "nullable")]
    pub on_demand_pricing: OnDemandPricing,
    /// What a machine has.
    #[serde(deserialize_with = "nullable")]
    pub resources: Resources,
}

/// The fixed price of a kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OnDemandPricing {
    /// US dollars.
    #[serde(deserialize_with = "nullable")]
    pub cost: String,
    /// For how long, as a Go duration; an hour where it is empty.
    #[serde(deserialize_with = "nullable")]
    pub interval: String,
}

/// What a machine has; numbers and units as the API writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Processors.
    #[serde(deserialize_with = "nullable")]
    pub cpu: String,
    /// Such as `3.75GB`.
    #[serde(deserialize_with = "nullable")]
    pub memory: String,
    /// Empty where it has none.
    #[serde(deserialize_with = "nullable")]
    pub gpu: String,
}

/// The market of a kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerClassStatus {
    /// Prices of the last auction.
    #[serde(deserialize_with = "nullable")]
    pub spot_pricing: SpotPricing,
}

/// Prices of an auction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpotPricing {
    /// What machines cost now.
    #[serde(deserialize_with = "nullable")]
    pub market_price_per_hour: String,
}
