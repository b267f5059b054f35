//! What is wrong with a Service. Mirrors kubernetes/kubernetes pkg/apis/core/validation `ValidateService`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::service::{headless, kind, list};
use crate::field::FieldError;
use crate::{meta, names};

const BAD_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const BAD_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const ONLY_BALANCERS: &str = "may only be used when `type` is 'LoadBalancer'";
const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// Addresses that are no targets for traffic.
pub(super) fn special_ip(field: &str, text: &str) -> Option<FieldError> {
    let why = match text.parse::<IpAddr>() {
        Err(_) => BAD_IP,
        Ok(ip) if ip.is_unspecified() => "may not be unspecified (0.0.0.0 or ::)",
        Ok(ip) if ip.is_loopback() => "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        Ok(IpAddr::V4(ip)) if ip.is_link_local() => "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        Ok(IpAddr::V4(ip)) if ip.octets()[..3] == [224, 0, 0] => {
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        }
        Ok(IpAddr::V6(ip)) if ip.is_unicast_link_local() => {
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        }
        Ok(_) => return None,
    };
    Some(FieldError::invalid(field, text, why))
}

/// Whether a text is an address range.
pub(super) fn cidr(field: &str, text: &str) -> Option<FieldError> {
    let valid = text.split_once('/').is_some_and(|(ip, bits)| {
        let bits = bits.parse::<u8>().ok();
        ip.parse::<Ipv4Addr>().is_ok_and(|_| bits.is_some_and(|b| b <= 32))
            || ip.parse::<Ipv6Addr>().is_ok_and(|_| bits.is_some_and(|b| b <= 128))
    });
    (!valid).then(|| FieldError::invalid(field, text, BAD_CIDR))
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object["spec"][member].as_str().unwrap_or_default()
}

fn one_of(errors: &mut Vec<FieldError>, field: &str, value: &str, known: &[&str]) {
    if !known.contains(&value) {
        errors.push(FieldError::not_supported(field, value, known));
    }
}

/// What is wrong with a Service.
pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let kind = kind(object);
    let ports = list(object, "ports");
    if ports.is_empty() && !headless(object) && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    type_errors(object, &mut errors);
    let mut seen = Vec::new();
    for (i, port) in ports.iter().enumerate() {
        port_errors(
            port,
            &format!("spec.ports[{i}]"),
            ports.len() > 1,
            &mut seen,
            &mut errors,
        );
    }
    errors.extend(meta::labels("spec.selector", &object["spec"]["selector"]));
    match text(object, "sessionAffinity") {
        "" => errors.push(FieldError::required("spec.sessionAffinity", "")),
        affinity => one_of(&mut errors, "spec.sessionAffinity", affinity, &["ClientIP", "None"]),
    }
    for (i, ip) in list(object, "externalIPs").iter().enumerate() {
        errors.extend(special_ip(
            &format!("spec.externalIPs[{i}]"),
            ip.as_str().unwrap_or_default(),
        ));
    }
    match kind {
        "" => errors.push(FieldError::required("spec.type", "")),
        _ => one_of(
            &mut errors,
            "spec.type",
            kind,
            &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
        ),
    }
    if kind == "ClusterIP" {
        for (i, _) in ports.iter().enumerate().filter(|(_, p)| p.get("nodePort").is_some()) {
            let why = "may not be used when `type` is 'ClusterIP'";
            errors.push(FieldError::forbidden(format!("spec.ports[{i}].nodePort"), why));
        }
    }
    duplicate_ports(ports, &mut errors);
    balancer_errors(object, kind, &mut errors);
    policy_errors(object, kind, &mut errors);
    address_errors(object, &mut errors);
    errors
}

fn type_errors(object: &Value, errors: &mut Vec<FieldError>) {
    match kind(object) {
        kind @ ("LoadBalancer" | "NodePort") if headless(object) => {
            let why = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid("spec.clusterIPs[0]", "None", &why));
        }
        "ExternalName" => {
            for (member, present) in [
                ("clusterIPs", "clusterIPs"),
                ("ipFamilies", "ipFamilies"),
                ("ipFamilyPolicy", "ipFamilyPolicy"),
            ] {
                if object["spec"].get(present).is_some() {
                    errors.push(FieldError::forbidden(
                        format!("spec.{member}"),
                        "may not be set for ExternalName services",
                    ));
                }
            }
            match text(object, "externalName").trim_end_matches('.') {
                "" => errors.push(FieldError::required("spec.externalName", "")),
                name => {
                    let problems = names::dns_subdomain(name);
                    errors.extend(
                        problems
                            .iter()
                            .map(|p| FieldError::invalid("spec.externalName", name, p)),
                    );
                }
            }
        }
        _ => {}
    }
}

