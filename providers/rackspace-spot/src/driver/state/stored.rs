//! The JSON form of the state.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::super::plan::Kind;
use super::{Extra, NodesReady, Pool, State};
use crate::client::{Autoscaling, Taint};

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Stored {
    /// Only ever read: the state of old versions of the Go driver has it.
    #[serde(skip_serializing, deserialize_with = "kit::lenient::secret")]
    refresh_token: Option<SecretString>,
    organization: String,
    cloudspace_name: String,
    region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    rancher_cluster_id: String,
    #[serde(skip_serializing_if = "is_false")]
    imported: bool,
    kubernetes_version: String,
    cni: String,
    gpu_enabled: bool,
    #[serde(rename = "preemptionWebhookURL", skip_serializing_if = "String::is_empty")]
    preemption_webhook_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    deployment_type: String,
    spot_pool_name: String,
    spot_server_class: String,
    spot_node_count: i64,
    spot_bid_price: String,
    spot_autoscaling: bool,
    #[serde(skip_serializing_if = "is_zero")]
    spot_min_nodes: i64,
    #[serde(skip_serializing_if = "is_zero")]
    spot_max_nodes: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    additional_spot_pools: Vec<StoredPool>,
    on_demand_enabled: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    on_demand_pool_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    on_demand_server_class: String,
    #[serde(skip_serializing_if = "is_zero")]
    on_demand_node_count: i64,
    /// What only this driver knows. An array, because engines read the keys of objects as options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roadstead: Vec<StoredExtra>,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredPool {
    name: String,
    server_class: String,
    node_count: i64,
    bid_price: String,
    autoscaling: bool,
    #[serde(skip_serializing_if = "is_zero")]
    min_nodes: i64,
    #[serde(skip_serializing_if = "is_zero")]
    max_nodes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taints: Option<Vec<Taint>>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredExtra {
    #[serde(skip_serializing_if = "Option::is_none")]
    owned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ha: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<BTreeMap<String, String>>,
    nodes_ready: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    nodes_timeout: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    control_plane_timeout: String,
    /// Labels, annotations and taints of the two pools whose other fields have keys of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    spot: Option<StoredPool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_demand: Option<StoredPool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    on_demand_pools: Vec<StoredPool>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(yes: &bool) -> bool {
    !yes
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl StoredPool {
    fn of(pool: &Pool) -> Self {
        Self {
            name: pool.name.clone(),
            server_class: pool.class.clone(),
            node_count: pool.count,
            bid_price: pool.bid.clone(),
            autoscaling: pool.autoscaling.enabled,
            min_nodes: pool.autoscaling.min_nodes,
            max_nodes: pool.autoscaling.max_nodes,
            labels: pool.labels.clone(),
            annotations: pool.annotations.clone(),
            taints: pool.taints.clone(),
        }
    }

    fn into_pool(self, kind: Kind) -> Pool {
        Pool {
            kind,
            name: self.name,
            class: self.server_class,
            count: self.node_count,
            bid: self.bid_price,
            autoscaling: Autoscaling {
                enabled: self.autoscaling,
                min_nodes: self.min_nodes,
                max_nodes: self.max_nodes,
            },
            labels: self.labels,
            annotations: self.annotations,
            taints: self.taints,
        }
    }
}

impl Stored {
    pub(super) fn of(state: &State) -> Self {
        let mut spot = state.of_kind(Kind::Spot);
        let mut on_demand = state.of_kind(Kind::OnDemand);
        let primary = spot.next();
        let bought = state.extra.first_on_demand.then(|| on_demand.next()).flatten();
        let first = primary.map(StoredPool::of).unwrap_or_default();
        let second = bought.map(StoredPool::of).unwrap_or_default();
        let extra = &state.extra;
        Self {
            refresh_token: None,
            organization: state.organization.clone(),
            cloudspace_name: state.cloudspace.clone(),
            region: state.region.clone(),
            rancher_cluster_id: state.cluster_id.clone(),
            imported: state.imported,
            kubernetes_version: state.version.clone(),
            cni: state.cni.clone(),
            gpu_enabled: state.gpu,
            preemption_webhook_url: state.webhook.clone().unwrap_or_default(),
            deployment_type: state.deployment_type.clone(),
            spot_pool_name: first.name.clone(),
            spot_server_class: first.server_class.clone(),
            spot_node_count: first.node_count,
            spot_bid_price: first.bid_price.clone(),
            spot_autoscaling: first.autoscaling,
            spot_min_nodes: first.min_nodes,
            spot_max_nodes: first.max_nodes,
            additional_spot_pools: spot.map(StoredPool::of).collect(),
            on_demand_enabled: bought.is_some(),
            on_demand_pool_name: second.name.clone(),
            on_demand_server_class: second.server_class.clone(),
            on_demand_node_count: second.node_count,
            roadstead: vec![StoredExtra {
                owned: extra.owned,
                ha: extra.ha,
                said: extra.said.clone(),
                nodes_ready: extra.nodes_ready.as_str().to_owned(),
                nodes_timeout: extra.nodes_timeout.clone(),
                control_plane_timeout: extra.control_plane_timeout.clone(),
                spot: primary.map(|_| first),
                on_demand: bought.map(|_| second),
                on_demand_pools: on_demand.map(StoredPool::of).collect(),
            }],
        }
    }

    pub(super) fn into_state(mut self) -> State {
        let ours = !self.roadstead.is_empty();
        let extra = self.roadstead.drain(..).next().unwrap_or_default();
        let mut pools = Vec::new();
        // An empty name means "no such pool" only where this driver or an import wrote the state.
        if !self.spot_pool_name.is_empty() || extra.spot.is_some() || (!ours && !self.spot_server_class.is_empty()) {
            let more = extra.spot.unwrap_or_default();
            pools.push(
                StoredPool {
                    name: self.spot_pool_name,
                    server_class: self.spot_server_class,
                    node_count: self.spot_node_count,
                    bid_price: self.spot_bid_price,
                    autoscaling: self.spot_autoscaling,
                    min_nodes: self.spot_min_nodes,
                    max_nodes: self.spot_max_nodes,
                    ..more
                }
                .into_pool(Kind::Spot),
            );
        }
        pools.extend(
            self.additional_spot_pools
                .into_iter()
                .map(|pool| pool.into_pool(Kind::Spot)),
        );
        if self.on_demand_enabled {
            let more = extra.on_demand.unwrap_or_default();
            pools.push(
                StoredPool {
                    name: self.on_demand_pool_name,
                    server_class: self.on_demand_server_class,
                    node_count: self.on_demand_node_count,
                    ..more
                }
                .into_pool(Kind::OnDemand),
            );
        }
        pools.extend(
            extra
                .on_demand_pools
                .into_iter()
                .map(|pool| pool.into_pool(Kind::OnDemand)),
        );
        State {
            refresh_token: self.refresh_token,
            organization: self.organization,
            cloudspace: self.cloudspace_name,
            cluster_id: self.rancher_cluster_id,
            imported: self.imported,
            region: self.region,
            version: self.kubernetes_version,
            cni: self.cni,
            gpu: self.gpu_enabled,
            webhook: Some(self.preemption_webhook_url).filter(|url| !url.is_empty()),
            deployment_type: self.deployment_type,
            pools,
            extra: Extra {
                owned: extra.owned,
                ha: extra.ha,
                said: extra.said,
                first_on_demand: self.on_demand_enabled,
                nodes_ready: NodesReady::parse(&extra.nodes_ready),
                nodes_timeout: extra.nodes_timeout,
                control_plane_timeout: extra.control_plane_timeout,
            },
        }
    }
}
