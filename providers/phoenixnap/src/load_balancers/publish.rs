//! Where the address of a Service is written, and where its user may have asked for one.

use std::fmt;
use std::net::IpAddr;

use cloud_provider::CloudError;
use cloud_provider::announcers::{AddressNames, ServiceAddress, assigned, is_requested};
use cloud_provider::data::Service;
use k8s_openapi::api::core::v1 as core;
use kit::Class;
use kube::api::{Api, Patch, PatchParams};
use kube_kit::retry;
use serde_json::json;

/// An address that the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The address.
    pub address: IpAddr,
    /// Where he asked.
    pub place: Place,
}

/// Where a user may ask for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `spec.loadBalancerIP`.
    Spec,
    /// The annotation with this name.
    Annotation(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec => f.write_str("spec.loadBalancerIP"),
            Self::Annotation(name) => write!(f, "the annotation {name}"),
        }
    }
}

/// What the user asks for, if anything: an address that we did not write. Fails when that makes no sense, or when he asks
/// for two: whatever would be written then, somebody would be overruled.
pub(super) fn wish(names: &AddressNames, service: &Service) -> Result<Option<Wish>, CloudError> {
    let invalid = |text: String| CloudError::new(Class::Invalid, text);
    let spec = is_requested(names, service).then_some((Place::Spec, service.load_balancer_ip.as_str()));
    let annotations =
        foreign_annotations(names, service).map(|(name, text)| (Place::Annotation(name.to_owned()), text));
    let mut wish: Option<Wish> = None;
    for (place, text) in spec.into_iter().chain(annotations) {
        let address: IpAddr = text.trim().parse().map_err(|error| match place {
            Place::Spec => invalid(format!("invalid service IP {text}: {error}")),
            Place::Annotation(_) => invalid(format!(
                "{place} is {text:?}, which is not one address: correct or remove it"
            )),
        })?;
        match &wish {
            Some(first) if first.address != address => {
                let (one, other) = (&first.place, first.address);
                return Err(invalid(format!(
                    "{one} asks for {other} and {place} for {address}: correct or remove one of them"
                )));
            }
            Some(_) => {}
            None => wish = Some(Wish { address, place }),
        }
    }
    Ok(wish)
}

/// The annotations with an address, where that is not what we wrote.
fn foreign_annotations<'a>(names: &'a AddressNames, service: &'a Service) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mark = service.annotations.get(&names.mark).map(String::as_str);
    let written = names
        .annotations
        .iter()
        .filter_map(|name| Some((name.as_str(), service.annotations.get(name)?.as_str())));
    written.filter(move |(_, text)| !text.trim().is_empty() && Some(*text) != mark)
}

/// The addresses that a Service was granted: those it only asks for are nobody's.
pub(super) fn granted<'a>(names: &'a AddressNames, service: &'a Service) -> impl Iterator<Item = IpAddr> + use<'a> {
    let texts = assigned(names, service).into_iter().chain(told(service));
    texts.filter_map(|text| text.parse().ok())
}

/// The addresses that a Service has, has been given, or asks for.
pub(super) fn addresses_of<'a>(
    names: &'a AddressNames,
    service: &'a Service,
) -> impl Iterator<Item = IpAddr> + use<'a> {
    let written = assigned(names, service)
        .into_iter()
        .chain([service.load_balancer_ip.as_str()]);
    let asked = foreign_annotations(names, service).map(|(_, text)| text.trim());
    let texts = written.chain(asked).chain(told(service));
    texts.filter_map(|text| text.parse().ok())
}

fn told(service: &Service) -> impl Iterator<Item = &str> {
    service.ingress.iter().map(|ingress| ingress.ip.as_str())
}

/// Writes addresses to Services.
pub(super) struct Publisher {
    client: kube::Client,
    /// All places where an address may stand: they are read and cleared, and written unless only annotations are.
    everywhere: ServiceAddress,
    annotations: Option<ServiceAddress>,
}

impl Publisher {
    /// Writes with this client to these places, or only to those of them that are annotations.
    pub fn new(client: &kube::Client, names: AddressNames, annotation_only: bool) -> Self {
        let annotations = annotation_only.then(|| AddressNames {
            spec: false,
            ..names.clone()
        });
        Self {
            client: client.clone(),
            everywhere: ServiceAddress::new(client.clone(), names),
            annotations: annotations.map(|names| ServiceAddress::new(client.clone(), names)),
        }
    }