fn port_errors(port: &Value, at: &str, need_name: bool, seen: &mut Vec<String>, errors: &mut Vec<FieldError>) {
    let name = port["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        if need_name {
            errors.push(FieldError::required(format!("{at}.name"), ""));
        }
    } else {
        errors.extend(
            names::dns_label(name)
                .iter()
                .map(|p| FieldError::invalid(format!("{at}.name"), name, p)),
        );
        if seen.iter().any(|s| s == name) {
            errors.push(FieldError::duplicate(format!("{at}.name"), name));
        }
        seen.push(name.to_owned());
    }
    let in_range = |number: i64| (1..=65535).contains(&number);
    let number = port["port"].as_i64().unwrap_or(0);
    if !in_range(number) {
        errors.push(FieldError::invalid(format!("{at}.port"), number, PORT_RANGE));
    }
    match port["protocol"].as_str().unwrap_or_default() {
        "" => errors.push(FieldError::required(format!("{at}.protocol"), "")),
        protocol => one_of(errors, &format!("{at}.protocol"), protocol, &["SCTP", "TCP", "UDP"]),
    }
    match &port["targetPort"] {
        Value::String(name) => {
            errors.extend(
                names::port_name(name)
                    .iter()
                    .map(|p| FieldError::invalid(format!("{at}.targetPort"), name.as_str(), p)),
            );
        }
        target => {
            let number = target.as_i64().unwrap_or(0);
            if !in_range(number) {
                errors.push(FieldError::invalid(format!("{at}.targetPort"), number, PORT_RANGE));
            }
        }
    }
    if let Some(protocol) = port["appProtocol"].as_str() {
        let problems = names::qualified_name(protocol);
        errors.extend(
            problems
                .iter()
                .map(|p| FieldError::invalid(format!("{at}.appProtocol"), protocol, p)),
        );
    }
}

fn duplicate_ports(ports: &[Value], errors: &mut Vec<FieldError>) {
    for (i, port) in ports.iter().enumerate() {
        let same = |other: &Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
        if ports[..i].iter().any(same) {
            let shown = json!({
                "Name": "", "Protocol": port["protocol"], "AppProtocol": null, "Port": port["port"], "TargetPort": 0, "NodePort": 0,
            });
            errors.push(FieldError::duplicate(format!("spec.ports[{i}]"), shown));
        }
        let node_port = &port["nodePort"];
        let clash = |other: &Value| other["nodePort"] == *node_port && other["protocol"] == port["protocol"];
        if !node_port.is_null() && ports[..i].iter().any(clash) {
            errors.push(FieldError::duplicate(
                format!("spec.ports[{i}].nodePort"),
                node_port.clone(),
            ));
        }
    }
}

fn balancer_errors(object: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    // The real server spells this field with a capital letter.
    const RANGES: &str = "spec.LoadBalancerSourceRanges";
    let ranges = list(object, "loadBalancerSourceRanges");
    if !ranges.is_empty() && kind != "LoadBalancer" {
        errors.push(FieldError::forbidden(RANGES, ONLY_BALANCERS));
    }
    for (i, range) in ranges.iter().enumerate() {
        errors.extend(cidr(
            &format!("{RANGES}[{i}]"),
            range.as_str().unwrap_or_default().trim(),
        ));
    }
    if object["spec"].get("allocateLoadBalancerNodePorts").is_some() && kind != "LoadBalancer" {
        errors.push(FieldError::forbidden(
            "spec.allocateLoadBalancerNodePorts",
            ONLY_BALANCERS,
        ));
    }
    if kind == "LoadBalancer" && object["spec"].get("allocateLoadBalancerNodePorts").is_none() {
        errors.push(FieldError::required("spec.allocateLoadBalancerNodePorts", ""));
    }
    if let Some(class) = object["spec"]["loadBalancerClass"].as_str() {
        if kind == "LoadBalancer" {
            let problems = names::qualified_name(class);
            errors.extend(
                problems
                    .iter()
                    .map(|p| FieldError::invalid("spec.loadBalancerClass", class, p)),
            );
        } else {
            errors.push(FieldError::forbidden("spec.loadBalancerClass", ONLY_BALANCERS));
        }
    }
}

