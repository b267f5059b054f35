//! IP reservations: how those of a Service are found again, and where new ones are made.
//!
//! Mirrors `metal/ipreservations.go` and the tags of `metal/loadbalancers.go` in cloud-provider-equinix-metal. Differs from
//! upstream: reservations of VRFs are passed over, those that nobody approved are not used, and where one Service has got
//! two, one is chosen and the others go.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_provider::data::Service;
use cloud_provider::helpers::Cidr;
use sha2::{Digest as _, Sha256};

use crate::client::{Reservation, ReservationRequest};

/// On all that this program makes.
pub const USAGE_TAG: &str = "usage=cloud-provider-equinix-metal-auto";
/// What people read about a reservation.
const DETAILS: &str = "Equinix Metal Kubernetes CCM auto-generated for Load Balancer";

/// The tag of a Service: the digest of its namespace and name, which may be longer than a tag.
pub fn service_tag(namespace: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{namespace}/{name}"));
    format!("service={}", STANDARD.encode(digest))
}

/// The tag of a cluster: the UID of its namespace `kube-system`.
pub fn cluster_tag(uid: &str) -> String {
    format!("cluster={uid}")
}

/// The tags of a Service's reservation, in the order they are sent.
pub fn tags(cluster: &str, service: &Service) -> [String; 3] {
    let service = service_tag(&service.namespace, &service.name);
    [USAGE_TAG.to_owned(), service, cluster_tag(cluster)]
}

/// The name of a Service's load balancer.
pub fn balancer_name(cluster: &str, service: &Service) -> String {
    tags(cluster, service).join(":")
}

/// Whether a tagged list of tags has all that are asked for.
pub fn has_all(tags: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|tag| tags.contains(tag))
}

/// Whether an address of it can be used: somebody may have to approve it first.
pub fn is_usable(reservation: &Reservation) -> bool {
    !matches!(reservation.state.as_str(), "pending" | "denied")
}

/// The reservations with all of these tags, the one to be used first: it has the address that is in use already, else it
/// can be used, else it is the oldest.
pub fn find<'a>(reservations: &'a [Reservation], wanted: &[String], in_use: &str) -> Vec<&'a Reservation> {
    let mut found: Vec<&Reservation> = reservations
        .iter()
        .filter(|one| !one.is_vrf() && has_all(&one.tags, wanted))
        .collect();
    // Stable: otherwise alike, the first of the list comes first, as upstream has it.
    found.sort_by_key(|one| {
        let used = in_use.parse().is_ok_and(|address| contains(one, address));
        (!used, !is_usable(one), one.created_at.clone())
    });
    found
}

/// The network of a reservation.
pub fn network(reservation: &Reservation) -> Option<Cidr> {
    let address: IpAddr = reservation.address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = if reservation.cidr == 0 { width } else { reservation.cidr };
    format!("{address}/{bits}").parse().ok()
}

/// Whether an address lies in a reservation.
pub fn contains(reservation: &Reservation, address: IpAddr) -> bool {
    network(reservation).is_some_and(|network| network.contains(address))
}

/// Where an address is reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a region.
    Metro(String),
    /// In a zone, the old way.
    Facility(String),
}

/// No place was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to create load balancer when no IP, region or zone specified, either globally or on service")]
pub struct NoLocation;

/// What may say where an address is reserved. Empty texts say nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places<'a> {
    /// The Service's metro.
    pub service_metro: &'a str,
    /// The Service's facility.
    pub service_facility: &'a str,
    /// The configured metro.
    pub metro: &'a str,
    /// The configured facility.
    pub facility: &'a str,
}

impl Places<'_> {
    /// The first that is given: the Service's metro, its facility, the configured metro, the configured facility.
    pub fn choose(&self) -> Result<Location, NoLocation> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        given(self.service_metro)
            .map(Location::Metro)
            .or_else(|| given(self.service_facility).map(Location::Facility))
            .or_else(|| given(self.metro).map(Location::Metro))
            .or_else(|| given(self.facility).map(Location::Facility))
            .ok_or(NoLocation)
    }
}

