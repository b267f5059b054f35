use super::*;
use crate::upstream_cases::passed;

fn annotated(value: &str) -> Service {
    let mut service = Service::default();
    service
        .annotations
        .insert(names::ANNOTATION_SOURCE_RANGES.to_owned(), value.to_owned());
    service
}

fn specified(value: &str) -> Service {
    let ranges = value.split(',').map(str::to_owned).collect();
    Service {
        source_ranges: Some(ranges),
        ..Service::default()
    }
}

#[test]
fn ranges_that_are_none_are_refused_from_either_place() {
    for (name, text) in [
        ("too many bits", "10.0.0.1/33"),
        ("no address", "foo.bar"),
        ("a star", "10.0.0.1/32,*"),
        ("ends in a comma", "10.0.0.1/32,"),
        ("ends in a blank", "10.0.0.1/32, "),
        ("no bits", "10.0.0.1"),
    ] {
        assert!(
            matches!(source_ranges(&specified(text)), Err(SourceRangesError::Spec(..))),
            "{text}"
        );
        assert!(
            matches!(source_ranges(&annotated(text)), Err(SourceRangesError::Annotation(..))),
            "{text}"
        );
        passed("source ranges, invalid", name);
    }
}

#[test]
fn ranges_are_a_set_of_masked_networks() {
    for (name, text, count) in [
        ("one", "192.168.0.1/32", 1),
        ("one twice", "192.168.0.1/32,192.168.0.1/32", 1),
        ("two", "192.168.0.1/32,192.168.0.2/32", 2),
        ("blanks around", "  192.168.0.1/32 , 192.168.0.2/32   ", 2),
    ] {
        assert_eq!(source_ranges(&annotated(text)).unwrap().len(), count, "{text}");
        assert_eq!(source_ranges(&specified(text)).unwrap().len(), count, "{text}");
        passed("source ranges", name);
    }
    let masked = source_ranges(&annotated("10.0.0.7/24,10.0.0.9/24")).unwrap();
    assert_eq!(masked.len(), 1, "one network");
}

#[test]
fn without_ranges_everybody_may_in_every_family_it_has() {
    for (name, service) in [("not said", Service::default()), ("annotation empty", annotated(""))] {
        let ranges = source_ranges(&service).unwrap();
        assert_eq!(ranges.len(), 1);
        assert!(allows_all(&ranges));
        passed("source ranges", name);
    }
    let dual = Service {
        ip_families: vec!["IPv4".to_owned(), "IPv6".to_owned()],
        ..Service::default()
    };
    let texts: Vec<_> = source_ranges(&dual).unwrap().iter().map(Cidr::to_string).collect();
    assert_eq!(texts, ["0.0.0.0/0", "::/0"]);
    let six = Service {
        ip_families: vec!["IPv6".to_owned()],
        ..Service::default()
    };
    assert_eq!(
        source_ranges(&six)
            .unwrap()
            .iter()
            .map(Cidr::to_string)
            .collect::<Vec<_>>(),
        ["::/0"]
    );
}

#[test]
fn only_a_network_of_no_bits_leaves_nobody_out() {
    let allows = |text: &str| allows_all(&source_ranges(&specified(text)).unwrap());
    for (name, text, all) in [
        ("one", "10.0.0.1/32", false),
        ("two", "10.0.0.1/32,10.0.0.2/32", false),
        ("one twice", "10.0.0.1/32,10.0.0.1/32", false),
        ("all", "0.0.0.0/0", true),
        ("all of another spelling", "192.168.0.0/0", true),
        ("one and all", "192.168.0.1/32,0.0.0.0/0", true),
    ] {
        assert_eq!(allows(text), all, "{text}");
        passed("IsAllowAll", name);
    }
    assert!(!allows("10.0.0.0/8"));
    assert!(allows("::/0"), "differs from upstream, which knows IPv4 only");
}

#[test]
fn local_traffic_and_health_checks_go_by_type_and_policy() {
    for (kind, policy, local, check) in [
        ("", "", false, false),
        ("ClusterIP", "", false, false),
        ("NodePort", "", false, false),
        ("NodePort", "Cluster", false, false),
        ("LoadBalancer", "Cluster", false, false),
        ("NodePort", "Local", true, false),
        ("LoadBalancer", "Local", true, true),
    ] {
        let service = Service {
            kind: kind.to_owned(),
            external_traffic_policy: policy.to_owned(),
            health_check_node_port: 30_123,
            ..Service::default()
        };
        assert_eq!(requests_only_local_traffic(&service), local, "{kind} {policy}");
        assert_eq!(
            health_check(&service),
            check.then_some(("/healthz", 30_123)),
            "{kind} {policy}"
        );
        assert_eq!(
            health_check(&Service {
                health_check_node_port: 0,
                ..service
            }),
            None
        );
        let name = match (kind, policy) {
            ("", _) => "nothing said".to_owned(),
            (kind, "") => kind.to_owned(),
            (kind, policy) => format!("{kind} {policy}"),
        };
        passed("RequestsOnlyLocalTraffic", &name);
        if !matches!(name.as_str(), "nothing said" | "NodePort") {
            passed("NeedsHealthCheck", &name);
        }
    }
}

#[test]
fn the_finalizer_is_found_among_others() {
    for (name, finalizers, found) in [
        ("none", vec![], false),
        ("unrelated", vec!["unrelated"], false),
        ("ours", vec![names::FINALIZER], true),
        ("ours among others", vec!["unrelated", names::FINALIZER], true),
    ] {
        let finalizers = finalizers.into_iter().map(str::to_owned).collect();
        assert_eq!(
            has_finalizer(&Service {
                finalizers,
                ..Service::default()
            }),
            found,
            "{name}"
        );
        passed("HasLBFinalizer", name);
    }
}

#[test]
fn the_default_name_is_the_uid_without_dashes_cut_to_size() {
    let name = default_load_balancer_name("6b0e1d2c-1111-2222-3333-444455556666");
    assert_eq!(name, "a6b0e1d2c11112222333344445555666");
    assert_eq!(name.len(), 32);
}

#[test]
fn networks_know_their_ends() {
    for (text, first, last) in [
        ("10.244.1.7/24", "10.244.1.0", "10.244.1.255"),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
        ("10.0.0.1/32", "10.0.0.1", "10.0.0.1"),
        ("a00:100::/24", "a00:100::", "a00:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ] {
        let cidr: Cidr = text.parse().unwrap();
        assert_eq!(
            (cidr.network.to_string(), cidr.last().to_string()),
            (first.to_owned(), last.to_owned())
        );
        assert!(cidr.contains(cidr.last()));
    }
    let four: Cidr = "10.0.0.0/8".parse().unwrap();
    assert!(!four.contains("::1".parse().unwrap()));
}
