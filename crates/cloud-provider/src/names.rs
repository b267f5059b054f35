//! Names on the wire: taints, labels, annotations, finalizers, controllers. All are those of `k8s.io/cloud-provider`
//! (`api/`, `cloud.go`, `names/`) and `k8s.io/api`.

/// On a node that waits for its first look-up; kubelet sets it. Only the key counts.
pub const TAINT_UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";
/// On a node whose instance is switched off.
pub const TAINT_SHUTDOWN: &str = "node.cloudprovider.kubernetes.io/shutdown";
/// On a node that the cluster autoscaler is about to remove; keeps it out of load balancers.
pub const TAINT_TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";
/// The addresses that kubelet was told to use (`--node-ip`).
pub const ANNOTATION_PROVIDED_NODE_IP: &str = "alpha.kubernetes.io/provided-node-ip";
/// Who may reach a load balancer, when `spec.loadBalancerSourceRanges` does not say.
pub const ANNOTATION_SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
/// Keeps a Service until its load balancer is gone.
pub const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
/// Keeps a node out of load balancers.
pub const LABEL_EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// The zone, as it is called now and as it was called before.
pub const LABEL_ZONE: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];
/// The region, as it is called now and as it was called before.
pub const LABEL_REGION: [&str; 2] = [
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/region",
];
/// The instance type, as it is called now and as it was called before.
pub const LABEL_INSTANCE_TYPE: [&str; 2] = ["node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"];
/// The condition that says why a node is not initialised. Not known to Kubernetes itself.
pub const CONDITION_INITIALIZED: &str = "CloudProviderInitialized";
/// The condition that says that a node's instance seems to be gone and why the node is kept.
pub const CONDITION_INSTANCE: &str = "CloudProviderInstanceExists";

/// The canonical names of the controllers and their older aliases, as `--controllers` takes them.
pub const CONTROLLERS: [(&str, &str); 4] = [
    (NODE_CONTROLLER, "cloud-node"),
    (LIFECYCLE_CONTROLLER, "cloud-node-lifecycle"),
    (SERVICE_CONTROLLER, "service"),
    (ROUTE_CONTROLLER, "route"),
];
/// Initialises nodes and keeps their addresses current.
pub const NODE_CONTROLLER: &str = "cloud-node-controller";
/// Deletes the nodes of instances that are gone and taints those of instances that are switched off.
pub const LIFECYCLE_CONTROLLER: &str = "cloud-node-lifecycle-controller";
/// Gives Services of type LoadBalancer their load balancers.
pub const SERVICE_CONTROLLER: &str = "service-lb-controller";
/// Makes the cloud route pod networks to their nodes.
pub const ROUTE_CONTROLLER: &str = "node-route-controller";
