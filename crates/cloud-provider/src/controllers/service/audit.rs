//! Load balancers that bear the cluster's mark although their Service is gone.

use crate::cloud::{LoadBalancers, OwnedBalancer};
use crate::data::Service;
use crate::error::CloudError;

/// A load balancer without a Service.
pub type Orphan = OwnedBalancer;

/// The load balancers of the cluster that no Service has, sorted by name; nothing when the cloud cannot list them.
/// Changes nothing. `services` must be all there are.
pub async fn orphans(
    balancers: &dyn LoadBalancers,
    cluster: &str,
    services: &[std::sync::Arc<Service>],
) -> Result<Option<Vec<Orphan>>, CloudError> {
    let Some(mut owned) = balancers.list(cluster).await? else {
        return Ok(None);
    };
    let wanted: std::collections::BTreeSet<String> = services
        .iter()
        .filter(|service| super::wants_load_balancer(service) || crate::helpers::has_finalizer(service))
        .map(|service| balancers.name(cluster, service))
        .collect();
    owned.retain(|balancer| !wanted.contains(&balancer.name));
    owned.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(owned))
}
