//! The way to the API server from outside: an Elastic IP that follows a healthy control-plane node, or a load balancer.
//!
//! ```text
//! default/kubernetes (Service, EndpointSlices) ─► mirror ─► kube-system/cloud-provider-equinix-metal-kubernetes-external
//! nodes, probes of /healthz ─► choose ─► keeper ─► unassign, assign
//! ```
//!
//! Mirrors `metal/eip_controlplane_reconciliation.go` and `metal/controlplane_load_balancer_manager.go` of
//! cloud-provider-equinix-metal. Differs from upstream: only the API server's own EndpointSlices are mirrored; the address
//! moves after several failed probes, to a node that is chosen by rule, and is never left without a node for want of a
//! second try; MetalLB and kube-vip are kept away by a load-balancer class.
//!
//! Rights that are needed, beyond those of the controllers:
//!
//! | group | resources | verbs |
//! |---|---|---|
//! | | `services` | create, patch |
//! | | `services/status` | patch |
//! | `discovery.k8s.io` | `endpointslices` | list, watch, create, patch, delete |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud_provider::data::Service;
use cloud_provider::{CloudError, Context};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kit::Class;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube_kit::{Recorder, Store, Watch, retry};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::client::MetalClient;
use crate::config::Config;
use crate::load_balancers::{COMPONENT, CONTROL_PLANE_SERVICE};
use cloud_provider::cluster::SYSTEM_NAMESPACE;

mod choose;
mod keeper;
mod mirror;
mod prober;

pub use prober::Prober;

use keeper::Keeper;
use mirror::{Slice, Way};

/// How often everything is looked at.
const TICK: Duration = Duration::from_secs(5);
/// Whose fields they are.
const MANAGER: &str = "cloud-provider-equinix-metal-auto";

/// Keeps the API server reachable. Clones share it.
#[derive(Clone)]
pub struct ControlPlane {
    client: MetalClient,
    config: Arc<Config>,
    prober: Prober,
}

