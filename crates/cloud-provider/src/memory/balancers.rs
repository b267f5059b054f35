//! Load balancers in memory.

use std::sync::Arc;

use async_trait::async_trait;

use super::{MemoryCloud, Op};
use crate::cloud::{Balancer, LoadBalancers, OwnedBalancer};
use crate::data::{Ingress, Node, Service};
use crate::error::CloudError;

/// A load balancer in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBalancer {
    /// The Service it was made for.
    pub service: String,
    /// The cluster it was made for.
    pub cluster: String,
    /// Where it is reached.
    pub address: String,
    /// The names of the nodes it sends traffic to.
    pub hosts: Vec<String>,
    /// The ports it listens on.
    pub ports: Vec<i32>,
}

impl MemoryCloud {
    /// All load balancers, by name.
    pub fn balancers(&self) -> std::collections::BTreeMap<String, MemoryBalancer> {
        self.lock().balancers.clone()
    }

    /// All addresses that are reserved, by the name of the load balancer they are for.
    pub fn addresses(&self) -> std::collections::BTreeMap<String, String> {
        self.lock().addresses.clone()
    }

    /// Removes a load balancer behind everybody's back.
    pub fn drop_balancer(&self, name: &str) {
        self.lock().balancers.remove(name);
    }

    /// Reserves the address for the load balancer of a Service, as an `ensure` does that dies right afterwards.
    pub fn reserve(&self, service: &Service) {
        let name = LoadBalancers::name(self, "", service);
        self.lock().addresses.insert(name, "203.0.113.1".to_owned());
    }

    async fn find(&self, name: &str) -> Result<Option<MemoryBalancer>, CloudError> {
        self.request(Op::GetBalancer, name, |state| Ok(state.balancers.get(name).cloned()))
            .await
    }

    async fn set_hosts(&self, name: &str, hosts: Vec<String>, ports: Vec<i32>) -> Result<(), CloudError> {
        self.request(Op::SetHosts, name, |state| {
            let gone = || CloudError::new(kit::Class::NotFound, format!("no load balancer {name}"));
            let balancer = state.balancers.get_mut(name).ok_or_else(gone)?;
            (balancer.hosts, balancer.ports) = (hosts, ports);
            Ok(())
        })
        .await
    }
}

fn hosts(nodes: &[Arc<Node>]) -> Vec<String> {
    nodes.iter().map(|node| node.name.clone()).collect()
}

fn ports(service: &Service) -> Vec<i32> {
    service.ports.iter().map(|port| port.port).collect()
}

#[async_trait]
impl LoadBalancers for MemoryCloud {
    async fn get(&self, cluster: &str, service: &Service) -> Result<Option<Balancer>, CloudError> {
        let found = self.find(&LoadBalancers::name(self, cluster, service)).await?;
        Ok(found.map(|balancer| Balancer {
            ingress: vec![Ingress::ip(balancer.address)],
        }))
    }

    async fn ensure(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<Balancer, CloudError> {
        let name = LoadBalancers::name(self, cluster, service);
        let (hosts, ports) = (hosts(nodes), ports(service));
        let found = if let Some(found) = self.find(&name).await? {
            found
        } else {
            // Reserved under the balancer's name: whoever comes again finds it and reserves no second one.
            let address = self
                .request(Op::ReserveAddress, &name, |state| {
                    let next = format!("203.0.113.{}", state.addresses.len() + 1);
                    Ok(state.addresses.entry(name.clone()).or_insert(next).clone())
                })
                .await?;
            let fresh = MemoryBalancer {
                service: service.key(),
                cluster: cluster.to_owned(),
                address,
                hosts: hosts.clone(),
                ports: ports.clone(),
            };
            self.request(Op::CreateBalancer, &name, |state| {
                Ok(state.balancers.entry(name.clone()).or_insert(fresh).clone())
            })
            .await?
        };
        if found.hosts != hosts || found.ports != ports {
            self.set_hosts(&name, hosts, ports).await?;
        }
        Ok(Balancer {
            ingress: vec![Ingress::ip(found.address)],
        })
    }

    async fn update(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<(), CloudError> {
        self.set_hosts(
            &LoadBalancers::name(self, cluster, service),
            hosts(nodes),
            ports(service),
        )
        .await
    }

    async fn delete(&self, cluster: &str, service: &Service) -> Result<(), CloudError> {
        let name = LoadBalancers::name(self, cluster, service);
        self.request(Op::DeleteBalancer, &name, |state| {
            state.balancers.remove(&name);
            Ok(())
        })
        .await?;
        self.request(Op::ReleaseAddress, &name, |state| {
            state.addresses.remove(&name);
            Ok(())
        })
        .await
    }

    async fn list(&self, cluster: &str) -> Result<Option<Vec<OwnedBalancer>>, CloudError> {
        self.request(Op::ListBalancers, "", |state| {
            let owned = state
                .balancers
                .iter()
                .filter(|(_, balancer)| balancer.cluster == cluster);
            let tell = |(name, balancer): (&String, &super::MemoryBalancer)| OwnedBalancer {
                name: name.clone(),
                service: Some(balancer.service.clone()),
                id: balancer.address.clone(),
            };
            Ok(Some(owned.map(tell).collect()))
        })
        .await
    }
}
