//! Keeping the Elastic IP on a control-plane node that answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cloud_provider::data::Node;
use cloud_provider::{CloudError, Context};
use futures::future::select_ok;
use kit::Class;
use kube_kit::{ObjectRef, Recorder};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Prober;
use super::choose::{Candidate, candidates, control_plane, host_address, is_cordoned};
use super::mirror::Ports;
use crate::client::{Assignments, MetalClient};
use crate::config::Config;
use crate::load_balancers::CONTROL_PLANE_SERVICE;
use crate::{provider_id, reservations};
use cloud_provider::cluster::SYSTEM_NAMESPACE;

/// How many probes in a row fail before the address moves.
const PROBES: u32 = 3;
/// How many after a move that did not help, at most.
const MOST_PROBES: u32 = 60;
/// How long it counts where the address is. A failed probe has it looked up sooner.
const FRESH: Duration = Duration::from_mins(5);
/// How soon leaving a node is tried again when nobody could take the address.
const REST: Duration = Duration::from_mins(1);
/// How often an address that is on no node is given to the same one.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Where the address is.
#[derive(Clone, Debug)]
struct Place {
    eip: IpAddr,
    /// The device that has it.
    holder: Option<String>,
    /// What to remove to take it away from there.
    assignment: Option<String>,
    seen: Instant,
}

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
            return self.move_away(context, ports).await;
        };
        if self.must_leave(&nodes, &holder, place.eip) && self.left.is_none_or(|at| at.elapsed() >= REST) {
            self.left = Some(Instant::now());
            return self.move_away(context, ports).await;
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
        self.move_away(context, ports).await
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

    /// Where the address is now.
    async fn look(&mut self) -> Result<Place, CloudError> {
        let all = self.client.reservations(Assignments::Included).await?;
        let found = reservations::find(&all, std::slice::from_ref(&self.tag), "");
        let missing = || {
            let text = format!(
                "elastic IP not found. Please verify you have one with the expected tag: {}",
                self.tag
            );
            CloudError::new(Class::NotFound, text)
        };
        let reservation = found.first().ok_or_else(missing)?;
        let eip: IpAddr = reservation.address.parse().map_err(|_| missing())?;
        if reservation.assignments.len() > 1 {
            let text = format!(
                "the elastic ip {} has more than one node assigned to it and this is currently not supported. \
                 Fix it manually unassigning devices",
                reservation.id
            );
            return Err(CloudError::new(Class::Permanent, text));
        }
        let assignment = reservation.assignments.first();
        let place = Place {
            eip,
            holder: assignment.map(|one| one.assigned_to.id().to_owned()),
            assignment: assignment.map(|one| one.id().to_owned()),
            seen: Instant::now(),
        };
        self.place = Some(place.clone());
        Ok(place)
    }

    /// Puts the address on the best node that answers. Where it is now is looked up first, and again whenever an answer was
    /// lost: what somebody else did meanwhile counts.
    async fn move_away(&mut self, context: &Context, ports: Ports) -> Result<(), CloudError> {
        let before = self.place.clone().and_then(|place| place.holder);
        let place = self.look().await?;
        if place.holder != before && place.holder.is_some() {
            info!(eip = %place.eip, "somebody else has moved the elastic ip");
            return Ok(());
        }
        let nodes = context.nodes.list();
        let ranked = candidates(&nodes, place.holder.as_deref(), place.eip);
        let mut refused = None;
        for candidate in self.healthy(&ranked, ports).await {
            if place.holder.as_deref() == Some(&candidate.device) {
                // Nobody is better.
                return Ok(());
            }
            // Before the address is taken away from where it is: can it go there?
            let device = self.client.device(&candidate.device).await?;
            if device.state != "active" {
                continue;
            }
            if let Some(assignment) = self.place.clone().and_then(|place| place.assignment) {
                context.fence.check()?;
                self.client.unassign(&assignment).await?;
                if let Some(place) = &mut self.place {
                    (place.holder, place.assignment) = (None, None);
                }
            }
            match self.assign(context, &candidate).await {
                Ok(()) => {
                    let text = format!("the elastic ip {} is on node {} now", place.eip, candidate.node);
                    info!("{text}");
                    let service = ObjectRef::new("v1", "Service", CONTROL_PLANE_SERVICE).namespace(SYSTEM_NAMESPACE);
                    self.recorder.normal(&service, "ElasticIPMoved", text);
                    return Ok(());
                }
                // On no node now: anyone is better than none.
                Err(error) => refused = Some(error),
            }
        }
        let nobody = "ccm didn't find a good candidate for IP allocation. Cluster is unhealthy";
        Err(match refused {
            Some(error) => CloudError::new(error.class(), "failed to assign the control plane endpoint").because(error),
            None => CloudError::new(Class::Transient, nobody),
        })
    }

    /// Gives the address, which is on no node, to one.
    async fn assign(&mut self, context: &Context, candidate: &Candidate) -> Result<(), CloudError> {
        let Some(eip) = self.address() else { return Ok(()) };
        let mut tries = 0;
        loop {
            tries += 1;
            context.fence.check()?;
            let error = match self.client.assign(&candidate.device, &eip.to_string()).await {
                Ok(assignment) => {
                    self.place = Some(Place {
                        eip,
                        holder: Some(candidate.device.clone()),
                        assignment: Some(assignment.id().to_owned()),
                        seen: Instant::now(),
                    });
                    (self.failures, self.strays) = (0, 0);
                    return Ok(());
                }
                Err(error) => error,
            };
            // Was it done although the answer was lost?
            if self.look().await?.holder.is_some() {
                return Ok(());
            }
            if !error.class().is_temporary() || tries >= TRIES {
                return Err(error.into());
            }
            context.clock.sleep(PAUSE).await;
        }
    }

    /// Those that answer, in their order. All are asked at the same time, at all of their addresses.
    async fn healthy(&self, ranked: &[Candidate], ports: Ports) -> Vec<Candidate> {
        let asked = ranked.iter().cloned().map(|candidate| async move {
            let prober = &self.prober;
            let probes = candidate.addresses.clone().into_iter().map(|address| {
                Box::pin(async move {
                    if prober.is_healthy(address, ports.node).await {
                        Ok(())
                    } else {
                        Err(())
                    }
                })
            });
            let probes: Vec<_> = probes.collect();
            if probes.is_empty() {
                return None;
            }
            select_ok(probes).await.ok().map(|_| candidate)
        });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }
}

fn has_device(node: &Node, device: &str) -> bool {
    provider_id::device(&node.provider_id) == Ok(device)
}
