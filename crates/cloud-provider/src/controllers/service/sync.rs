//! Bringing one Service and its load balancer in line.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, Patch, PatchParams};
use kube_kit::retry;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::info;

use super::decide::{differs, hosts, needs_cleanup, wants_load_balancer};
use super::{Record, ServiceController, SyncError, patch};
use crate::cloud::{Balancer, LoadBalancers};
use crate::data::{Ingress, Node, Service, Slim};
use crate::error::CloudError;
use crate::helpers::has_finalizer;

/// How many nodes are named in an event.
const NAMED: usize = 20;

impl ServiceController {
    /// Does whatever the Service with this key needs now. Only one of these runs for one key.
    pub(super) async fn sync(&self, key: &str) -> Result<(), SyncError> {
        let inner = &self.0;
        // What is offered does not change: without load balancers this controller would not be here.
        let Some(balancers) = inner.shared.cloud.load_balancers() else {
            return Ok(());
        };
        let known = inner.records().get(key).cloned();
        let Some(service) = inner.shared.services.get(key) else {
            // Gone without waiting for us: somebody took the finalizer off.
            if let Some(record) = known {
                self.clean_up_after(balancers, &record).await?;
                inner.records().remove(key);
            }
            return Ok(());
        };
        let known = match known {
            Some(record) if record.service.uid != service.uid => {
                self.clean_up_after(balancers, &record).await?;
                inner.records().remove(key);
                None
            }
            known => known,
        };
        if service.class.is_some() && known.is_none() {
            // Another controller's, finalizer included.
            return Ok(());
        }
        if !wants_load_balancer(&service) || service.deleting {
            if known.is_none() && !needs_cleanup(&service) {
                return Ok(());
            }
            self.remember(key, &service, known.as_ref());
            self.delete(balancers, &service).await?;
            inner.records().remove(key);
            return Ok(());
        }
        let nodes = inner.stable_nodes();
        if let Some(record) = &known
            && !record.stale
            && !differs(&record.service, &service)
            && let Some(last) = &record.hosts
            && has_finalizer(&service)
        {
            if record.elsewhere || *last == hosts(&nodes) {
                return Ok(());
            }
            return self.update(balancers, key, &service, &nodes).await;
        }
        self.remember(key, &service, known.as_ref());
        self.ensure(balancers, key, &service, &nodes).await
    }

    /// Takes note of the Service before anything is done, so that it is known whatever happens meanwhile.
    fn remember(&self, key: &str, service: &Arc<Service>, known: Option<&Record>) {
        let record = Record {
            service: Arc::clone(service),
            hosts: known.and_then(|record| record.hosts.clone()),
            stale: true,
            elsewhere: false,
        };
        self.0.records().insert(key.to_owned(), record);
    }

    async fn ensure(
        &self,
        balancers: &dyn LoadBalancers,
        key: &str,
        service: &Arc<Service>,
        nodes: &[Arc<Node>],
    ) -> Result<(), SyncError> {
        let inner = &self.0;
        let reference = service.reference();
        // After a restart everything is ensured once more; that is not worth telling about each Service.
        let news = !has_finalizer(service) || service.ingress.is_empty();
        if news {
            inner.tell_beginning(service, "EnsuringLoadBalancer", "Ensuring load balancer");
        }
        if !has_finalizer(service) {
            let add = patch::add_finalizer(&service.finalizers);
            self.patch(service, add).await.map_err(SyncError::AddFinalizer)?;
        }
        if nodes.is_empty() {
            let text = "There are no available nodes for LoadBalancer";
            inner.recorder.warning(&reference, "UnAvailableLoadBalancer", text);
        }
        inner.shared.fence.check()?;
        let call = balancers.ensure(&inner.shared.cluster, service, nodes);
        let (balancer, elsewhere) = match inner.asked.time("ensure_load_balancer", call).await {
            Ok(balancer) => (balancer, false),
            Err(CloudError::ImplementedElsewhere) => (Balancer::default(), true),
            Err(error) => return Err(SyncError::Ensure(error)),
        };
        if !elsewhere {
            self.write_status(service, &balancer.ingress).await?;
            if news {
                inner
                    .recorder
                    .normal(&reference, "EnsuredLoadBalancer", "Ensured load balancer");
            }
        }
        if let Some(record) = inner.records().get_mut(key) {
            (record.hosts, record.stale, record.elsewhere) = (Some(hosts(nodes)), false, elsewhere);
        }
        Ok(())
    }

