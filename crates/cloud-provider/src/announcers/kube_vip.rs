//! kube-vip: it watches Services and announces the addresses that they name, by ARP or by BGP.
//!
//! It reads `spec.loadBalancerIP`, and from 0.5.12 on the annotation first. Both are written, so that every version finds
//! its own. kube-vip itself is neither deployed nor configured here.

use async_trait::async_trait;

use super::{AddressNames, AnnounceError, Announcement, Announcer, ServiceAddress};
use crate::data::Service;

/// The annotation with the addresses of a Service, separated by commas.
pub const ANNOTATION_ADDRESSES: &str = "kube-vip.io/loadbalancerIPs";

/// Where addresses are written for kube-vip; `mark` is the provider's annotation for what it wrote.
pub fn names(mark: impl Into<String>) -> AddressNames {
    AddressNames {
        mark: mark.into(),
        spec: true,
        annotations: vec![ANNOTATION_ADDRESSES.to_owned()],
    }
}

/// Leaves announcing to kube-vip.
#[derive(Clone)]
pub struct KubeVip(ServiceAddress);

impl KubeVip {
    /// Writes with this client, and marks what it wrote with the provider's annotation `mark`.
    pub fn new(client: kube::Client, mark: impl Into<String>) -> Self {
        Self(ServiceAddress::new(client, names(mark)))
    }
}

#[async_trait]
impl Announcer for KubeVip {
    async fn announce(&self, announcement: &Announcement<'_>) -> Result<(), AnnounceError> {
        let Some(address) = announcement.addresses.first() else {
            return self.0.clear(announcement.service).await;
        };
        self.0.write(announcement.service, &address.network.to_string()).await
    }

    async fn withdraw(&self, service: &Service) -> Result<(), AnnounceError> {
        self.0.clear(service).await
    }
}
