//! Which address a Service gets, decided from its object and the project's reservations.

use std::net::IpAddr;
use std::time::Duration;

use cloud_provider::CloudError;
use cloud_provider::announcers::{AddressNames, assigned, is_requested};
use cloud_provider::data::Service;
use cloud_provider::helpers::Cidr;
use kit::Class;

use super::reserved::noted;
use super::{ANNOTATION_ADDRESS, ANNOTATION_TAG, host};
use crate::client::Reservation;
use crate::reservations::{USAGE_TAG, contains, find, is_usable, network};

/// How soon a reservation that somebody has to approve is looked at again.
const APPROVAL: Duration = Duration::from_mins(1);

/// What the choice is made from.
pub(super) struct Asked<'a> {
    /// Where addresses are written.
    pub names: &'a AddressNames,
    /// The Service's tags.
    pub tags: &'a [String],
    /// The Service.
    pub service: &'a Service,
    /// The project's reservations.
    pub reservations: &'a [Reservation],
}

/// The address of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It was reserved for it.
    Given {
        /// The address.
        address: IpAddr,
        /// What is announced: the whole reservation.
        network: Cidr,
        /// The reservation.
        id: String,
    },
    /// The user asked for it.
    Requested {
        /// The address.
        address: IpAddr,
        /// Whether a reservation of the project has it.
        reserved: bool,
    },
    /// It has none yet.
    Reserve,
}

impl Choice {
    /// The reservations of the Service that are not used.
    pub fn spares<'a>(&self, reservations: &'a [Reservation], tags: &[String]) -> Vec<&'a Reservation> {
        let used = match self {
            Self::Given { id, .. } => id.as_str(),
            Self::Requested { .. } => "",
            Self::Reserve => return Vec::new(),
        };
        let found = find(reservations, tags, "");
        let asked = |one: &Reservation| match self {
            Self::Requested { address, .. } => contains(one, *address),
            _ => false,
        };
        found.into_iter().filter(|one| one.id != used && !asked(one)).collect()
    }
}

/// A reservation that cannot be used yet, or never.
pub(super) fn waiting(reservation: &Reservation) -> CloudError {
    let id = &reservation.id;
    if reservation.state == "denied" {
        return CloudError::new(Class::Permanent, format!("the IP reservation {id} was denied"));
    }
    CloudError::pending(format!("the IP reservation {id} is not approved yet"), APPROVAL)
}

/// Chooses. Fails when what is asked for makes no sense, and while somebody has to approve what is reserved.
pub(super) fn choose(asked: &Asked<'_>) -> Result<Choice, CloudError> {
    let service = asked.service;
    let ours = find(asked.reservations, asked.tags, &service.load_balancer_ip);
    let parse = |text: &str| -> Result<IpAddr, CloudError> {
        let wrong = || CloudError::new(Class::Invalid, format!("{text:?} is asked for, but is no IP address"));
        text.trim().parse().map_err(|_| wrong())
    };
    if let Some(address) = requested(asked, &ours)? {
        let address = parse(&address)?;
        let reserved = asked
            .reservations
            .iter()
            .any(|one| !one.is_vrf() && contains(one, address));
        return Ok(Choice::Requested { address, reserved });
    }
    let Some(first) = ours.first() else {
        return Ok(Choice::Reserve);
    };
    if !is_usable(first) {
        return Err(waiting(first));
    }
    let broken = || {
        CloudError::new(
            Class::Transient,
            format!("the IP reservation {} has no address yet", first.id),
        )
    };
    let address: IpAddr = first.address.parse().map_err(|_| broken())?;
    Ok(Choice::Given {
        address,
        network: network(first).unwrap_or_else(|| host(address)),
        id: first.id.clone(),
    })
}

fn annotation<'a>(service: &'a Service, key: &str) -> Option<&'a str> {
    let text = service.annotations.get(key)?.trim();
    Some(text).filter(|text| !text.is_empty())
}

/// Whether the user asks for an address by annotation.
pub(super) fn is_asked_for_by_annotation(service: &Service) -> bool {
    [ANNOTATION_ADDRESS, ANNOTATION_TAG]
        .iter()
        .any(|key| annotation(service, key).is_some())
}

