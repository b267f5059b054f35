//! What a cloud must answer.

use std::sync::Arc;

use async_trait::async_trait;
use kit::Clock;
use kube_kit::metrics::Registry;
use kube_kit::{Fence, Recorder, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::data::{Address, Ingress, Node, Route, Service};
use crate::error::CloudError;

/// A cloud. Implement this, and what it says it offers, and hand it to a [`crate::Manager`].
///
/// What is offered must not change while the process runs. All methods may be called at the same time from many tasks.
#[async_trait]
pub trait Cloud: Send + Sync + 'static {
    /// Its name, as `--cloud-provider` takes it. By convention also the scheme of its provider IDs.
    fn name(&self) -> &str;

    /// Called once the lease is won and before any controller starts. May start tasks of its own on
    /// [`Context::tasks`], which must end when [`Context::stop`] is cancelled. An error stops the process: a passing
    /// fault is better waited for.
    async fn initialize(&self, _context: &Context) -> Result<(), CloudError> {
        Ok(())
    }

    /// Its instances. Without them nodes are neither initialised nor deleted.
    fn instances(&self) -> Option<&dyn Instances> {
        None
    }

    /// Its load balancers.
    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        None
    }

    /// Its routes.
    fn routes(&self) -> Option<&dyn Routes> {
        None
    }

    /// Whether it can tell the clusters in one account apart.
    fn has_cluster_id(&self) -> bool {
        true
    }

    /// Whether a node with this provider ID, which is not empty, is this cloud's. Nodes of others are left alone. An ID
    /// without a scheme counts as ours unless told otherwise.
    fn owns(&self, provider_id: &str) -> bool {
        provider_id
            .split_once("://")
            .is_none_or(|(scheme, _)| scheme == self.name())
    }
}

/// What a cloud may use of the manager that runs it.
#[derive(Clone)]
pub struct Context {
    /// A client of its own, which writes only while the lease is held.
    pub client: kube::Client,
    /// The cluster's nodes, kept current.
    pub nodes: Store<Node>,
    /// The cluster's Services, kept current.
    pub services: Store<Service>,
    /// `--cluster-name`.
    pub cluster: String,
    /// Tells people about objects.
    pub recorder: Recorder,
    /// The process's metrics.
    pub metrics: Registry,
    /// The time.
    pub clock: Clock,
    /// Closed once the lease is lost: to be checked before each write to the cloud that no controller asked for.
    pub fence: Fence,
    /// Cancelled when everything must end.
    pub stop: CancellationToken,
    /// Where tasks of its own are to be started, so that the process waits for them.
    pub tasks: TaskTracker,
}

/// What a cloud knows about a node's instance.
#[derive(Debug)]
pub enum Sighting {
    /// It is there, and switched on or on its way to that.
    Running(Metadata),
    /// It is there, and switched off.
    ShutDown,
    /// It is not there any more. To be said only when the cloud has been asked for this very instance and has positively
    /// denied it: a list that it is missing from is no proof.
    Gone,
    /// Nothing can be said about it. Nothing is ever deleted, tainted or untainted because of this.
    Unknown(Unknown),
}

/// Why nothing can be said about a node's instance.
#[derive(Debug)]
pub enum Unknown {
    /// It is not this cloud's.
    Foreign,
    /// No instance fits the node, which does not mean that there is none: it has no provider ID yet, and names are
    /// late to appear in lists.
    NoMatch,
    /// Asking failed.
    Failed(CloudError),
}

/// What a cloud tells about an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its provider ID, `<provider>://<id>`. Its form must never change.
    pub provider_id: String,
    /// Its type; empty when it has none.
    pub instance_type: String,
    /// Its addresses, the most important of each type first.
    pub addresses: Vec<Address>,
    /// Its zone; empty when there are none.
    pub zone: String,
    /// Its region; empty when there are none.
    pub region: String,
    /// More labels for its node. Those in the `kubernetes.io` and `k8s.io` domains are not set.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// A cloud's instances.
#[async_trait]
pub trait Instances: Send + Sync {
    /// What is known about these nodes' instances: one answer for each, in the same order.
    ///
    /// One call asks about as many nodes as there are; answer it from list pages. To be looked up by provider ID where
    /// the node has one, else by name, labels or annotations. Nodes with another cloud's provider ID are not asked for.
    /// An error is the same as [`Unknown::Failed`] for all of them.
    async fn look_up(&self, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError>;
}

/// What a cloud tells about a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancer {
    /// Where it is reached.
    pub ingress: Vec<Ingress>,
}

/// A load balancer that bears this cluster's mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedBalancer {
    /// Its name, as [`LoadBalancers::name`] gives it.
    pub name: String,
    /// The Service it was made for, if its mark says so: `namespace/name`.
    pub service: Option<String>,
    /// The cloud's ID of it.
    pub id: String,
}

/// A cloud's load balancers.
///
/// Services and nodes are as last seen; whatever is done must come out the same when done twice, whoever died in between.
/// For one Service, no two calls are made at a time.
#[async_trait]
pub trait LoadBalancers: Send + Sync {
    /// The load balancer of a Service. That there is none is not an error: an error here would keep it for ever.
    async fn get(&self, cluster: &str, service: &Service) -> Result<Option<Balancer>, CloudError>;

    /// Its name. Derived from the Service alone.
    fn name(&self, _cluster: &str, service: &Service) -> String {
        crate::helpers::default_load_balancer_name(&service.uid)
    }

    /// Makes the load balancer, or brings it in line. [`CloudError::Pending`] while it is under way;
    /// [`CloudError::ImplementedElsewhere`] when another controller does this.
    async fn ensure(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<Balancer, CloudError>;

    /// Makes these nodes the ones that it sends traffic to.
    async fn update(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<(), CloudError>;

    /// Removes the load balancer and whatever a half-done [`LoadBalancers::ensure`] left. Succeeds when nothing is left.
    async fn delete(&self, cluster: &str, service: &Service) -> Result<(), CloudError>;

    /// All load balancers that bear this cluster's mark, for finding those whose Service is gone. Nothing when the cloud
    /// cannot tell.
    async fn list(&self, _cluster: &str) -> Result<Option<Vec<OwnedBalancer>>, CloudError> {
        Ok(None)
    }
}

/// A cloud's routes.
#[async_trait]
pub trait Routes: Send + Sync {
    /// All routes of the cluster.
    async fn list(&self, cluster: &str) -> Result<Vec<Route>, CloudError>;

    /// Makes a route. Its name must differ for each node and destination; `hint` is the node's UID.
    async fn create(&self, cluster: &str, hint: &str, route: &Route) -> Result<(), CloudError>;

    /// Removes a route, given as it was listed.
    async fn delete(&self, cluster: &str, route: &Route) -> Result<(), CloudError>;
}