    /// All places where an address may stand.
    pub fn names(&self) -> &AddressNames {
        self.everywhere.names()
    }

    /// Writes the address of a Service and marks it as given by us.
    pub async fn write(&self, service: &Service, address: &str) -> Result<(), CloudError> {
        let Some(annotations) = &self.annotations else {
            return Ok(self.everywhere.write(service, address).await?);
        };
        annotations.write(service, address).await?;
        self.clear_spec(service).await
    }

    /// Marks the address that stands in the spec as given by us.
    pub async fn adopt(&self, service: &Service, address: &str) -> Result<(), CloudError> {
        Ok(self.everywhere.adopt(service, address).await?)
    }

    /// Takes away what was written.
    pub async fn clear(&self, service: &Service) -> Result<(), CloudError> {
        Ok(self.everywhere.clear(service).await?)
    }

    /// Takes away the address that we wrote to the spec before only annotations were to be written.
    async fn clear_spec(&self, service: &Service) -> Result<(), CloudError> {
        let ours = &service.load_balancer_ip;
        if ours.is_empty() || assigned(self.names(), service) != Some(ours) {
            return Ok(());
        }
        let failed = |error: kube::Error| {
            let text = format!("failed to update service {}", service.key());
            CloudError::new(retry::class(&error), text).because(error)
        };
        let services: Api<core::Service> = Api::namespaced(self.client.clone(), &service.namespace);
        let now = services.get_opt(&service.name).await.map_err(failed)?.map(Service::cut);
        let Some(now) = now.filter(|now| now.uid == service.uid && now.load_balancer_ip == *ours) else {
            return Ok(());
        };
        let patch = json!({"metadata": {"resourceVersion": now.resource_version}, "spec": {"loadBalancerIP": null}});
        let patched = services
            .patch(&service.name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        match patched {
            Err(error) if !retry::is_not_found(&error) => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use cloud_provider::announcers::kube_vip;

    use super::*;
    use crate::load_balancers::ANNOTATION_ASSIGNED;

    fn service(spec: &str, annotation: &str, mark: &str) -> Service {
        let mut service = Service {
            load_balancer_ip: spec.to_owned(),
            ..Service::default()
        };
        for (name, text) in [
            (kube_vip::ANNOTATION_ADDRESSES, annotation),
            (ANNOTATION_ASSIGNED, mark),
        ] {
            if !text.is_empty() {
                service.annotations.insert(name.to_owned(), text.to_owned());
            }
        }
        service
    }

    #[test]
    fn what_we_did_not_write_is_the_users_wish_wherever_it_stands() {
        let (a, b) = ("203.0.113.10", "203.0.113.11");
        let annotation = || Place::Annotation(kube_vip::ANNOTATION_ADDRESSES.to_owned());
        let names = kube_vip::names(ANNOTATION_ASSIGNED);
        let asked =
            |spec, annotation, mark| wish(&names, &service(spec, annotation, mark)).map_err(|it| it.to_string());
        let some = |address: &str, place| {
            let address = address.parse().unwrap();
            Ok(Some(Wish { address, place }))
        };
        assert_eq!(asked("", "", ""), Ok(None));
        assert_eq!(asked(a, a, a), Ok(None), "written by us");
        assert_eq!(asked("", a, a), Ok(None), "written by us, and the spec was cleared");
        assert_eq!(asked(a, "", ""), some(a, Place::Spec));
        assert_eq!(asked("", a, ""), some(a, annotation()));
        assert_eq!(asked(a, a, ""), some(a, Place::Spec));
        assert_eq!(asked(b, a, a), some(b, Place::Spec), "he changed the spec");
        assert_eq!(asked(a, b, a), some(b, annotation()), "he changed the annotation");
        for (spec, text, told) in [
            (
                a,
                b,
                "spec.loadBalancerIP asks for 203.0.113.10 and the annotation kube-vip.io/loadbalancerIPs for",
            ),
            (
                "",
                "203.0.113.10,2001:db8::1",
                "the annotation kube-vip.io/loadbalancerIPs is \"203.0.113.10,",
            ),
            ("nonsense", "", "invalid service IP nonsense: "),
        ] {
            let error = asked(spec, text, "").unwrap_err();
            assert!(error.starts_with(told), "{error}");
        }
    }
}
