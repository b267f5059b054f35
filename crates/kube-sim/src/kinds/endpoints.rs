//! Endpoints and EndpointSlices.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::Rules;
use super::service_rules::special_ip;
use crate::field::FieldError;
use crate::names;

/// Mirrors kubernetes/kubernetes pkg/apis/core/validation `ValidateEndpoints`.
#[derive(Debug)]
pub(crate) struct Endpoints;

fn items<'a>(object: &'a Value, member: &str) -> &'a [Value] {
    object[member].as_array().map_or(&[], Vec::as_slice)
}

impl Rules for Endpoints {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for (i, subset) in items(object, "subsets").iter().enumerate() {
            let at = format!("subsets[{i}]");
            if items(subset, "addresses").is_empty() && items(subset, "notReadyAddresses").is_empty() {
                errors.push(FieldError::required(
                    &at,
                    "must specify `addresses` or `notReadyAddresses`",
                ));
            }
            for member in ["addresses", "notReadyAddresses"] {
                for (k, address) in items(subset, member).iter().enumerate() {
                    let ip = address["ip"].as_str().unwrap_or_default();
                    errors.extend(special_ip(&format!("{at}.{member}[{k}].ip"), ip));
                }
            }
            for (k, port) in items(subset, "ports").iter().enumerate() {
                let at = format!("{at}.ports[{k}]");
                let name = port["name"].as_str().unwrap_or_default();
                if name.is_empty() && items(subset, "ports").len() > 1 {
                    errors.push(FieldError::required(format!("{at}.name"), ""));
                }
                let number = port["port"].as_i64().unwrap_or(0);
                if !(1..=65535).contains(&number) {
                    errors.push(FieldError::invalid(
                        format!("{at}.port"),
                        number,
                        "must be between 1 and 65535, inclusive",
                    ));
                }
                errors.extend(protocol(&at, port));
            }
        }
        errors
    }
}

fn protocol(at: &str, port: &Value) -> Option<FieldError> {
    let known = ["SCTP", "TCP", "UDP"];
    let given = port["protocol"].as_str().unwrap_or_default();
    (!known.contains(&given)).then(|| FieldError::not_supported(format!("{at}.protocol"), given, &known))
}

/// Mirrors kubernetes/kubernetes pkg/apis/discovery/validation.
#[derive(Debug)]
pub(crate) struct EndpointSlice;

impl Rules for EndpointSlice {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let family = object["addressType"].as_str().unwrap_or_default();
        if family.is_empty() {
            errors.push(FieldError::required("addressType", ""));
        } else if !["FQDN", "IPv4", "IPv6"].contains(&family) {
            errors.push(FieldError::not_supported(
                "addressType",
                family,
                &["FQDN", "IPv4", "IPv6"],
            ));
        }
        if items(object, "endpoints").len() > 1000 {
            errors.push(FieldError::too_many(
                "endpoints",
                items(object, "endpoints").len(),
                1000,
            ));
        }
        for (i, endpoint) in items(object, "endpoints").iter().enumerate() {
            endpoint_errors(endpoint, &format!("endpoints[{i}].addresses"), family, &mut errors);
        }
        let mut seen: Vec<&str> = Vec::new();
        for (i, port) in items(object, "ports").iter().enumerate() {
            let name = port["name"].as_str().unwrap_or_default();
            if seen.contains(&name) {
                errors.push(FieldError::duplicate(format!("ports[{i}].name"), name));
            }
            seen.push(name);
            if !name.is_empty() {
                errors.extend(
                    names::dns_label(name)
                        .iter()
                        .map(|p| FieldError::invalid(format!("ports[{i}].name"), name, p)),
                );
            }
            errors.extend(protocol(&format!("ports[{i}]"), port));
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        // Addresses are only judged by a type that may be theirs.
        if new["addressType"] != old["addressType"] {
            return vec![FieldError::invalid(
                "addressType",
                new["addressType"].clone(),
                "field is immutable",
            )];
        }
        self.validate(new)
    }
}

fn endpoint_errors(endpoint: &Value, at: &str, family: &str, errors: &mut Vec<FieldError>) {
    let addresses = items(endpoint, "addresses");
    if addresses.is_empty() {
        errors.push(FieldError::required(at, "must contain at least 1 address"));
    } else if addresses.len() > 100 {
        errors.push(FieldError::too_many(at, addresses.len(), 100));
    }
    for (k, address) in addresses.iter().enumerate() {
        let address = address.as_str().unwrap_or_default();
        let why = match family {
            "IPv4" if address.parse::<Ipv6Addr>().is_ok() => "must be an IPv4 address",
            "IPv6" if address.parse::<Ipv4Addr>().is_ok() => "must be an IPv6 address",
            _ => "",
        };
        if !why.is_empty() {
            errors.push(FieldError::invalid(at, address, why));
        }
        if family == "FQDN" {
            errors.extend(
                names::dns_subdomain(address)
                    .iter()
                    .map(|p| FieldError::invalid(at, address, p)),
            );
        } else if !family.is_empty() {
            errors.extend(special_ip(&format!("{at}[{k}]"), address));
        }
    }
}
