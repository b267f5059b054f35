//! Load balancers for Services.
//!
//! ```text
//! kube-vip, empty, MetalLB ─► eip:  reservation ─► BGP sessions and node annotations ─► announcer
//! EMLB                     ─► emlb: load balancer ─► ports ─► pools ─► origins
//! ```
//!
//! Mirrors `metal/loadbalancers.go` of cloud-provider-equinix-metal.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use cloud_provider::cluster::{self, SYSTEM_NAMESPACE};
use cloud_provider::data::{Node, Service};
use cloud_provider::{Balancer, CloudError, Context, LoadBalancers, OwnedBalancer};
use k8s_openapi::api::core::v1 as core;
use kit::Class;
use kube::api::{Api, Patch, PatchParams};
use kube_kit::{Recorder, retry};
use serde_json::{Map, Value, json};
use tracing::warn;

use crate::client::MetalClient;
use crate::config::{BackEnd, Config};
use crate::reservations;

mod eip;
mod emlb;
mod missing;

pub use eip::{ANNOTATION_ASSIGNED, ANNOTATION_RESERVATION};
pub(crate) use emlb::{ANNOTATION_ID, is_control_plane_node};

/// Whose events they are.
pub(crate) const COMPONENT: &str = "cloud-provider-equinix-metal";
/// The Service, and its EndpointSlices, through which the API server is reached from outside. In `kube-system`.
pub const CONTROL_PLANE_SERVICE: &str = "cloud-provider-equinix-metal-kubernetes-external";

/// The load balancers of one cluster. Clones share everything.
#[derive(Clone)]
pub struct MetalLoadBalancers(Arc<Inner>);

struct Inner {
    client: MetalClient,
    config: Arc<Config>,
    running: OnceLock<Running>,
}

/// What is there once the cloud was initialised.
pub(crate) struct Running {
    /// What the manager gives.
    pub context: Context,
    /// The cluster's ID.
    pub cluster: String,
    /// Tells people.
    pub recorder: Recorder,
    kind: Kind,
}

enum Kind {
    Eip(Box<eip::EipBalancers>),
    Emlb(emlb::EmlbBalancers),
}

/// Whether this is the Service of the control plane, which is no Service's business but the control plane's.
pub(crate) fn is_control_plane(service: &Service) -> bool {
    service.namespace == SYSTEM_NAMESPACE && service.name == CONTROL_PLANE_SERVICE
}

impl MetalLoadBalancers {
    /// The load balancers that the configuration asks for; nothing when it asks for none.
    pub fn new(client: MetalClient, config: Arc<Config>) -> Option<Self> {
        config.back_end.as_ref()?;
        Some(Self(Arc::new(Inner {
            client,
            config,
            running: OnceLock::new(),
        })))
    }

    /// To be called once, from [`cloud_provider::Cloud::initialize`]: finds out which cluster this is, and starts the task
    /// that keeps sessions and annotations current.
    pub async fn initialize(&self, context: &Context) -> Result<(), CloudError> {
        let inner = &*self.0;
        let Some(back_end) = &inner.config.back_end else {
            return Ok(());
        };
        let cluster = cluster::uid(context).await?;
        let kind = match back_end {
            BackEnd::Emlb { metro } => Kind::Emlb(emlb::EmlbBalancers::new(&inner.client, &inner.config, metro)),
            announced => Kind::Eip(Box::new(eip::EipBalancers::new(
                &inner.client,
                &inner.config,
                announced,
                context,
            ))),
        };
        let running = Running {
            context: context.clone(),
            cluster,
            recorder: context.recorder.component(COMPONENT),
            kind,
        };
        if inner.running.set(running).is_ok() {
            let this = self.clone();
            context.spawn(async move { this.refresh().await });
        }
        Ok(())
    }

    async fn refresh(&self) {
        if let Ok(running) = self.running()
            && let Kind::Eip(balancers) = &running.kind
        {
            balancers.refresh(running).await;
        }
    }

    fn running(&self) -> Result<&Running, CloudError> {
        let running = self.0.running.get();
        running.ok_or_else(|| CloudError::new(Class::Transient, "the cloud is not initialised yet"))
    }
}

