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
/// All methods may be called at the same time from many tasks. Those that are not `async` are asked again and again, about
/// each node: they must answer at once, from memory, and always the same. A process that only stands by for the lease calls
/// nothing that speaks to the provider.
///
/// | who calls | what | when |
/// |---|---|---|
/// | the manager | [`Cloud::initialize`] | once, when the lease is won |
/// | cloud-node-controller | [`Instances::look_up`] | for nodes that are not initialised, and for all nodes every `--node-status-update-frequency` |
/// | cloud-node-lifecycle-controller | [`Instances::look_up`] | for all nodes while some are not ready |
/// | service-lb-controller | [`LoadBalancers::ensure`], [`LoadBalancers::update`], [`LoadBalancers::delete`], [`LoadBalancers::get`] | when a Service or a node changes |
/// | `--audit` | [`LoadBalancers::list`], [`LoadBalancers::name`] | once |
/// | node-route-controller | [`Routes`] | when nodes change, and every five minutes |
///
/// Whatever is answered with an error is asked again: after its [`CloudError::after`] and not before, else ever later.
#[async_trait]
pub trait Cloud: Send + Sync + 'static {
    /// Its name, as `--cloud-provider` takes it. By convention also the scheme of its provider IDs.
    fn name(&self) -> &str;

    /// Called once in the life of a process, when the lease is won and before any controller starts. May start tasks of
    /// its own with [`Context::spawn`], such as one that reads what [`Instances::look_up`] will need while the cluster's
    /// nodes are still being read. It may take its time: it is dropped when the process is to stop. An error stops the
    /// process: a passing fault is better waited for.
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

    /// Whether a node with this provider ID, which is not empty, is this cloud's. Nodes of others are left alone by all
    /// controllers: they are neither asked for nor written to. An ID without a scheme counts as ours unless told
    /// otherwise.
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
    /// The tasks that [`Context::spawn`] started: the process waits for them.
    pub tasks: TaskTracker,
}

impl Context {
    /// Runs a task beside the controllers until it ends or everything must end; the process waits for it.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(task));
    }
}

/// What a cloud knows about a node's instance.
#[derive(Debug)]
pub enum Sighting {
    /// It is there, and switched on or on its way to that. Its node is initialised, its addresses are kept current, and
    /// whatever was suspected of it is forgotten. The shutdown taint goes only when kubelet says that the node is ready.
    Running(Metadata),
    /// It is there, and switched off. Its node gets the shutdown taint once it is not ready, and is not initialised.
    ShutDown,
    /// It is not there any more. To be said only when the cloud has been asked for this very instance and has positively
    /// denied it: a list that it is missing from is no proof, and neither is a refusal to show it. Of a node without a
    /// provider ID it cannot be said: that is [`Unknown::NoMatch`]. Its node is deleted after several such answers, if it
    /// is not ready and the cloud is believed.
    Gone,
    /// Nothing can be said about it. Nothing is ever deleted, tainted or untainted because of this, however long it
    /// lasts.
    Unknown(Unknown),
}

/// Why nothing can be said about a node's instance.
#[derive(Debug)]
pub enum Unknown {
    /// It is not this cloud's, or not this cluster's. The node is left alone and nobody is told.
    Foreign,
    /// No instance fits the node, which does not mean that there is none: it has no provider ID yet, and names are
    /// late to appear in lists. A node that waits for its initialisation is asked for again, ever later, and says so.
    NoMatch,
    /// Asking failed. When to ask for this node again is what [`CloudError::after`] says of this one; others are not
    /// held up. That it fails for some nodes for five minutes raises the alarm `CloudInstancesUnknown`.
    Failed(CloudError),
}

