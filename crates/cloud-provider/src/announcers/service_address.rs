//! The address of a Service, written where those who announce it look for it.

use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, Patch, PatchParams};
use kube_kit::retry;
use serde_json::{Map, Value, json};

use super::AnnounceError;
use crate::data::Service;

/// How often a Service is read and written anew when others change it at the same time.
const TRIES: u32 = 5;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Where the address of a Service is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressNames {
    /// The annotation that says which address we wrote. An address that it does not name was asked for by the user, and
    /// stays whatever happens.
    pub mark: String,
    /// Whether `spec.loadBalancerIP` is written.
    pub spec: bool,
    /// Annotations that are written.
    pub annotations: Vec<String>,
}

/// The address that we gave a Service earlier, if it still has it.
pub fn assigned<'a>(names: &AddressNames, service: &'a Service) -> Option<&'a str> {
    let mark = service.annotations.get(&names.mark).filter(|mark| !mark.is_empty())?;
    let unchanged = !names.spec || service.load_balancer_ip.is_empty() || service.load_balancer_ip == *mark;
    unchanged.then_some(mark.as_str())
}

/// Whether the user asked for this address, or any, himself: it is not ours to write.
pub fn is_requested(names: &AddressNames, service: &Service) -> bool {
    names.spec && !service.load_balancer_ip.is_empty() && assigned(names, service).is_none()
}

/// The patch that writes the address; nothing when it is written, or when the user wrote one himself.
pub fn write(names: &AddressNames, service: &Service, address: &str) -> Option<Value> {
    if is_requested(names, service) {
        return None;
    }
    let mut annotations = Map::new();
    let mut patch = json!({});
    let ours = assigned(names, service);
    if names.spec && service.load_balancer_ip != address {
        patch["spec"] = json!({ "loadBalancerIP": address });
    }
    for key in &names.annotations {
        let known = service.annotations.get(key).map(String::as_str);
        if known.is_none_or(|known| known.is_empty() || Some(known) == ours) && known != Some(address) {
            annotations.insert(key.clone(), address.into());
        }
    }
    if service.annotations.get(&names.mark).map(String::as_str) != Some(address) {
        annotations.insert(names.mark.clone(), address.into());
    }
    if !annotations.is_empty() {
        patch["metadata"] = json!({ "annotations": annotations });
    }
    (patch != json!({})).then_some(patch)
}

/// The patch that marks the address which stands in the Service as given by us, for those that an earlier program, or the
/// user, wrote without a mark; nothing when another address stands there. Annotations that we wrote follow.
pub fn adopt(names: &AddressNames, service: &Service, address: &str) -> Option<Value> {
    let mark = service.annotations.get(&names.mark).map(String::as_str);
    if service.load_balancer_ip != address || mark == Some(address) {
        return None;
    }
    let mut annotations = Map::new();
    annotations.insert(names.mark.clone(), address.into());
    for key in &names.annotations {
        let known = service.annotations.get(key).map(String::as_str);
        if known.is_none_or(|known| known.is_empty() || Some(known) == mark) {
            annotations.insert(key.clone(), address.into());
        }
    }
    Some(json!({ "metadata": { "annotations": annotations } }))
}

/// The patch that takes away what we wrote, and nothing else; nothing when there is nothing.
pub fn clear(names: &AddressNames, service: &Service) -> Option<Value> {
    let mark = service.annotations.get(&names.mark)?;
    let mut annotations = Map::new();
    annotations.insert(names.mark.clone(), Value::Null);
    for key in &names.annotations {
        if service.annotations.get(key) == Some(mark) {
            annotations.insert(key.clone(), Value::Null);
        }
    }
    let mut patch = json!({ "metadata": { "annotations": annotations } });
    if names.spec && service.load_balancer_ip == *mark && !mark.is_empty() {
        patch["spec"] = json!({ "loadBalancerIP": null });
    }
    Some(patch)
}

/// Writes addresses to Services. Clones share the client.
#[derive(Clone)]
pub struct ServiceAddress {
    client: kube::Client,
    names: AddressNames,
}

impl ServiceAddress {
    /// Writes with this client.
    pub fn new(client: kube::Client, names: AddressNames) -> Self {
        Self { client, names }
    }

    /// Where it writes.
    pub fn names(&self) -> &AddressNames {
        &self.names
    }

    /// Marks the address that an earlier program wrote to a Service as given by us.
    pub async fn adopt(&self, service: &Service, address: &str) -> Result<(), AnnounceError> {
        self.apply(service, |now| adopt(&self.names, now, address)).await
    }

    /// Writes the address of a Service and marks it as given by us, unless the user wrote one himself. A Service that is
    /// gone needs none.
    pub async fn write(&self, service: &Service, address: &str) -> Result<(), AnnounceError> {
        self.apply(service, |now| write(&self.names, now, address)).await
    }

    /// Takes away what was written. A Service that is gone has lost it already.
    pub async fn clear(&self, service: &Service) -> Result<(), AnnounceError> {
        self.apply(service, |now| clear(&self.names, now)).await
    }

    /// The Service as last seen tells whether there is anything to do; what is done is decided on it as it is now.
    async fn apply(&self, service: &Service, decide: impl Fn(&Service) -> Option<Value>) -> Result<(), AnnounceError> {
        if decide(service).is_none() {
            return Ok(());
        }
        let api: Api<core::Service> = Api::namespaced(self.client.clone(), &service.namespace);
        let (api, decide) = (&api, &decide);
        let once = |_| async move {
            let Some(now) = api.get_opt(&service.name).await?.map(Service::cut) else {
                return Ok(());
            };
            if now.uid != service.uid {
                return Ok(());
            }
            let Some(mut patch) = decide(&now) else { return Ok(()) };
            patch["metadata"]["resourceVersion"] = now.resource_version.into();
            match api
                .patch(&service.name, &PatchParams::default(), &Patch::Merge(patch))
                .await
            {
                Err(error) if retry::is_not_found(&error) => Ok(()),
                result => result.map(|_| ()),
            }
        };
        retry::on_conflict(TRIES, PAUSE, once)
            .await
            .map_err(|source| AnnounceError::Service {
                service: service.key(),
                source: Box::new(source),
            })
    }
}

#[cfg(test)]
mod tests;