#[async_trait]
impl LoadBalancers for MetalLoadBalancers {
    async fn get(&self, _cluster: &str, service: &Service) -> Result<Option<Balancer>, CloudError> {
        let running = self.running()?;
        match &running.kind {
            Kind::Eip(balancers) => balancers.get(running, service).await,
            Kind::Emlb(balancers) => balancers.get(running, service).await,
        }
    }

    fn name(&self, _cluster: &str, service: &Service) -> String {
        let cluster = self.0.running.get().map_or("", |running| &running.cluster);
        reservations::balancer_name(cluster, service)
    }

    async fn ensure(&self, _cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<Balancer, CloudError> {
        let running = self.running()?;
        check_families(running, service)?;
        let result = match &running.kind {
            Kind::Eip(balancers) => balancers.ensure(running, service, nodes).await,
            Kind::Emlb(balancers) => balancers.ensure(running, service, nodes).await,
        };
        result.map_err(|error| about(service, "failed to add service", error))
    }

    async fn update(&self, _cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<(), CloudError> {
        let running = self.running()?;
        match &running.kind {
            Kind::Eip(balancers) => balancers.update(running, service, nodes).await,
            Kind::Emlb(balancers) => balancers.ensure(running, service, nodes).await.map(drop),
        }
    }

    async fn delete(&self, _cluster: &str, service: &Service) -> Result<(), CloudError> {
        let running = self.running()?;
        match &running.kind {
            Kind::Eip(balancers) => balancers.delete(running, service).await,
            Kind::Emlb(balancers) => balancers.delete(running, service).await,
        }
    }

    async fn list(&self, _cluster: &str) -> Result<Option<Vec<OwnedBalancer>>, CloudError> {
        let running = self.running()?;
        match &running.kind {
            Kind::Eip(balancers) => balancers.list(running).await.map(Some),
            Kind::Emlb(balancers) => balancers.list(running).await.map(Some),
        }
    }
}

/// Addresses are IPv4 here. A Service that has both families gets one, and its user is told; one that has IPv6 alone is
/// refused before anything is paid for: nothing in the cluster would answer at the address.
fn check_families(running: &Running, service: &Service) -> Result<(), CloudError> {
    let has = |family: &str| service.ip_families.iter().any(|one| one == family);
    if is_control_plane(service) || !has("IPv6") {
        return Ok(());
    }
    if !has("IPv4") {
        let text = "load balancers of Equinix Metal have IPv4 addresses, and the service has IPv6 alone: \
                    add IPv4 to spec.ipFamilies";
        return Err(CloudError::new(Class::Invalid, text));
    }
    let text = "load balancers of Equinix Metal have IPv4 addresses: the service is not reachable from outside by IPv6";
    running.recorder.warning(&service.reference(), "IPv6NotSupported", text);
    Ok(())
}

/// Tells that of all these nodes none is to have a Service's traffic.
fn tell_nobody_selected(running: &Running, service: &Service, nodes: usize) {
    let text = format!("bgpNodeSelector matches none of {nodes} nodes: nobody answers at the service's address");
    warn!(service = %service.key(), "{text}");
    running.recorder.warning(&service.reference(), "NoNodeSelected", text);
}

/// Writes annotations of a Service, or takes them away; nothing when they are as they should be. A Service that is gone
/// needs none.
async fn annotate(running: &Running, service: &Service, wanted: &[(&str, Option<&str>)]) -> Result<(), CloudError> {
    let differs = |(key, value): &&(&str, Option<&str>)| service.annotations.get(*key).map(String::as_str) != *value;
    let changes = wanted.iter().filter(differs);
    let changes: Map<String, Value> = changes.map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    if changes.is_empty() {
        return Ok(());
    }
    // Another Service of the same name answers with a conflict.
    let patch = json!({ "metadata": { "uid": service.uid, "annotations": changes } });
    let api: Api<core::Service> = Api::namespaced(running.context.client.clone(), &service.namespace);
    match api
        .patch_metadata(&service.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
    {
        Err(error) if retry::is_not_found(&error) => Ok(()),
        result => result.map(drop).map_err(|error| {
            let text = format!("failed to update service {}", service.key());
            CloudError::new(retry::class(&error), text).because(error)
        }),
    }
}

/// Names the Service in a failure. What is under way stays as it is.
fn about(service: &Service, what: &str, error: CloudError) -> CloudError {
    match error {
        CloudError::Failed { class, .. } => CloudError::new(class, format!("{what} {}", service.name)).because(error),
        other => other,
    }
}