/// Why the way to the API server could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MirrorError {
    #[error("default/kubernetes service does not have any ports defined")]
    NoPorts,
    #[error("failed to apply service kube-system/{CONTROL_PLANE_SERVICE}")]
    Service(#[source] Box<kube::Error>),
    #[error("failed to apply service status kube-system/{CONTROL_PLANE_SERVICE}")]
    Status(#[source] Box<kube::Error>),
    #[error("failed to apply endpointslices kube-system/{0}")]
    Slice(String, #[source] Box<kube::Error>),
}

/// What is watched.
struct Watched {
    /// The slices in `default`.
    sources: Store<Slice>,
    /// The slices in `kube-system`.
    copies: Store<Slice>,
}

impl ControlPlane {
    /// What the configuration asks for; nothing when it asks for neither an Elastic IP nor a load balancer.
    pub fn new(client: MetalClient, config: Arc<Config>, prober: Prober) -> Option<Self> {
        let wanted = config.eip_tag.is_some() || config.load_balancer_id.is_some();
        wanted.then_some(Self { client, config, prober })
    }

    /// Starts the tasks. To be called once, from [`cloud_provider::Cloud::initialize`]; returns at once.
    pub fn start(&self, context: &Context) {
        let watched = Watched {
            sources: Store::new(),
            copies: Store::new(),
        };
        for (namespace, store) in [("default", &watched.sources), (SYSTEM_NAMESPACE, &watched.copies)] {
            let api: Api<EndpointSlice> = Api::namespaced(context.client.clone(), namespace);
            let watch = Watch::new(api, "endpointslices", store.clone(), Slice::cut).metrics(&context.metrics);
            context.spawn(watch.run());
        }
        let (this, shared) = (self.clone(), context.clone());
        context.spawn(async move { this.run(&shared, &watched).await });
    }

    async fn run(&self, context: &Context, watched: &Watched) {
        tokio::join!(
            context.nodes.synced(),
            context.services.synced(),
            watched.sources.synced(),
            watched.copies.synced()
        );
        info!("keeping the control plane reachable from outside");
        let recorder = context.recorder.component(COMPONENT);
        let mut keeper = self.config.eip_tag.as_ref().map(|tag| {
            Keeper::new(
                self.client.clone(),
                self.prober.clone(),
                tag.clone(),
                &self.config,
                recorder.clone(),
            )
        });
        let mut told = String::new();
        loop {
            if context.fence.check().is_ok() {
                let error = self.tick(context, watched, keeper.as_mut()).await.err();
                let text = error.as_ref().map(|error| kit::chain(error)).unwrap_or_default();
                if !text.is_empty() {
                    warn!("cannot keep the control plane reachable: {text}");
                    if text != told {
                        tell(context, &recorder, &text);
                    }
                }
                told = text;
            }
            context.clock.sleep(TICK).await;
        }
    }

    async fn tick(&self, context: &Context, watched: &Watched, keeper: Option<&mut Keeper>) -> Result<(), CloudError> {
        let Some(source) = context.services.get("default/kubernetes") else {
            return Ok(());
        };
        let failed = |error: MirrorError| {
            let class = match &error {
                MirrorError::Service(source) | MirrorError::Status(source) | MirrorError::Slice(_, source) => {
                    retry::class(source)
                }
                MirrorError::NoPorts => Class::Transient,
            };
            CloudError::new(class, "failed to handle service health check").because(error)
        };
        let ports = mirror::ports(&source, self.config.api_server_port).ok_or_else(|| failed(MirrorError::NoPorts))?;
        // The address is kept first: whoever comes by it does not care for our copies.
        let way = match (keeper, &self.config.load_balancer_id) {
            (Some(keeper), _) => {
                let kept = keeper.keep(context, ports).await;
                match (keeper.address(), kept) {
                    (Some(address), Ok(())) => Way::Address(address.to_string()),
                    (Some(address), Err(error)) => {
                        let way = Way::Address(address.to_string());
                        self.mirror(context, watched, &source, ports, &way)
                            .await
                            .map_err(failed)?;
                        return Err(error);
                    }
                    (None, kept) => return kept,
                }
            }
            (None, Some(id)) => Way::Balancer(id.clone()),
            (None, None) => return Ok(()),
        };
        self.mirror(context, watched, &source, ports, &way)
            .await
            .map_err(failed)
    }

    async fn mirror(
        &self,
        context: &Context,
        watched: &Watched,
        source: &Service,
        ports: mirror::Ports,
        way: &Way,
    ) -> Result<(), MirrorError> {
        let params = PatchParams::apply(MANAGER).force();
        let known = context
            .services
            .get(&format!("{SYSTEM_NAMESPACE}/{CONTROL_PLANE_SERVICE}"));
        let services: Api<core::Service> = Api::namespaced(context.client.clone(), SYSTEM_NAMESPACE);
        if let Some(wanted) = mirror::service(source, ports, way, known.as_deref()) {
            info!("applying the Service of the control plane");
            let first = match known.as_deref() {
                // The next write, or the next process, makes it a load balancer again.
                Some(known) if mirror::must_lose_class(way, known) => {
                    let ports = &wanted["spec"]["ports"];
                    Some(json!({ "spec": { "type": "ClusterIP", "loadBalancerIP": null, "ports": ports } }))
                }
                // Applying adds to ports that somebody else wrote, and two of one name are refused.
                Some(known) if mirror::has_foreign_ports(known, &wanted) => {
                    Some(json!({ "spec": { "ports": wanted["spec"]["ports"] } }))
                }
                _ => None,
            };
            if let Some(first) = first {
                let replace = PatchParams {
                    field_manager: Some(MANAGER.to_owned()),
                    ..PatchParams::default()
                };
                services
                    .patch(CONTROL_PLANE_SERVICE, &replace, &Patch::Merge(first))
                    .await
                    .map_err(|error| MirrorError::Service(Box::new(error)))?;
            }
            services
                .patch(CONTROL_PLANE_SERVICE, &params, &Patch::Apply(wanted))
                .await
                .map_err(|error| MirrorError::Service(Box::new(error)))?;
        }
        if let Some(wanted) = mirror::status(way, known.as_deref()) {
            services
                .patch_status(CONTROL_PLANE_SERVICE, &params, &Patch::Apply(wanted))
                .await
                .map_err(|error| MirrorError::Status(Box::new(error)))?;
        }
        let sources: Vec<_> = watched.sources.list();
        let copies: BTreeMap<String, _> = watched
            .copies
            .list()
            .into_iter()
            .map(|slice| (slice.name.clone(), slice))
            .collect();
        let slices: Api<EndpointSlice> = Api::namespaced(context.client.clone(), SYSTEM_NAMESPACE);
        let (apply, delete) = mirror::slices(&sources, &copies);
        for (name, wanted) in apply {
            info!(name, "applying the EndpointSlice of the control plane");
            let applied: Result<EndpointSlice, _> = slices.patch(&name, &params, &Patch::<Value>::Apply(wanted)).await;
            applied.map_err(|error| MirrorError::Slice(name, Box::new(error)))?;
        }
        for name in delete {
            match slices.delete(&name, &DeleteParams::default()).await {
                Err(error) if !retry::is_not_found(&error) => return Err(MirrorError::Slice(name, Box::new(error))),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Tells people, at the Service where they look.
fn tell(context: &Context, recorder: &Recorder, text: &str) {
    let known = context
        .services
        .get(&format!("{SYSTEM_NAMESPACE}/{CONTROL_PLANE_SERVICE}"));
    let service = known.or_else(|| context.services.get("default/kubernetes"));
    if let Some(service) = service {
        recorder.warning(&service.reference(), "ControlPlaneEndpointFailed", text);
    }
}
