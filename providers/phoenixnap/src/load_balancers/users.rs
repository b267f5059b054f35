//! Who uses a block.

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use k8s_openapi::api::core::v1 as core;
use kit::Class;
use kube::Api;
use kube::api::ListParams;
use kube_kit::retry;

use super::ledger::Notes;
use super::publish::addresses_of;
use super::{PnapLoadBalancers, Running, holds_one, needs_address, tags, wants_address};
use crate::client::IpBlock;

impl PnapLoadBalancers {
    /// Whether the API server knows nobody who needs the block: what is kept here may be old.
    pub(super) async fn is_unused(
        &self,
        running: &Running,
        block: &IpBlock,
        except: Option<&Service>,
    ) -> Result<bool, CloudError> {
        let services: Api<core::Service> = Api::all(running.context.client.clone());
        let unread = |error: kube::Error| {
            let class: Class = retry::class(&error);
            CloudError::new(class, "unable to list services").because(error)
        };
        let (mut all, mut page) = (Vec::new(), ListParams::default().limit(500));
        loop {
            let list = services.list(&page).await.map_err(unread)?;
            all.extend(list.items.into_iter().map(Service::cut));
            page.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
            if page.continue_token.is_none() {
                break;
            }
        }
        let except = except.map(Service::key);
        let mut others = all.iter().filter(|service| Some(service.key()) != except);
        Ok(match tags::owner(block) {
            Some(owner) => !others.any(|service| service.key() == owner && needs_address(service)),
            None => !uses(running, others, block),
        })
    }

    /// Whether the API server still knows a Service that is to have an address.
    pub(super) async fn is_wanted(&self, running: &Running, service: &Service) -> Result<bool, CloudError> {
        let services: Api<core::Service> = Api::namespaced(running.context.client.clone(), &service.namespace);
        let now = services.get_opt(&service.name).await.map_err(|error| {
            let text = format!("failed to get latest for service {}", service.key());
            CloudError::new(retry::class(&error), text).because(error)
        })?;
        let now = now.map(Service::cut);
        Ok(now.is_some_and(|now| now.uid == service.uid && wants_address(&now)))
    }
}

/// Whether a Service other than `except` has an address of a shared block, as far as is known here.
pub(super) fn has_user(running: &Running, notes: &Notes, block: &IpBlock, except: Option<&Service>) -> bool {
    let except = except.map(Service::key);
    let services = running.context.services.list();
    let others = services
        .iter()
        .map(|service| &**service)
        .filter(|service| Some(service.key()) != except);
    let given = notes.given.iter().filter(|(key, _)| Some(*key) != except.as_ref());
    let given: Vec<_> = given.map(|(_, address)| *address).collect();
    uses(running, others, block) || holds_one(&block.cidr, &given)
}

/// Whether one of these Services has an address of the block, and is to keep it.
fn uses<'a>(running: &Running, mut services: impl Iterator<Item = &'a Service>, block: &IpBlock) -> bool {
    services.any(|service| {
        let has: Vec<_> = addresses_of(running.publisher.names(), service).collect();
        wants_address(service) && holds_one(&block.cidr, &has)
    })
}
