//! Which load balancers bear this cluster's mark.

use std::collections::{BTreeMap, BTreeSet};

use cloud_provider::{CloudError, OwnedBalancer};

use super::EipBalancers;
use crate::load_balancers::Running;
use crate::reservations::{self, USAGE_TAG, cluster_tag, service_tag};

impl EipBalancers {
    /// Reservations, and what is announced for Services without one.
    pub async fn list(&self, running: &Running) -> Result<Vec<OwnedBalancer>, CloudError> {
        let cluster = cluster_tag(&running.cluster);
        let wanted = [USAGE_TAG.to_owned(), cluster];
        let mut keys: BTreeSet<String> = running
            .context
            .services
            .list()
            .iter()
            .map(|service| service.key())
            .collect();
        let announced = self.announcing.announced().await?;
        keys.extend(announced.iter().cloned());
        let named: BTreeMap<String, String> = keys
            .into_iter()
            .filter_map(|key| {
                let (namespace, name) = key.split_once('/')?;
                Some((service_tag(namespace, name), key.clone()))
            })
            .collect();
        let mut owned: Vec<OwnedBalancer> = Vec::new();
        for reservation in reservations::find(&self.reserved.list().await?, &wanted, "") {
            let tag = reservation.tags.iter().find(|tag| tag.starts_with("service="));
            let Some(tag) = tag else { continue };
            owned.push(OwnedBalancer {
                name: [&wanted[0], tag, &wanted[1]].map(String::as_str).join(":"),
                service: named.get(tag).cloned(),
                id: reservation.id.clone(),
            });
        }
        for key in announced {
            let Some((namespace, name)) = key.split_once('/') else {
                continue;
            };
            let tag = service_tag(namespace, name);
            let name = [&wanted[0], &tag, &wanted[1]].map(String::as_str).join(":");
            if !owned.iter().any(|one| one.name == name) {
                owned.push(OwnedBalancer {
                    name,
                    service: Some(key.clone()),
                    id: "metallb".to_owned(),
                });
            }
        }
        Ok(owned)
    }
}
