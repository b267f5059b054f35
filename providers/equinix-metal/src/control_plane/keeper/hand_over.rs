//! Moving the address from the node that has it to another one that answers.
//!
//! The API has no single step for it: the address is taken away, then given. Whoever is to get it is looked at before; where
//! nobody takes it after all, it goes back to where it was.

use std::time::Duration;

use cloud_provider::cluster::SYSTEM_NAMESPACE;
use cloud_provider::{CloudError, Context};
use futures::future::select_ok;
use kit::Class;
use kube_kit::ObjectRef;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Keeper, Place};
use crate::control_plane::choose::{Candidate, candidates};
use crate::control_plane::mirror::Ports;
use crate::load_balancers::CONTROL_PLANE_SERVICE;

/// How often an address that is on no node is given to the same one.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What came of giving an address to a device.
#[derive(Debug)]
enum Given {
    /// It is there.
    There,
    /// It is on another one: somebody else was faster.
    Elsewhere,
    /// It is on none.
    Refused(CloudError),
}

impl Keeper {
    /// Puts the address on the best node that answers. Where it is now is looked up first, and again whenever an answer was
    /// lost: what somebody else did meanwhile counts.
    pub(super) async fn hand_over(&mut self, context: &Context, ports: Ports) -> Result<(), CloudError> {
        let before = self.place.clone().and_then(|place| place.holder);
        let place = self.look().await?;
        if place.holder != before && place.holder.is_some() {
            info!(eip = %place.eip, "somebody else has moved the elastic ip");
            return Ok(());
        }
        let nodes = context.nodes.list();
        let ranked = candidates(&nodes, place.holder.as_deref(), place.eip);
        let (mut unfit, mut refused, mut holder_answers) = (None, None, false);
        for candidate in self.healthy(&ranked, ports).await {
            if place.holder.as_deref() == Some(&candidate.device) {
                // The last in the order: nobody is better, or nobody took it.
                holder_answers = true;
                break;
            }
            // Before the address is taken away from where it is: can it go there?
            if let Err(why) = self.fits(&candidate, &place).await {
                warn!(node = %candidate.node, "the elastic ip cannot go there: {}", kit::chain(&why));
                unfit = Some(why);
                continue;
            }
            self.take_away(context).await?;
            match self.give(context, &candidate.device).await? {
                Given::There => {
                    self.returned = 0;
                    let text = format!("the elastic ip {} is on node {} now", place.eip, candidate.node);
                    info!("{text}");
                    let service = ObjectRef::new("v1", "Service", CONTROL_PLANE_SERVICE).namespace(SYSTEM_NAMESPACE);
                    self.recorder.normal(&service, "ElasticIPMoved", text);
                    return Ok(());
                }
                Given::Elsewhere => {
                    info!(eip = %place.eip, "somebody else has moved the elastic ip");
                    return Ok(());
                }
                Given::Refused(error) => {
                    warn!(node = %candidate.node, "cannot give it the elastic ip: {}", kit::chain(&error));
                    refused = Some(error);
                }
            }
        }
        if let Some(error) = refused {
            self.give_back(context, &place).await;
            let text = "failed to assign the control plane endpoint";
            return Err(CloudError::new(error.class(), text).because(error));
        }
        if holder_answers {
            return Ok(());
        }
        let nobody = "ccm didn't find a good candidate for IP allocation. Cluster is unhealthy";
        let error = CloudError::new(Class::Transient, nobody);
        Err(match unfit {
            Some(why) => error.because(why),
            None => error,
        })
    }

    /// Whether the address could be on a candidate's device: one of our project, in its metro, and switched on.
    async fn fits(&self, candidate: &Candidate, place: &Place) -> Result<(), CloudError> {
        let unfit = |text: String| Err(CloudError::new(Class::Invalid, text));
        let device = self.client.device(&candidate.device).await?;
        let (id, project) = (&candidate.device, device.project.id());
        if device.state != "active" {
            return unfit(format!("its device {id} is {}", device.state));
        }
        if !project.is_empty() && project != self.client.project() {
            return unfit(format!("its device {id} is in another project"));
        }
        let metro = &device.metro.code;
        if !place.metro.is_empty() && !metro.is_empty() && *metro != place.metro {
            return unfit(format!(
                "its device {id} is in metro {metro}, the address in {}",
                place.metro
            ));
        }
        Ok(())
    }

    /// Takes the address away from where it is, if it is anywhere.
    async fn take_away(&mut self, context: &Context) -> Result<(), CloudError> {
        let Some(assignment) = self.place.clone().and_then(|place| place.assignment) else {
            return Ok(());
        };
        context.fence.check()?;
        if let Err(error) = self.client.unassign(&assignment).await {
            // Was it done although the answer was lost?
            if self.look().await?.holder.is_some() {
                return Err(error.into());
            }
        }
        if let Some(place) = &mut self.place {
            (place.holder, place.assignment) = (None, None);
        }
        Ok(())
    }

    /// Gives the address, which is on no node, to a device. Fails when it cannot be told where it is now: nobody else is to be
    /// given it then.
    async fn give(&mut self, context: &Context, device: &str) -> Result<Given, CloudError> {
        let Some(place) = self.place.clone() else {
            return Ok(Given::Elsewhere);
        };
        let mut tries = 0;
        loop {
            tries += 1;
            context.fence.check()?;
            let error = match self.client.assign(device, &place.eip.to_string()).await {
                Ok(assignment) => {
                    self.place = Some(Place {
                        holder: Some(device.to_owned()),
                        assignment: Some(assignment.id().to_owned()),
                        seen: Instant::now(),
                        ..place
                    });
                    (self.failures, self.strays) = (0, 0);
                    return Ok(Given::There);
                }
                Err(error) => error,
            };
            // Was it done although the answer was lost?
            if let Some(holder) = self.look().await?.holder {
                return Ok(if holder == device {
                    Given::There
                } else {
                    Given::Elsewhere
                });
            }
            if !error.class().is_temporary() || tries >= TRIES {
                return Ok(Given::Refused(error.into()));
            }
            context.clock.sleep(PAUSE).await;
        }
    }

    /// Gives the address back to the device that had it: an API server that may not answer is better than none.
    async fn give_back(&mut self, context: &Context, before: &Place) {
        let Some(holder) = &before.holder else { return };
        let eip = before.eip;
        match self.give(context, holder).await {
            Ok(Given::There) => {
                self.returned += 1;
                warn!(%eip, device = holder, "nobody else took the elastic ip: it is back");
            }
            Ok(Given::Elsewhere) => {}
            Ok(Given::Refused(error)) | Err(error) => {
                warn!(%eip, "the elastic ip is on no node: {}", kit::chain(&error));
            }
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
