//! MetalLB's custom resources (0.13.2 and later): read, changed, written, by one task at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kit::Class;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube_kit::retry;
use serde_json::Value;
use tokio::sync::Mutex;

use super::plan::announced;
use super::{Change, Kind, Mode, Names, Observed, Target, plan};
use crate::announcers::{AnnounceError, Announcement, Announcer};
use crate::data::Service;

const GROUP: &str = "metallb.io";
const VERSION: &str = "v1beta1";
/// How many objects are read at a time.
const PAGE: u32 = 500;
const TRIES: u32 = 5;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Announces through MetalLB's custom resources. Clones share it.
#[derive(Clone)]
pub struct Resources(Arc<Inner>);

struct Inner {
    client: kube::Client,
    namespace: String,
    names: Names,
    mode: Mode,
    /// Services are worked on side by side, and share peers and the advertisement.
    writing: Mutex<()>,
}

impl Resources {
    /// The resources in this namespace, which is MetalLB's own.
    pub fn new(client: kube::Client, namespace: &str, names: Names, mode: Mode) -> Self {
        Self(Arc::new(Inner {
            client,
            namespace: namespace.to_owned(),
            names,
            mode,
            writing: Mutex::new(()),
        }))
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let resource = ApiResource {
            group: GROUP.to_owned(),
            version: VERSION.to_owned(),
            api_version: format!("{GROUP}/{VERSION}"),
            kind: kind.name().to_owned(),
            plural: kind.plural().to_owned(),
        };
        Api::namespaced_with(self.0.client.clone(), &self.0.namespace, &resource)
    }

    async fn list(&self, kind: Kind) -> Result<Vec<Value>, AnnounceError> {
        let api = self.api(kind);
        let mut objects = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&params).await.map_err(|error| {
                if retry::is_not_found(&error) {
                    AnnounceError::NotInstalled { kind: kind.name() }
                } else {
                    AnnounceError::List {
                        kind: kind.name(),
                        source: Box::new(error),
                    }
                }
            })?;
            // An object that was read is JSON.
            objects.extend(page.items.iter().filter_map(|object| serde_json::to_value(object).ok()));
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(objects);
            }
        }
    }

    async fn observe(&self) -> Result<Observed, AnnounceError> {
        let pools = self.list(Kind::IpAddressPool).await?;
        let (peers, advertisements) = match self.0.mode {
            Mode::Bgp => (
                self.list(Kind::BgpPeer).await?,
                self.list(Kind::BgpAdvertisement).await?,
            ),
            Mode::Layer2 { .. } => (Vec::new(), self.list(Kind::L2Advertisement).await?),
        };
        Ok(Observed {
            pools,
            peers,
            advertisements,
        })
    }

    async fn bring_about(&self, target: &Target<'_>) -> Result<(), AnnounceError> {
        let inner = &*self.0;
        let _writing = inner.writing.lock().await;
        'observe: for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * attempt).await;
            }
            let observed = self.observe().await?;
            for change in plan(&inner.names, &inner.mode, &observed, target) {
                match self.write(change).await {
                    Ok(()) => {}
                    // Somebody else writes too: look again.
                    Err(error) if error.class() == Class::Conflict => continue 'observe,
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        }
        Err(AnnounceError::Contended {
            what: format!("MetalLB's resources in {}", inner.namespace),
        })
    }

    async fn write(&self, change: Change) -> Result<(), AnnounceError> {
        let failed = |verb, kind: Kind, name: String| {
            move |source| AnnounceError::Write {
                verb,
                kind: kind.name(),
                name,
                source: Box::new(source),
            }
        };
        match change {
            Change::Create(kind, mut object) => {
                let name = super::plan::name(&object).to_owned();
                object["apiVersion"] = format!("{GROUP}/{VERSION}").into();
                object["kind"] = kind.name().into();
                let failed = failed("add", kind, name);
                let object: DynamicObject = serde_json::from_value(object).map_err(|error| AnnounceError::Write {
                    verb: "add",
                    kind: kind.name(),
                    name: String::new(),
                    source: Box::new(kube::Error::SerdeError(error)),
                })?;
                let made = self.api(kind).create(&PostParams::default(), &object).await;
                made.map(|_| ()).map_err(failed)
            }
            Change::Patch(kind, name, body) => {
                let params = PatchParams::default();
                let patched = self.api(kind).patch(&name, &params, &Patch::Merge(body)).await;
                patched.map(|_| ()).map_err(failed("update", kind, name))
            }
            Change::Delete {
                kind,
                name,
                uid,
                version,
            } => {
                let params = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: Some(uid),
                        resource_version: Some(version),
                    }),
                    ..DeleteParams::default()
                };
                match self.api(kind).delete(&name, &params).await {
                    Err(error) if retry::is_not_found(&error) => Ok(()),
                    result => result.map(|_| ()).map_err(failed("delete", kind, name)),
                }
            }
        }
    }
}

#[async_trait]
impl Announcer for Resources {
    async fn check(&self) -> Result<(), AnnounceError> {
        self.list(Kind::IpAddressPool).await.map(|_| ())
    }

    async fn announce(&self, announcement: &Announcement<'_>) -> Result<(), AnnounceError> {
        self.bring_about(&Target {
            service: announcement.service,
            addresses: &announcement.addresses,
            speakers: &announcement.speakers,
            unknown: &announcement.unknown,
        })
        .await
    }

    async fn withdraw(&self, service: &Service) -> Result<(), AnnounceError> {
        let nothing = Target {
            service,
            addresses: &[],
            speakers: &[],
            unknown: &BTreeSet::new(),
        };
        match self.bring_about(&nothing).await {
            // Without MetalLB nothing is announced.
            Err(AnnounceError::NotInstalled { .. }) => Ok(()),
            result => result,
        }
    }

    async fn announced(&self) -> Result<BTreeSet<String>, AnnounceError> {
        Ok(announced(&self.0.names, &self.observe().await?))
    }
}