/// What the user asks for: by annotation, or in the spec. What stands in the spec and is reserved under the Service's own
/// tags was written there by us, or by the Go program.
fn requested(asked: &Asked<'_>, ours: &[&Reservation]) -> Result<Option<String>, CloudError> {
    let service = asked.service;
    if let Some(address) = annotation(service, ANNOTATION_ADDRESS) {
        return Ok(Some(address.to_owned()));
    }
    if let Some(tag) = annotation(service, ANNOTATION_TAG) {
        let found = find(asked.reservations, &[tag.to_owned()], "");
        let address = found.first().map(|one| one.address.clone());
        let missing = || CloudError::new(Class::NotFound, format!("no IP found with tag '{tag}'"));
        return address.ok_or_else(missing).map(Some);
    }
    if !is_requested(asked.names, service) {
        return Ok(disowned(asked));
    }
    let by_us = service
        .load_balancer_ip
        .parse()
        .is_ok_and(|address| ours.iter().any(|one| contains(one, address)));
    Ok((!by_us).then(|| service.load_balancer_ip.clone()))
}

/// The address of a Service whose reservation has lost our tags: it is whoever's who took them off, and stays in use. Where
/// it has the tags of another Service or cluster, this one is a copy of that, and gets its own.
fn disowned(asked: &Asked<'_>) -> Option<String> {
    let id = noted(asked.service)?;
    let address = assigned(asked.names, asked.service)?;
    let reservation = asked.reservations.iter().find(|one| one.id == id)?;
    let has_it = address.parse().is_ok_and(|address| contains(reservation, address));
    let ours = reservation.tags.iter().any(|tag| tag == USAGE_TAG);
    (has_it && !ours && !reservation.is_vrf()).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_balancers::{ANNOTATION_ASSIGNED, ANNOTATION_RESERVATION};
    use crate::reservations;

    fn names() -> AddressNames {
        AddressNames {
            mark: ANNOTATION_ASSIGNED.to_owned(),
            spec: true,
            annotations: Vec::new(),
        }
    }

    fn service(ip: &str, annotations: &[(&str, &str)]) -> Service {
        Service {
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            load_balancer_ip: ip.to_owned(),
            annotations: annotations
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..Service::default()
        }
    }

    fn reservation(address: &str, tags: &[String], state: &str) -> Reservation {
        Reservation {
            id: format!("id-{address}"),
            kind: "public_ipv4".to_owned(),
            address: address.to_owned(),
            address_family: 4,
            cidr: 32,
            state: state.to_owned(),
            tags: tags.to_vec(),
            ..Reservation::default()
        }
    }

    fn choice(service: &Service, reservations: &[Reservation]) -> Result<Choice, CloudError> {
        let tags = reservations::tags("uid", service);
        choose(&Asked {
            names: &names(),
            tags: &tags,
            service,
            reservations,
        })
    }

    fn given(address: &str) -> Choice {
        Choice::Given {
            address: address.parse().unwrap(),
            network: format!("{address}/32").parse().unwrap(),
            id: format!("id-{address}"),
        }
    }

    fn asked_for(address: &str, reserved: bool) -> Choice {
        Choice::Requested {
            address: address.parse().unwrap(),
            reserved,
        }
    }

    #[test]
    fn every_way_to_an_address() {
        let plain = service("", &[]);
        let ours = reservation("192.0.2.1", &reservations::tags("uid", &plain), "created");
        let theirs = reservation("198.51.100.1", &["mine".to_owned()], "");
        let all = [theirs.clone(), ours.clone()];
        let mark = |address| (ANNOTATION_ASSIGNED, address);
        for (what, service, reservations, expected) in [
            ("nothing there", plain.clone(), &all[..1], Choice::Reserve),
            ("reserved", plain.clone(), &all[..], given("192.0.2.1")),
            (
                "written by the Go program",
                service("192.0.2.1", &[]),
                &all,
                given("192.0.2.1"),
            ),
            (
                "written by us",
                service("192.0.2.1", &[mark("192.0.2.1")]),
                &all,
                given("192.0.2.1"),
            ),
            // #206: it was ours, and is released
            (
                "stale",
                service("192.0.2.9", &[mark("192.0.2.9")]),
                &all[..1],
                Choice::Reserve,
            ),
            (
                "asked for",
                service("198.51.100.1", &[]),
                &all,
                asked_for("198.51.100.1", true),
            ),
            (
                "asked for elsewhere",
                service("10.0.0.1", &[]),
                &all,
                asked_for("10.0.0.1", false),
            ),
            (
                "changed by the user",
                service("198.51.100.1", &[mark("192.0.2.1")]),
                &all,
                asked_for("198.51.100.1", true),
            ),
            (
                "by annotation",
                service("", &[(ANNOTATION_ADDRESS, "198.51.100.1")]),
                &all,
                asked_for("198.51.100.1", true),
            ),
            (
                "by tag",
                service("", &[(ANNOTATION_TAG, "mine")]),
                &all,
                asked_for("198.51.100.1", true),
            ),
        ] {
            assert_eq!(choice(&service, reservations).unwrap(), expected, "{what}");
        }
        let other_cluster = reservation("192.0.2.5", &reservations::tags("other", &plain), "");
        let given_by = |id: &str| service("192.0.2.5", &[mark("192.0.2.5"), (ANNOTATION_RESERVATION, id)]);
        let copy = given_by("id-192.0.2.5");
        assert_eq!(
            choice(&copy, std::slice::from_ref(&other_cluster)).unwrap(),
            Choice::Reserve,
            "a copy of another cluster's Service"
        );
        let disowned = reservation("192.0.2.5", &[], "");
        assert_eq!(
            choice(&copy, std::slice::from_ref(&disowned)).unwrap(),
            asked_for("192.0.2.5", true),
            "somebody took the tags off"
        );
        assert_eq!(
            choice(&given_by("id-192.0.2.77"), &[disowned]).unwrap(),
            Choice::Reserve,
            "not the one that it was given"
        );
        assert_eq!(choice(&plain, &[other_cluster]).unwrap(), Choice::Reserve, "#154");
    }

    #[test]
    fn what_makes_no_sense_or_is_not_approved_is_told() {
        assert_eq!(choice(&service("x", &[]), &[]).unwrap_err().class(), Class::Invalid);
        let missing = choice(&service("", &[(ANNOTATION_TAG, "none")]), &[]).unwrap_err();
        assert_eq!(
            (missing.class(), missing.to_string().as_str()),
            (Class::NotFound, "no IP found with tag 'none'")
        );
        let plain = service("", &[]);
        let tags = reservations::tags("uid", &plain);
        let waiting = choice(&plain, &[reservation("192.0.2.1", &tags, "pending")]).unwrap_err();
        assert!(matches!(waiting, CloudError::Pending { .. }));
        let denied = choice(&plain, &[reservation("192.0.2.1", &tags, "denied")]).unwrap_err();
        assert_eq!(denied.class(), Class::Permanent);
        // Null fields.
        let null = choice(&plain, &[reservation("", &tags, "")]).unwrap_err();
        assert_eq!(null.class(), Class::Transient);
    }

    #[test]
    fn what_was_reserved_twice_is_spare() {
        let plain = service("", &[]);
        let tags = reservations::tags("uid", &plain);
        let all = [
            reservation("192.0.2.1", &tags, ""),
            reservation("192.0.2.2", &tags, ""),
            reservation("192.0.2.3", &["other".to_owned()], ""),
        ];
        let ids = |choice: &Choice| -> Vec<String> {
            let spares = choice.spares(&all, &tags);
            spares.iter().map(|one| one.address.clone()).collect()
        };
        assert_eq!(ids(&given("192.0.2.1")), ["192.0.2.2"]);
        assert_eq!(ids(&asked_for("192.0.2.3", true)), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(ids(&asked_for("192.0.2.2", true)), ["192.0.2.1"]);
        assert!(ids(&Choice::Reserve).is_empty());
    }
}
