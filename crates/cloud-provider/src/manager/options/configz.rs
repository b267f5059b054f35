//! The settings as `/configz` shows them: upstream's field names, durations as text.

use serde_json::{Value, json};

use super::Options;

impl Options {
    /// The settings as `/configz` shows them.
    pub fn configz(&self) -> Value {
        let p = &self.parsed;
        let (text, flag, list) = (|n: &str| p.text(n), |n: &str| p.bool(n), |n: &str| p.list(n));
        let number = |n: &str| p.number::<i32>(n);
        json!({ "cloudcontrollermanager.config.k8s.io": {
            "kind": "CloudControllerManagerConfiguration",
            "apiVersion": "cloudcontrollermanager.config.k8s.io/v1alpha1",
            "Generic": {
                "Port": number("secure-port"),
                "Address": text("bind-address"),
                "MinResyncPeriod": text("min-resync-period"),
                "ClientConnection": {
                    "Kubeconfig": text("kubeconfig"),
                    "AcceptContentTypes": "",
                    "ContentType": "application/json",
                    "QPS": p.number::<f64>("kube-api-qps"),
                    "Burst": number("kube-api-burst"),
                },
                "ControllerStartInterval": text("controller-start-interval"),
                "LeaderElection": {
                    "LeaderElect": flag("leader-elect"),
                    "LeaseDuration": text("leader-elect-lease-duration"),
                    "RenewDeadline": text("leader-elect-renew-deadline"),
                    "RetryPeriod": text("leader-elect-retry-period"),
                    "ResourceLock": text("leader-elect-resource-lock"),
                    "ResourceName": text("leader-elect-resource-name"),
                    "ResourceNamespace": text("leader-elect-resource-namespace"),
                },
                "Controllers": list("controllers"),
                "Debugging": {
                    "EnableProfiling": flag("profiling"),
                    "EnableContentionProfiling": flag("contention-profiling"),
                },
                "LeaderMigrationEnabled": flag("enable-leader-migration"),
                "LeaderMigration": {
                    "LeaderName": self.migration.as_ref().map_or("", |migration| migration.lease.as_str()),
                },
            },
            "KubeCloudShared": {
                "CloudProvider": { "Name": text("cloud-provider"), "CloudConfigFile": text("cloud-config") },
                "ExternalCloudVolumePlugin": text("external-cloud-volume-plugin"),
                "UseServiceAccountCredentials": flag("use-service-account-credentials"),
                "AllowUntaggedCloud": flag("allow-untagged-cloud"),
                "RouteReconciliationPeriod": text("route-reconciliation-period"),
                "NodeMonitorPeriod": text("node-monitor-period"),
                "ClusterName": text("cluster-name"),
                "ClusterCIDR": text("cluster-cidr"),
                "AllocateNodeCIDRs": flag("allocate-node-cidrs"),
                "CIDRAllocatorType": text("cidr-allocator-type"),
                "ConfigureCloudRoutes": flag("configure-cloud-routes"),
                "NodeSyncPeriod": text("node-sync-period"),
            },
            "NodeController": {
                "ConcurrentNodeSyncs": self.node.syncs,
                "ConcurrentNodeStatusUpdates": self.node.updates,
            },
            "ServiceController": { "ConcurrentServiceSyncs": self.service.syncs },
            "NodeStatusUpdateFrequency": text("node-status-update-frequency"),
            "Webhook": { "Webhooks": list("webhooks") },
        } })
    }
}
