//! After the setting `loadbalancer` was removed: nothing is given any more, what Services have stays as it is, and what they
//! give up is given back. Without this, Services would keep a finalizer that nobody takes off, and blocks would be paid for
//! that nobody gives back.

use std::sync::Arc;

use cloud_provider::controllers::service::{needs_cleanup, remove_finalizer, set_ingress};
use cloud_provider::data::Service;
use cloud_provider::helpers::has_finalizer;
use cloud_provider::{CloudError, Context, cluster};
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, Patch, PatchParams};
use kube_kit::{Change, retry};
use tokio::sync::Notify;
use tracing::{info, warn};

use super::reaper::{BUSY, IDLE, Pace};
use super::{ANNOTATION_ASSIGNED, PAUSE, PnapLoadBalancers, Running, tags, wants_address};
use crate::client::IpBlock;

/// What is left to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing, ever.
    Nothing,
    /// Services have addresses, or there are blocks.
    Something,
    /// Something is being given back.
    Going,
}

impl PnapLoadBalancers {
    /// Looks after what was given while there was a load balancer, until nothing of it is left.
    pub(super) async fn wind_up(&self, context: &Context) {
        context.services.synced().await;
        let cluster = match cluster::uid(context).await {
            Ok(cluster) => cluster,
            Err(error) => return warn!("cannot look for IP blocks that are left: {}", kit::chain(&error)),
        };
        let running = self.0.running.get_or_init(|| self.set_up(context, cluster));
        let going = Arc::new(Notify::new());
        context.services.on_change({
            let going = Arc::clone(&going);
            move |_, change| {
                if let Change::Updated { new, .. } = change
                    && needs_cleanup(new)
                {
                    going.notify_one();
                }
            }
        });
        let mut told = false;
        loop {
            let wait = match self.wind_up_once(running, !told).await {
                Ok(Left::Nothing) => return info!("no IP blocks of this cluster are left"),
                Ok(Left::Something) => IDLE,
                Ok(Left::Going) => PAUSE,
                Err(error) => {
                    warn!("cannot look for IP blocks that are left: {}", kit::chain(&error));
                    BUSY
                }
            };
            told |= wait != BUSY;
            tokio::select! {
                () = context.clock.sleep(wait) => {}
                () = going.notified(), if wait == IDLE => {}
            }
        }
    }

    async fn wind_up_once(&self, running: &Running, tell: bool) -> Result<Left, CloudError> {
        let blocks = self.blocks(running).await?;
        let services = running.context.services.list();
        let ours: Vec<_> = services.iter().filter(|service| is_ours(service, &blocks)).collect();
        let mut going = false;
        for service in &ours {
            if needs_cleanup(service) {
                let dismissed = self.dismiss(running, service, &blocks).await;
                let (dismissed, told) = running.patience.wait(&service.key(), dismissed, &running.context.clock);
                running.tell_pending(service, told);
                if let Err(error) = dismissed {
                    going = true;
                    warn!(service = %service.key(), "{}", kit::chain(&error));
                }
            } else if !has_finalizer(service) {
                running.publisher.clear(service).await?;
            }
        }
        let staying: Vec<_> = ours.iter().filter(|service| wants_address(service)).collect();
        if tell && !(staying.is_empty() && blocks.is_empty()) {
            warn!(
                "loadbalancer is not set, and {} IP blocks of this cluster are left: {} services keep their addresses until \
                 they are deleted, and their blocks are given back then; new services get none",
                blocks.len(),
                staying.len()
            );
        }
        for service in staying.iter().filter(|_| tell) {
            let text = "loadbalancer is not set any more: the address stays as it is, nobody looks after it, and its IP block \
                        is given back when the service is deleted";
            let reference = service.reference();
            running
                .context
                .recorder
                .warning(&reference, "LoadBalancerNotConfigured", text);
        }
        going |= self.give_back(running, &blocks).await != Pace::Idle;
        Ok(match (going, ours.is_empty() && blocks.is_empty()) {
            (true, _) => Left::Going,
            (false, true) => Left::Nothing,
            (false, false) => Left::Something,
        })
    }

    /// Gives back what a Service had, then lets it go.
    async fn dismiss(&self, running: &Running, service: &Service, blocks: &[IpBlock]) -> Result<(), CloudError> {
        if !service.annotations.contains_key(ANNOTATION_ASSIGNED) && has_own(service, blocks) {
            // The original leaves no mark: without one, and without its block, the Service would not be known any more.
            running.publisher.adopt(service, &service.load_balancer_ip).await?;
        }
        running.context.fence.check()?;
        self.give_up(running, service).await?;
        let mut body = remove_finalizer();
        if !service.ingress.is_empty() {
            body["status"] = set_ingress(&[])["status"].take();
        }
        body["metadata"]["uid"] = service.uid.as_str().into();
        let services: Api<core::Service> = Api::namespaced(running.context.client.clone(), &service.namespace);
        let patched = services
            .patch_status(&service.name, &PatchParams::default(), &Patch::Strategic(body))
            .await;
        match patched {
            Err(error) if !retry::is_not_found(&error) => {
                let text = format!("failed to remove the finalizer of service {}", service.key());
                return Err(CloudError::new(retry::class(&error), text).because(error));
            }
            _ => info!(service = %service.key(), "load balancer is gone"),
        }
        running.publisher.clear(service).await
    }
}

/// Whether a Service has, or had, an address from us.
fn is_ours(service: &Service, blocks: &[IpBlock]) -> bool {
    service.class.is_none() && (service.annotations.contains_key(ANNOTATION_ASSIGNED) || has_own(service, blocks))
}

fn has_own(service: &Service, blocks: &[IpBlock]) -> bool {
    let wanted = tags::service(service);
    blocks.iter().any(|block| block.bears(&wanted))
}
