//! Keeping the Elastic IP on a control-plane node that answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cloud_provider::data::Node;
use cloud_provider::{CloudError, Context};
use kube_kit::Recorder;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Prober;
use super::choose::{Candidate, candidates, control_plane, host_address, is_cordoned};
use super::mirror::Ports;
use crate::client::MetalClient;
use crate::config::Config;
use crate::provider_id;

mod hand_over;
mod place;

use place::Place;

/// How many probes in a row fail before the address moves.
const PROBES: u32 = 3;
/// How many after a move that did not help, at most.
const MOST_PROBES: u32 = 60;
/// How long it counts where the address is. A failed probe has it looked up sooner.
const FRESH: Duration = Duration::from_mins(5);
/// How soon leaving a node is tried again when nobody could take the address; twice as late for each time that it had to be
/// given back, which takes it off the net for a moment.
const REST: Duration = Duration::from_mins(1);
/// How often it doubles.
const DOUBLINGS: u32 = 6;

/// Keeps the address where it belongs.
pub(super) struct Keeper {
    client: MetalClient,
    prober: Prober,
    tag: String,
    check_host: bool,
    recorder: Recorder,
    place: Option<Place>,
    /// How many probes failed in a row.
    failures: u32,
    /// How many must.
    patience: u32,
    /// How often in a row no node had the holder's device.
    strays: u32,
    /// When leaving the holder was tried last.
    left: Option<Instant>,
    /// How often in a row the address was given back.
    returned: u32,
}

impl Keeper {
    pub fn new(client: MetalClient, prober: Prober, tag: String, config: &Arc<Config>, recorder: Recorder) -> Self {
        Self {
            client,
            prober,
            tag,
            check_host: config.check_host_ip,
            recorder,
            place: None,
            failures: 0,
            patience: PROBES,
            strays: 0,
            left: None,
            returned: 0,
        }
    }

    /// The address, once it is known.
    pub fn address(&self) -> Option<IpAddr> {
        self.place.as_ref().map(|place| place.eip)
    }

    /// Looks whether all is well, and moves the address if it is not.
    pub async fn keep(&mut self, context: &Context, ports: Ports) -> Result<(), CloudError> {
        let place = match self.place.clone() {
            Some(place) if place.seen.elapsed() < FRESH => place,
            Some(known) => match self.look().await {
                Ok(place) => place,
                Err(error) if error.class().is_temporary() => {
                    // What was known is better than nothing while the provider does not answer.
                    warn!("cannot look up the elastic ip: {}", kit::chain(&error));
                    known
                }
                Err(error) => return Err(error),
            },
            None => self.look().await?,
        };
        let nodes = context.nodes.list();
        let Some(holder) = place.holder.clone() else {
            return self.hand_over(context, ports).await;
        };
        let rest = REST * 2_u32.pow(self.returned.min(DOUBLINGS));
        if self.must_leave(&nodes, &holder, place.eip) && self.left.is_none_or(|at| at.elapsed() >= rest) {
            self.left = Some(Instant::now());
            return self.hand_over(context, ports).await;
        }
        if self.is_healthy(&nodes, &place, &holder, ports).await {
            (self.failures, self.patience) = (0, PROBES);
            return Ok(());
        }
        self.failures += 1;
        info!(eip = %place.eip, failures = self.failures, "the API server does not answer");
        if self.failures < self.patience {
            return Ok(());
        }
        self.failures = 0;
        // A move that does not help is not to be followed by one every few seconds.
        self.patience = (self.patience * 2).min(MOST_PROBES);
        self.hand_over(context, ports).await
    }

    async fn is_healthy(&self, nodes: &[Arc<Node>], place: &Place, holder: &str, ports: Ports) -> bool {
        let node = control_plane(nodes).into_iter().find(|node| has_device(node, holder));
        let host = node
            .filter(|_| self.check_host)
            .and_then(|node| host_address(&node, place.eip));
        match host {
            Some(host) => self.prober.is_healthy(host, ports.node).await,
            None => self.prober.is_healthy(place.eip, ports.outside).await,
        }
    }

    /// Whether the holder is going, or is to be left for another that pods may be put on.
    fn must_leave(&mut self, nodes: &[Arc<Node>], holder: &str, eip: IpAddr) -> bool {
        let all = control_plane(nodes);
        let mut others: Vec<Candidate> = candidates(nodes, Some(holder), eip);
        others.retain(|one| one.device != holder);
        if let Some(node) = all.iter().find(|node| has_device(node, holder)) {
            self.strays = 0;
            let better = others.iter().any(|one| !one.cordoned);
            return node.deleting && !others.is_empty() || is_cordoned(node) && better;
        }
        // A node that is not initialised yet may be the one.
        let identified = all.iter().all(|node| !node.provider_id.is_empty());
        self.strays = if identified && !others.is_empty() {
            self.strays + 1
        } else {
            0
        };
        self.strays >= PROBES
    }
}

fn has_device(node: &Node, device: &str) -> bool {
    provider_id::device(&node.provider_id) == Ok(device)
}
