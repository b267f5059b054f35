//! What is there.

use std::collections::BTreeMap;

use super::ownership;
use super::plan::Kind;
use super::state::{Pool, State};
use crate::client::{Autoscaling, CloudSpace, OnDemandNodePool, SpotClient, SpotNodePool, SpotResult, Taint};

/// A cloudspace and all pools in it, also those of others.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The cloudspace, if there is one.
    pub cloudspace: Option<CloudSpace>,
    /// Its pools, sorted by kind and name.
    pub pools: Vec<LivePool>,
}

/// A pool as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LivePool {
    /// Bid for, or bought.
    pub kind: Kind,
    /// A lower-case UUID.
    pub name: String,
    /// Kind of machine.
    pub class: String,
    /// Machines wanted.
    pub count: i64,
    /// Machines there.
    pub got: i64,
    /// Per hour; empty for on-demand pools.
    pub bid: String,
    /// The provider's word on the bid or the purchase; for people only.
    pub says: String,
    /// Whether the number follows the load.
    pub autoscaling: Autoscaling,
    /// Labels of its nodes.
    pub labels: BTreeMap<String, String>,
    /// Annotations of its nodes.
    pub annotations: BTreeMap<String, String>,
    /// Taints of its nodes.
    pub taints: Vec<Taint>,
    /// Whether it is ours to change.
    pub ours: bool,
    /// Whether it carries our label.
    pub labelled: bool,
    /// Whether it is on its way out.
    pub deleting: bool,
}

/// The sum of counts that come from outside: one that is beyond all bounds ends at the bound.
pub(super) fn total(counts: impl Iterator<Item = i64>) -> i64 {
    counts.fold(0, i64::saturating_add)
}

impl LivePool {
    /// Whether the number of machines follows the load.
    pub fn autoscales(&self) -> bool {
        self.autoscaling.enabled
    }

    /// The pool as a wish for what is there, with nothing unmanaged.
    pub fn as_pool(&self) -> Pool {
        Pool {
            kind: self.kind,
            name: self.name.clone(),
            class: self.class.clone(),
            count: self.count,
            bid: self.bid.clone(),
            autoscaling: self.autoscaling,
            labels: None,
            annotations: None,
            taints: None,
        }
    }
}

impl Observed {
    /// The pool of this name.
    pub fn pool(&self, name: &str) -> Option<&LivePool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// The pools that are ours.
    pub fn ours(&self) -> impl Iterator<Item = &LivePool> {
        self.pools.iter().filter(|pool| pool.ours)
    }
}

/// Reads the pools of the cluster's cloudspace. Lists the whole namespace, because only some clients set the label that a
/// list could select by.
pub async fn pools(client: &SpotClient, namespace: &str, state: &State) -> SpotResult<Vec<LivePool>> {
    let spot = client.spot_pools(namespace).await?;
    let bought = client.on_demand_pools(namespace).await?;
    let mut pools: Vec<LivePool> = spot
        .into_iter()
        .filter(|pool| pool.spec.cloud_space == state.cloudspace)
        .map(|pool| from_spot(pool, namespace, state))
        .collect();
    pools.extend(
        bought
            .into_iter()
            .filter(|pool| pool.spec.cloud_space == state.cloudspace)
            .map(|pool| from_on_demand(pool, namespace, state)),
    );
    pools.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(pools)
}

fn from_spot(pool: SpotNodePool, namespace: &str, state: &State) -> LivePool {
    let SpotNodePool { metadata, spec, status } = pool;
    LivePool {
        kind: Kind::Spot,
        ours: ownership::is_ours(&metadata, Kind::Spot, &spec.server_class, namespace, state),
        labelled: metadata.labels.contains_key(ownership::OWNER),
        deleting: metadata.deletion_timestamp.is_some(),
        name: metadata.name,
        class: spec.server_class,
        count: spec.desired,
        got: status.won_count,
        // Other clients write the price with a dollar sign.
        bid: spec.bid_price.trim_start_matches('$').to_owned(),
        says: status.bid_status,
        autoscaling: spec.autoscaling.unwrap_or_default(),
        labels: spec.custom_labels,
        annotations: spec.custom_annotations,
        taints: spec.custom_taints,
    }
}

fn from_on_demand(pool: OnDemandNodePool, namespace: &str, state: &State) -> LivePool {
    let OnDemandNodePool { metadata, spec, status } = pool;
    LivePool {
        kind: Kind::OnDemand,
        ours: ownership::is_ours(&metadata, Kind::OnDemand, &spec.server_class, namespace, state),
        labelled: metadata.labels.contains_key(ownership::OWNER),
        deleting: metadata.deletion_timestamp.is_some(),
        name: metadata.name,
        class: spec.server_class,
        count: spec.desired,
        got: status.reserved_count,
        bid: String::new(),
        says: status.reserved_status,
        autoscaling: Autoscaling::default(),
        labels: spec.custom_labels,
        annotations: spec.custom_annotations,
        taints: spec.custom_taints,
    }
}