fn policy_errors(object: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    let external = text(object, "externalTrafficPolicy");
    let accessible = matches!(kind, "NodePort" | "LoadBalancer") || !list(object, "externalIPs").is_empty();
    let known_kind = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].contains(&kind);
    if !accessible && !external.is_empty() && known_kind {
        let why = "may only be set for externally-accessible services";
        errors.push(FieldError::invalid("spec.externalTrafficPolicy", external, why));
    } else if accessible && external.is_empty() {
        errors.push(FieldError::required("spec.externalTrafficPolicy", ""));
    } else if accessible {
        one_of(errors, "spec.externalTrafficPolicy", external, &["Cluster", "Local"]);
    }
    if let Some(number) = object["spec"]["healthCheckNodePort"].as_i64()
        && !(kind == "LoadBalancer" && external == "Local")
    {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.push(FieldError::invalid("spec.healthCheckNodePort", number, why));
    }
    if let Some(policy) = object["spec"]["internalTrafficPolicy"].as_str() {
        one_of(errors, "spec.internalTrafficPolicy", policy, &["Cluster", "Local"]);
    }
    if let Some(distribution) = object["spec"]["trafficDistribution"].as_str() {
        let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        one_of(errors, "spec.trafficDistribution", distribution, &known);
    }
}

fn address_errors(object: &Value, errors: &mut Vec<FieldError>) {
    if kind(object) == "ExternalName" {
        return;
    }
    let addresses = list(object, "clusterIPs");
    let single = text(object, "clusterIP");
    match addresses.first().and_then(Value::as_str) {
        Some(first) if first != single => {
            let why = if single.is_empty() {
                "must be empty when `clusterIP` is not specified"
            } else {
                "first value must match `clusterIP`"
            };
            errors.push(FieldError::invalid("spec.clusterIPs", json!(addresses), why));
        }
        _ => {}
    }
    for (i, address) in addresses.iter().enumerate() {
        let address = address.as_str().unwrap_or_default();
        if !(address == "None" && i == 0) && address.parse::<IpAddr>().is_err() {
            errors.push(FieldError::invalid(format!("spec.clusterIPs[{i}]"), address, BAD_IP));
        }
    }
    if let Some(policy) = object["spec"]["ipFamilyPolicy"].as_str() {
        one_of(
            errors,
            "spec.ipFamilyPolicy",
            policy,
            &["SingleStack", "PreferDualStack", "RequireDualStack"],
        );
    }
    for (i, family) in list(object, "ipFamilies").iter().enumerate() {
        one_of(
            errors,
            &format!("spec.ipFamilies[{i}]"),
            family.as_str().unwrap_or_default(),
            &["IPv4", "IPv6"],
        );
    }
}

/// What may not change.
pub(super) fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (was, is) = (kind(old), kind(new));
    let set = old["spec"].get("clusterIPs").is_some();
    if set
        && was != "ExternalName"
        && is != "ExternalName"
        && new["spec"]["clusterIPs"][0] != old["spec"]["clusterIPs"][0]
    {
        let why = "may not change once set";
        errors.push(FieldError::invalid(
            "spec.clusterIPs[0]",
            new["spec"]["clusterIPs"].clone(),
            why,
        ));
    }
    if was == "LoadBalancer"
        && is == "LoadBalancer"
        && new["spec"].get("loadBalancerClass") != old["spec"].get("loadBalancerClass")
    {
        let class = new["spec"]["loadBalancerClass"].clone();
        errors.push(FieldError::invalid(
            "spec.loadBalancerClass",
            class,
            "may not change once set",
        ));
    }
    errors.extend(validate(new));
    errors
}

/// What is wrong with the status of a Service.
pub(super) fn validate_status(new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let ingresses = new["status"]["loadBalancer"]["ingress"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if !ingresses.is_empty() && kind(new) != "LoadBalancer" {
        let why = "may only be used when `spec.type` is LoadBalancer";
        errors.push(FieldError::forbidden("status.loadBalancer.ingress", why));
        return errors;
    }
    for (i, ingress) in ingresses.iter().enumerate() {
        let at = format!("status.loadBalancer.ingress[{i}]");
        let ip = ingress["ip"].as_str().unwrap_or_default();
        if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
            errors.push(FieldError::invalid(format!("{at}.ip"), ip, BAD_IP));
        }
        match ingress["ipMode"].as_str() {
            None if !ip.is_empty() => errors.push(FieldError::required(
                format!("{at}.ipMode"),
                "must be specified when `ip` is set",
            )),
            Some(_) if ip.is_empty() => {
                errors.push(FieldError::forbidden(
                    format!("{at}.ipMode"),
                    "may not be specified when `ip` is not set",
                ));
            }
            Some(mode) => one_of(&mut errors, &format!("{at}.ipMode"), mode, &["Proxy", "VIP"]),
            None => {}
        }
        let host = ingress["hostname"].as_str().unwrap_or_default();
        if !host.is_empty() {
            errors.extend(
                names::dns_subdomain(host)
                    .iter()
                    .map(|p| FieldError::invalid(format!("{at}.hostname"), host, p)),
            );
            if host.parse::<IpAddr>().is_ok() {
                let why = "must be a DNS name, not an IP address";
                errors.push(FieldError::invalid(format!("{at}.hostname"), host, why));
            }
        }
    }
    errors
}
