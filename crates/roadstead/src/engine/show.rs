//! How clusters are shown.

use kit::Table;
use kontainer_engine::Cluster;

use crate::console::{self, Format};
use crate::failure::Failure;

/// All clusters, a row each; for machines as records without their secrets.
pub(super) fn list(clusters: &[Cluster], output: Format) -> Result<(), Failure> {
    let redacted: Vec<Cluster> = clusters.iter().map(Cluster::redacted).collect();
    console::value(output, &redacted, || {
        let mut table = Table::new(["NAME", "DRIVER", "VERSION", "ENDPOINT", "NODE_COUNT", "STATUS"]);
        for cluster in clusters {
            let count = cluster.node_count.to_string();
            table.row([
                &cluster.name,
                &cluster.driver_name,
                &cluster.version,
                &cluster.endpoint,
                &count,
                &cluster.status,
            ]);
        }
        table.to_string()
    })
}

/// One cluster, without its secrets.
pub(super) fn inspect(cluster: &Cluster, output: Format) -> Result<(), Failure> {
    let cluster = cluster.redacted();
    let members = serde_json::to_value(&cluster).map_err(|error| Failure::other("write the cluster", error))?;
    console::value(output, &cluster, || {
        let mut table = Table::new(["MEMBER", "VALUE"]);
        for (name, value) in members.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            table.row([name.clone(), value]);
        }
        table.to_string()
    })
}
