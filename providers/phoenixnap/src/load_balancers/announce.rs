//! Who announces addresses, and what is left of somebody who did before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use cloud_provider::announcers::metallb::{Mode, Names, Resources};
use cloud_provider::announcers::{AddressNames, AnnounceError, Announcement, Announcer as Announce, Silent, kube_vip};
use cloud_provider::data::Service;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube_kit::retry;
use tracing::{info, warn};

use super::{ANNOTATION_ASSIGNED, PnapLoadBalancers, Running};
use crate::config::{Announcer, Config};

/// How often what is left is tried to be withdrawn.
const TRIES: u32 = 5;

/// The names of our objects.
fn names() -> Names {
    Names::new("phoenixnap", "phoenixnap.com", "phoenixnap-l2-adv")
}

/// Where addresses are written for this announcer; whoever it is, kube-vip's places are those that are cleared.
pub(super) fn places(announcer: Option<&Announcer>) -> AddressNames {
    match announcer {
        Some(Announcer::MetalLb { .. }) => AddressNames {
            mark: ANNOTATION_ASSIGNED.to_owned(),
            spec: true,
            annotations: Vec::new(),
        },
        Some(Announcer::KubeVip) | None => kube_vip::names(ANNOTATION_ASSIGNED),
    }
}

/// Who announces addresses. Without a load balancer nobody does any more, and what was announced is withdrawn with its
/// Service.
pub(super) fn announcer(client: &kube::Client, config: &Config) -> Arc<dyn Announce> {
    match config.load_balancer.as_ref().map(|it| &it.announcer) {
        None => Arc::new(Leftovers::new(client, None)),
        Some(Announcer::KubeVip) => Arc::new(Silent),
        Some(Announcer::MetalLb { namespace, interfaces }) => {
            let mode = Mode::Layer2 {
                interfaces: interfaces.clone(),
                nodes: Some(&config.service_node_selector)
                    .filter(|selector| !selector.is_empty())
                    .and_then(cloud_provider::selector::Selector::to_json),
            };
            Arc::new(Resources::new(client.clone(), namespace, names(), mode))
        }
    }
}

/// What stands in MetalLB's resources under our label, outside the namespace in which it belongs.
pub(super) struct Leftovers {
    client: kube::Client,
    /// Where MetalLB announces for us now, if it does.
    current: Option<String>,
}

impl Leftovers {
    pub fn new(client: &kube::Client, announcer: Option<&Announcer>) -> Self {
        let current = match announcer {
            Some(Announcer::MetalLb { namespace, .. }) => Some(namespace.clone()),
            Some(Announcer::KubeVip) | None => None,
        };
        Self {
            client: client.clone(),
            current,
        }
    }

    /// The namespaces in which there are address pools of ours.
    async fn places(&self) -> Result<BTreeSet<String>, AnnounceError> {
        let resource = ApiResource {
            group: "metallb.io".to_owned(),
            version: "v1beta1".to_owned(),
            api_version: "metallb.io/v1beta1".to_owned(),
            kind: "IPAddressPool".to_owned(),
            plural: "ipaddresspools".to_owned(),
        };
        let (key, value) = names().owner;
        let pools: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let listed = match pools
            .list(&ListParams::default().labels(&format!("{key}={value}")))
            .await
        {
            Ok(listed) => listed.items,
            // Without MetalLB there are none.
            Err(error) if retry::is_not_found(&error) => Vec::new(),
            Err(error) => {
                return Err(AnnounceError::List {
                    kind: "IPAddressPool",
                    source: Box::new(error),
                });
            }
        };
        let namespaces = listed.into_iter().filter_map(|pool| pool.metadata.namespace);
        Ok(namespaces
            .filter(|namespace| Some(namespace) != self.current.as_ref())
            .collect())
    }

    fn resources(&self, namespace: &str) -> Resources {
        let mode = Mode::Layer2 {
            interfaces: Vec::new(),
            nodes: None,
        };
        Resources::new(self.client.clone(), namespace, names(), mode)
    }

    /// The Services that something is still announced for, by namespace of MetalLB.
    pub async fn by_place(&self) -> Result<BTreeMap<String, BTreeSet<String>>, AnnounceError> {
        let mut found = BTreeMap::new();
        for namespace in self.places().await? {
            let services = self.resources(&namespace).announced().await?;
            found.insert(namespace, services);
        }
        Ok(found)
    }

    async fn withdraw_all(&self) -> Result<usize, AnnounceError> {
        let mut withdrawn = 0;
        for (namespace, services) in self.by_place().await? {
            let resources = self.resources(&namespace);
            for key in services {
                let (namespace, name) = key.split_once('/').unwrap_or_default();
                resources.withdraw(&named(namespace, name)).await?;
                withdrawn += 1;
            }
        }
        Ok(withdrawn)
    }
}

/// A Service of which only the name is known.
fn named(namespace: &str, name: &str) -> Service {
    Service {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Service::default()
    }
}

#[async_trait]
impl Announce for Leftovers {
    async fn announce(&self, _: &Announcement<'_>) -> Result<(), AnnounceError> {
        Ok(())
    }

    async fn withdraw(&self, service: &Service) -> Result<(), AnnounceError> {
        for namespace in self.places().await? {
            self.resources(&namespace).withdraw(service).await?;
        }
        Ok(())
    }
}

impl PnapLoadBalancers {
    /// After another announcer was chosen, MetalLB announces what it did before no more: two would answer for one address.
    pub(super) async fn withdraw_leftovers(&self, running: &Running) {
        let announcer = self.0.config.load_balancer.as_ref().map(|it| &it.announcer);
        let leftovers = Leftovers::new(&running.context.client, announcer);
        let mut waits = kit::Backoff::new(super::PAUSE, super::reaper::IDLE);
        for _ in 0..TRIES {
            match leftovers.withdraw_all().await {
                Ok(0) => return,
                Ok(count) => {
                    info!("withdrew what MetalLB announced for {count} services: somebody else does now");
                    return;
                }
                Err(error) => warn!("cannot look for what MetalLB announced before: {}", kit::chain(&error)),
            }
            running.context.clock.sleep(waits.next().unwrap_or(super::PAUSE)).await;
        }
    }
}