/// What a cloud tells about an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its provider ID, `<provider>://<id>`. Its form must never change. Empty when the cloud cannot tell: then the node
    /// must have one already. What the node has is never replaced.
    pub provider_id: String,
    /// Its type; empty when it has none.
    pub instance_type: String,
    /// Its addresses, the most important of each type first. Empty when there are none yet: a new node waits for them,
    /// and one that is initialised keeps those it has.
    pub addresses: Vec<Address>,
    /// Its zone; empty when there are none.
    pub zone: String,
    /// Its region; empty when there are none.
    pub region: String,
    /// More labels for its node. Those in the `kubernetes.io` and `k8s.io` domains are not set, nor, on a new node, those
    /// that it has already.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// A cloud's instances.
#[async_trait]
pub trait Instances: Send + Sync {
    /// What is known about these nodes' instances: one answer for each, in the same order. Another number of answers is
    /// an error.
    ///
    /// One call asks about as many nodes as there are, and about one at least; answer it from list pages. To be looked up
    /// by provider ID where the node has one, else by name, labels or annotations. Nodes with another cloud's provider ID
    /// are not asked for. Several calls may be under way at the same time. One is dropped after two minutes.
    ///
    /// An error is the same as [`Unknown::Failed`] for all of them, and for all others: until its [`CloudError::after`]
    /// nobody asks about any node. Where the provider limits how often it may be asked, this is the way to say so.
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
/// For one Service, no two calls are made at a time. No call is cut off by the caller: what speaks to the provider needs a
/// deadline of its own.
#[async_trait]
pub trait LoadBalancers: Send + Sync {
    /// The load balancer of a Service. Asked before it is deleted, to tell people of what is there only. That there is none
    /// is [`None`] and not an error: an error here would keep the Service for ever.
    async fn get(&self, cluster: &str, service: &Service) -> Result<Option<Balancer>, CloudError>;

    /// Its name. Derived from the Service alone, without asking anybody.
    fn name(&self, _cluster: &str, service: &Service) -> String {
        crate::helpers::default_load_balancer_name(&service.uid)
    }

    /// Makes the load balancer, or brings all of it in line, and says where it is reached. Called when a Service is new
    /// or has changed, once for each Service after the process has started, after an error of any other call, and every
    /// `--load-balancer-resync-period`. The Service has its finalizer by then. There may be no nodes.
    ///
    /// [`CloudError::Pending`] while it is under way; [`CloudError::ImplementedElsewhere`] when another controller does
    /// this: then the Service is left to that one until it changes.
    async fn ensure(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<Balancer, CloudError>;

    /// Makes exactly these nodes the ones that it sends traffic to; there may be none. Called only when nothing but nodes
    /// has changed since this process ensured it. After an error, [`LoadBalancers::ensure`] is called next.
    async fn update(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<(), CloudError>;

    /// Removes the load balancer and whatever a half-done [`LoadBalancers::ensure`] left, also when
    /// [`LoadBalancers::get`] shows nothing. Succeeds when nothing is left. Only then the Service may go; it may also be
    /// gone already.
    async fn delete(&self, cluster: &str, service: &Service) -> Result<(), CloudError>;

    /// All load balancers that bear this cluster's mark, for finding those whose Service is gone. [`None`] when the cloud
    /// cannot tell, which is not the same as an empty list: there are none.
    async fn list(&self, _cluster: &str) -> Result<Option<Vec<OwnedBalancer>>, CloudError> {
        Ok(None)
    }
}

/// A cloud's routes.
///
/// One run lists, then deletes, then creates, up to `--concurrent-route-syncs` at a time; no two runs overlap. Of all errors
/// of a run the longest [`CloudError::after`] says when the next may begin. No call is cut off by the caller.
#[async_trait]
pub trait Routes: Send + Sync {
    /// All routes of the cluster. What is not listed is not there and will be made: a list that may be incomplete is an
    /// error.
    async fn list(&self, cluster: &str) -> Result<Vec<Route>, CloudError>;

    /// Makes a route. Its name must differ for each node and destination; `hint` is the node's UID.
    async fn create(&self, cluster: &str, hint: &str, route: &Route) -> Result<(), CloudError>;

    /// Removes a route, given as it was listed. Succeeds when it is gone already.
    async fn delete(&self, cluster: &str, route: &Route) -> Result<(), CloudError>;
}