/// The request for a Service's address.
pub fn request(cluster: &str, service: &Service, location: Location) -> ReservationRequest {
    let (metro, facility) = match location {
        Location::Metro(metro) => (Some(metro), None),
        Location::Facility(facility) => (None, Some(facility)),
    };
    ReservationRequest {
        kind: "public_ipv4".to_owned(),
        quantity: 1,
        metro,
        facility,
        fail_on_approval_required: true,
        details: DETAILS.to_owned(),
        tags: tags(cluster, service).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reservation(address: &str, tags: &[&str]) -> Reservation {
        Reservation {
            id: address.to_owned(),
            kind: "public_ipv4".to_owned(),
            address: address.to_owned(),
            address_family: 4,
            cidr: 32,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..Reservation::default()
        }
    }

    fn strings(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn tags_are_those_of_the_original() {
        for (namespace, name, tag) in [
            (
                "default",
                "nginx",
                "service=l7RnKS8k48oG3Qv3Pxx8FzEMj3X3E5c8JPOIzyLWWdY=",
            ),
            (
                "kube-system",
                "test",
                "service=mO+E+H/q37LEyDHR0iy2BA831tmP7bA5rXn+5561kO8=",
            ),
        ] {
            assert_eq!(service_tag(namespace, name), tag);
        }
        let service = Service {
            namespace: "default".to_owned(),
            name: "nginx".to_owned(),
            ..Service::default()
        };
        assert_eq!(
            balancer_name("uid", &service),
            "usage=cloud-provider-equinix-metal-auto:service=l7RnKS8k48oG3Qv3Pxx8FzEMj3X3E5c8JPOIzyLWWdY=:cluster=uid"
        );
        let body = serde_json::to_value(request("uid", &service, Location::Metro("da".to_owned()))).unwrap();
        let expected = serde_json::json!({
            "type": "public_ipv4", "quantity": 1, "metro": "da", "fail_on_approval_required": true,
            "details": "Equinix Metal Kubernetes CCM auto-generated for Load Balancer",
            "tags": [
                "usage=cloud-provider-equinix-metal-auto", "service=l7RnKS8k48oG3Qv3Pxx8FzEMj3X3E5c8JPOIzyLWWdY=",
                "cluster=uid",
            ],
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn every_upstream_case_of_finding_by_tags() {
        let lists = [["a", "b"], ["c", "d"], ["a", "d"], ["b", "c"], ["b", "q"]];
        let reservations: Vec<Reservation> = lists
            .iter()
            .zip(1..)
            .map(|(tags, n)| reservation(&format!("192.0.2.{n}"), tags))
            .collect();
        let cases: [(&[&str], Option<usize>); 7] = [
            (&["a"], Some(0)),
            (&["a", "b"], Some(0)),
            (&["b"], Some(0)),
            (&["c"], Some(1)),
            (&["d"], Some(1)),
            (&["q"], Some(4)),
            (&["q", "n"], None),
        ];
        for (wanted, found) in cases {
            let first = find(&reservations, &strings(wanted), "")
                .first()
                .map(|one| one.id.clone());
            assert_eq!(first, found.map(|at| reservations[at].id.clone()), "{wanted:?}");
        }
        println!("reservations by tags: {} cases for upstream's 7", cases.len());
    }

    #[test]
    fn vrfs_are_passed_over_and_the_address_in_use_comes_first() {
        let mut reservations: Vec<Reservation> =
            (1..=4).map(|n| reservation(&format!("192.0.2.{n}"), &["t"])).collect();
        reservations[0].kind = "vrf".to_owned();
        reservations[1].state = "pending".to_owned();
        reservations[2].created_at = "2026-01-02T00:00:00Z".to_owned();
        reservations[3].created_at = "2026-01-01T00:00:00Z".to_owned();
        let order = |in_use: &str| -> Vec<String> {
            let found = find(&reservations, &strings(&["t"]), in_use);
            found.iter().map(|one| one.address.clone()).collect()
        };
        assert_eq!(order(""), ["192.0.2.4", "192.0.2.3", "192.0.2.2"]);
        assert_eq!(order("192.0.2.3")[0], "192.0.2.3");
        // Null fields, as of a VRF that came without its type.
        assert_eq!(network(&Reservation::default()), None);
    }

    #[test]
    fn the_place_is_looked_for_in_one_order() {
        let all = Places {
            service_metro: "a",
            service_facility: "b",
            metro: "c",
            facility: "d",
        };
        let cases = [
            (all, Location::Metro("a".to_owned())),
            (
                Places {
                    service_metro: "",
                    ..all
                },
                Location::Facility("b".to_owned()),
            ),
            (
                Places {
                    metro: "c",
                    facility: "d",
                    ..Places::default()
                },
                Location::Metro("c".to_owned()),
            ),
            (
                Places {
                    facility: "d",
                    ..Places::default()
                },
                Location::Facility("d".to_owned()),
            ),
        ];
        for (places, expected) in cases {
            assert_eq!(places.choose(), Ok(expected));
        }
        assert_eq!(Places::default().choose(), Err(NoLocation));
    }
}