    async fn update(
        &self,
        balancers: &dyn LoadBalancers,
        key: &str,
        service: &Arc<Service>,
        nodes: &[Arc<Node>],
    ) -> Result<(), SyncError> {
        let inner = &self.0;
        let reference = service.reference();
        inner.shared.fence.check()?;
        inner.syncs.inc(&[]);
        let began = Instant::now();
        let call = balancers.update(&inner.shared.cluster, service, nodes);
        let result = inner.asked.time("update_load_balancer", call).await;
        inner.host_update_latency.observe(&[], began.elapsed().as_secs_f64());
        match result {
            Ok(()) if nodes.is_empty() => {
                let text = "There are no available nodes for LoadBalancer";
                inner.recorder.warning(&reference, "UnAvailableLoadBalancer", text);
            }
            Ok(()) => inner.recorder.normal(
                &reference,
                "UpdatedLoadBalancer",
                "Updated load balancer with new hosts",
            ),
            Err(CloudError::ImplementedElsewhere) => {}
            Err(error) => {
                inner.node_sync_errors.inc(&[]);
                if let Some(record) = inner.records().get_mut(key) {
                    // What the load balancer has now is uncertain: the next try looks at all of it.
                    record.stale = true;
                }
                if !error.is_pending() {
                    let text = format!(
                        "Error updating load balancer with new hosts {} [node names limited, total number of nodes: {}], error: {}",
                        named(nodes),
                        nodes.len(),
                        kit::chain(&error)
                    );
                    inner.recorder.warning(&reference, "UpdateLoadBalancerFailed", text);
                }
                return Err(SyncError::Update(error));
            }
        }
        if let Some(record) = inner.records().get_mut(key) {
            record.hosts = Some(hosts(nodes));
        }
        Ok(())
    }

    async fn delete(&self, balancers: &dyn LoadBalancers, service: &Arc<Service>) -> Result<(), SyncError> {
        let inner = &self.0;
        let reference = service.reference();
        let cluster = &inner.shared.cluster;
        // A cloud that cannot say whether there is one may still be able to remove it: the answer only decides what is told.
        let there = inner
            .asked
            .time("get_load_balancer", balancers.get(cluster, service))
            .await;
        let there = match there {
            Ok(found) => found.is_some(),
            Err(CloudError::ImplementedElsewhere) => false,
            Err(error) => return Err(SyncError::Check(error)),
        };
        if there {
            inner.tell_beginning(service, "DeletingLoadBalancer", "Deleting load balancer");
        }
        inner.shared.fence.check()?;
        match inner
            .asked
            .time("delete_load_balancer", balancers.delete(cluster, service))
            .await
        {
            Ok(()) | Err(CloudError::ImplementedElsewhere) => {}
            Err(error) => return Err(SyncError::Delete(error)),
        }
        if there {
            inner
                .recorder
                .normal(&reference, "DeletedLoadBalancer", "Deleted load balancer");
        }
        // Finalizer and status in one write: afterwards the object may be gone.
        let mut body = if has_finalizer(service) {
            patch::remove_finalizer()
        } else {
            json!({})
        };
        if !service.ingress.is_empty() {
            let mut cleared = patch::set_ingress(&[]);
            body["status"] = cleared["status"].take();
        }
        if body != json!({}) {
            self.patch_or_gone(service, body)
                .await
                .map_err(SyncError::RemoveFinalizer)?;
        }
        info!(service = %service.key(), "load balancer is gone");
        Ok(())
    }

    /// Removes the load balancer of a Service that is not there any more.
    async fn clean_up_after(&self, balancers: &dyn LoadBalancers, record: &Record) -> Result<(), SyncError> {
        let inner = &self.0;
        if record.hosts.is_none() && !wants_load_balancer(&record.service) {
            return Ok(());
        }
        let reference = record.service.reference();
        inner.tell_beginning(&record.service, "DeletingLoadBalancer", "Deleting load balancer");
        inner.shared.fence.check()?;
        let call = balancers.delete(&inner.shared.cluster, &record.service);
        match inner.asked.time("delete_load_balancer", call).await {
            Ok(()) | Err(CloudError::ImplementedElsewhere) => {
                inner
                    .recorder
                    .normal(&reference, "DeletedLoadBalancer", "Deleted load balancer");
                Ok(())
            }
            Err(error) => {
                if !error.is_pending() {
                    let text = format!("Error deleting load balancer: {}", kit::chain(&error));
                    inner.recorder.warning(&reference, "DeleteLoadBalancerFailed", text);
                }
                Err(SyncError::Delete(error))
            }
        }
    }

