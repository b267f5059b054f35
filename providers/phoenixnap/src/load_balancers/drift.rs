//! What others did to blocks that are in use is noticed without a Service having changed, and put right.

use std::collections::BTreeMap;

use cloud_provider::CloudError;
use jiff::Timestamp;
use tracing::warn;

use super::blocks::{Age, View};
use super::reaper::Pace;
use super::{PnapLoadBalancers, Running, wants_address};
use crate::client::IpBlock;

impl PnapLoadBalancers {
    /// Looks at each Service that has its address once more, given the blocks as they were at a moment.
    ///
    /// What is changed in a Service on the way makes its controller look, too, and write the status.
    pub(super) async fn keep(
        &self,
        running: &Running,
        blocks: Vec<IpBlock>,
        at: Timestamp,
    ) -> Result<Pace, CloudError> {
        let services = running.context.services.list();
        let served: Vec<_> = services
            .iter()
            .filter(|service| wants_address(service) && !service.ingress.is_empty())
            .collect();
        if served.is_empty() {
            return Ok(Pace::Idle);
        }
        let network = match self.network().await {
            Ok(network) => network,
            Err(error) if error.class().is_temporary() => return Err(error),
            Err(error) => {
                let text = kit::chain(&error);
                for service in served {
                    let reference = service.reference();
                    running
                        .context
                        .recorder
                        .warning(&reference, "PublicNetworkUnknown", &text);
                }
                return Err(error);
            }
        };
        let view = View {
            blocks,
            network,
            at,
            age: Age::New,
        };
        tell_elsewhere(&view);
        let mut pace = Pace::Idle;
        for service in served {
            // Somebody is at it already.
            let Some(_working) = running.ledger.begin(&service.key()) else {
                continue;
            };
            // As it is by now: it may be going.
            let now = running.context.services.get(&service.key());
            let Some(now) = now.filter(|now| now.uid == service.uid && wants_address(now)) else {
                continue;
            };
            match self.bring_about(running, &now, &view).await {
                Ok(_) => {}
                Err(error @ CloudError::Failed { .. }) => {
                    let text = kit::chain(&error);
                    warn!(service = %now.key(), "{text}");
                    let reference = now.reference();
                    running.context.recorder.warning(&reference, "IPBlockDrifted", text);
                    pace = Pace::Failing;
                }
                Err(_) => pace = pace.max(Pace::Busy),
            }
        }
        Ok(pace)
    }
}

/// Says which blocks are on other public networks than the configured one.
fn tell_elsewhere(view: &View) {
    let mut elsewhere: BTreeMap<&str, usize> = BTreeMap::new();
    for block in view.blocks.iter().filter(|block| block.is_on_public_network()) {
        let network = block.assigned_resource_id.as_deref().unwrap_or_default();
        if network != view.network.id {
            *elsewhere.entry(network).or_default() += 1;
        }
    }
    for (network, count) in elsewhere {
        warn!(
            "{count} IP blocks of this cluster are on public network {network}, and not on {}: they stay there as long \
             as their services; new services get addresses on the other",
            view.network.id
        );
    }
}
