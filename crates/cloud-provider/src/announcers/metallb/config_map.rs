//! MetalLB's config map: read, changed, written, by one task at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, Patch, PatchParams};
use kube_kit::retry;
use serde_json::json;
use tokio::sync::Mutex;

use super::selectors::ServiceRef;
use super::{Config, Mode, Names};
use crate::announcers::{AnnounceError, Announcement, Announcer};
use crate::data::Service;
use crate::helpers::Cidr;

/// The key in the config map.
const KEY: &str = "config";
const TRIES: u32 = 5;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Announces through MetalLB's config map. Clones share it.
#[derive(Clone)]
pub struct ConfigMap(Arc<Inner>);

struct Inner {
    api: Api<core::ConfigMap>,
    namespace: String,
    name: String,
    names: Names,
    mode: Mode,
    /// Services are worked on side by side, and all of them write here.
    writing: Mutex<()>,
}

impl ConfigMap {
    /// The config map with this name. It must exist: a name that was misspelled must not make one that nobody reads.
    pub fn new(client: kube::Client, namespace: &str, name: &str, names: Names, mode: Mode) -> Self {
        Self(Arc::new(Inner {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            names,
            mode,
            writing: Mutex::new(()),
        }))
    }

    async fn read(&self) -> Result<(Config, String), AnnounceError> {
        let inner = &*self.0;
        let map = inner.api.get(&inner.name).await.map_err(|error| self.unread(error))?;
        let text = map
            .data
            .as_ref()
            .and_then(|data| data.get(KEY))
            .map_or("", String::as_str);
        let config = Config::parse(text).map_err(|place| AnnounceError::Parse {
            namespace: inner.namespace.clone(),
            name: inner.name.clone(),
            place,
        })?;
        Ok((config, map.metadata.resource_version.unwrap_or_default()))
    }

    fn unread(&self, error: kube::Error) -> AnnounceError {
        AnnounceError::ReadConfigMap {
            namespace: self.0.namespace.clone(),
            name: self.0.name.clone(),
            source: Box::new(error),
        }
    }

    async fn change(&self, change: impl Fn(&mut Config)) -> Result<(), AnnounceError> {
        let inner = &*self.0;
        let _writing = inner.writing.lock().await;
        for attempt in 0..TRIES {
            let (before, version) = self.read().await?;
            let mut after = before.clone();
            change(&mut after);
            if after == before {
                return Ok(());
            }
            let patch = json!({
                "metadata": { "resourceVersion": version },
                "data": { KEY: after.to_yaml() },
            });
            let written = inner
                .api
                .patch(&inner.name, &PatchParams::default(), &Patch::Merge(patch))
                .await;
            match written {
                Ok(_) => return Ok(()),
                Err(error) if retry::class(&error) == kit::Class::Conflict => {
                    tokio::time::sleep(PAUSE * (attempt + 1)).await;
                }
                Err(error) => {
                    return Err(AnnounceError::Write {
                        verb: "update",
                        kind: "ConfigMap",
                        name: inner.name.clone(),
                        source: Box::new(error),
                    });
                }
            }
        }
        Err(AnnounceError::Contended {
            what: format!("the config map {}/{}", inner.namespace, inner.name),
        })
    }
}

#[async_trait]
impl Announcer for ConfigMap {
    async fn check(&self) -> Result<(), AnnounceError> {
        self.read().await.map(|_| ())
    }

    async fn announce(&self, announcement: &Announcement<'_>) -> Result<(), AnnounceError> {
        let inner = &*self.0;
        let service = ServiceRef::from(announcement.service);
        let addresses: &[Cidr] = &announcement.addresses;
        self.change(|config| {
            if inner.mode == Mode::Bgp {
                config.set_speakers(&inner.names, &service, &announcement.speakers, &announcement.unknown);
            }
            config.set_addresses(&inner.mode, &service, addresses);
        })
        .await
    }

    async fn withdraw(&self, service: &Service) -> Result<(), AnnounceError> {
        let inner = &*self.0;
        let service = ServiceRef::from(service);
        let result = self
            .change(|config| {
                config.set_addresses(&inner.mode, &service, &[]);
                config.set_speakers(&inner.names, &service, &[], &BTreeSet::new());
            })
            .await;
        match result {
            // Without MetalLB nothing is announced.
            Err(AnnounceError::ReadConfigMap { source, .. }) if retry::is_not_found(&source) => Ok(()),
            result => result,
        }
    }

    async fn announced(&self) -> Result<BTreeSet<String>, AnnounceError> {
        Ok(self.read().await?.0.services(&self.0.names))
    }
}