    async fn write_status(&self, service: &Service, ingress: &[Ingress]) -> Result<(), SyncError> {
        if is_same(&service.ingress, ingress) {
            return Ok(());
        }
        self.patch_or_gone(service, patch::set_ingress(ingress))
            .await
            .map_err(SyncError::Status)
    }

    async fn patch_or_gone(&self, service: &Service, body: Value) -> Result<(), kube::Error> {
        match self.patch(service, body).await {
            Err(error) if retry::is_not_found(&error) => Ok(()),
            result => result,
        }
    }

    async fn patch(&self, service: &Service, mut body: Value) -> Result<(), kube::Error> {
        // Another Service of the same name answers with a conflict.
        body["metadata"]["uid"] = service.uid.as_str().into();
        let services: Api<Slim<core::Service>> = Api::namespaced(self.0.shared.client.clone(), &service.namespace);
        services
            .patch_status(&service.name, &PatchParams::default(), &Patch::Strategic(body))
            .await
            .map(|_| ())
    }
}

/// Whether a Service says already what its load balancer is reached at. Where the cloud says nothing of the mode, what
/// the API server filled in is right.
fn is_same(known: &[Ingress], wanted: &[Ingress]) -> bool {
    known.len() == wanted.len()
        && known.iter().zip(wanted).all(|(known, wanted)| {
            let ip_mode = wanted.ip_mode.clone().or_else(|| known.ip_mode.clone());
            *known
                == Ingress {
                    ip_mode,
                    ..wanted.clone()
                }
        })
}

/// The names of nodes as Go prints a list, the first twenty of them.
fn named(nodes: &[Arc<Node>]) -> String {
    let mut names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let rest = format!("<{more} more>");
    if more > 0 {
        names.push(&rest);
    }
    format!("[{}]", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream_cases::passed;

    #[test]
    fn every_upstream_case_of_status_equality() {
        use crate::data::PortStatus;
        let ip = Ingress::ip("1.2.3.4");
        let mode = |mode: &str| Ingress {
            ip_mode: Some(mode.to_owned()),
            ..ip.clone()
        };
        let port = |protocol: &str| {
            let port = PortStatus {
                port: 80,
                protocol: protocol.to_owned(),
                error: None,
            };
            Ingress {
                ports: vec![port],
                ..ip.clone()
            }
        };
        let cases: [(&str, Vec<Ingress>, Vec<Ingress>, bool); 10] = [
            ("empty", vec![], vec![], true),
            ("same ip", vec![ip.clone()], vec![ip.clone()], true),
            ("other ip", vec![ip.clone()], vec![Ingress::ip("1.2.3.5")], false),
            ("same ipMode", vec![mode("VIP")], vec![mode("VIP")], true),
            ("ipMode on one side", vec![ip.clone()], vec![mode("VIP")], false),
            ("other ipMode", vec![mode("VIP")], vec![mode("Proxy")], false),
            ("same ports", vec![port("TCP")], vec![port("TCP")], true),
            ("other protocol", vec![port("TCP")], vec![port("UDP")], false),
            ("ports on one side", vec![port("TCP")], vec![ip.clone()], false),
            ("ports on the other side", vec![ip.clone()], vec![port("TCP")], false),
        ];
        for (name, known, wanted, same) in cases {
            assert_eq!(is_same(&known, &wanted), same, "{name}");
            passed("LoadBalancerStatusEqual", name);
        }
        // Differs from upstream, which writes again what the API server fills in again.
        assert!(is_same(&[mode("VIP")], std::slice::from_ref(&ip)));
        assert!(!is_same(&[ip], &[]));
        assert!(!is_same(&[Ingress::hostname("a")], &[Ingress::hostname("b")]));
    }

    #[test]
    fn at_most_twenty_nodes_are_named() {
        let nodes = |count: usize| -> Vec<Arc<Node>> {
            (0..count)
                .rev()
                .map(|n| {
                    Arc::new(Node {
                        name: format!("n{n:02}"),
                        ..Node::default()
                    })
                })
                .collect()
        };
        assert_eq!(named(&nodes(2)), "[n00 n01]");
        assert!(named(&nodes(23)).ends_with(" n19 <3 more>]"));
        assert_eq!(named(&[]), "[]");
    }
}
