use super::*;

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
    for text in [
        "10.0.0.1/33",
        "foo.bar",
        "10.0.0.1/32,*",
        "10.0.0.1/32,",
        "10.0.0.1/32, ",
        "10.0.0.1",
    ] {
        assert!(
            matches!(source_ranges(&specified(text)), Err(SourceRangesError::Spec(..))),
            "{text}"
        );
        assert!(
            matches!(source_ranges(&annotated(text)), Err(SourceRangesError::Annotation(..))),
            "{text}"
        );
    }
}

#[test]
fn ranges_are_a_set_of_masked_networks() {
    for (text, count) in [
        ("192.168.0.1/32", 1),
        ("192.168.0.1/32,192.168.0.1/32", 1),
        ("192.168.0.1/32,192.168.0.2/32", 2),
        ("  192.168.0.1/32 , 192.168.0.2/32   ", 2),
        ("10.0.0.7/24,10.0.0.9/24", 1),
    ] {
        assert_eq!(source_ranges(&annotated(text)).unwrap().len(), count, "{text}");
        assert_eq!(source_ranges(&specified(text)).unwrap().len(), count, "{text}");
    }
}

#[test]
fn without_ranges_everybody_may_in_every_family_it_has() {
    for service in [Service::default(), annotated("")] {
        let ranges = source_ranges(&service).unwrap();
        assert_eq!(ranges.len(), 1);
        assert!(allows_all(&ranges));
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
    for (text, all) in [
        ("192.168.0.1/32", false),
        ("192.168.0.1/32,192.168.0.2/32", false),
        ("10.0.0.0/8", false),
        ("0.0.0.0/0", true),
        ("192.168.0.0/0", true),
        ("192.168.0.1/32,0.0.0.0/0", true),
        ("::/0", true),
    ] {
        assert_eq!(allows_all(&source_ranges(&specified(text)).unwrap()), all, "{text}");
    }
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
    }
}

#[test]
fn the_finalizer_is_found_among_others() {
    for (finalizers, found) in [
        (vec![], false),
        (vec!["unrelated"], false),
        (vec![names::FINALIZER], true),
        (vec!["unrelated", names::FINALIZER], true),
    ] {
        let finalizers = finalizers.into_iter().map(str::to_owned).collect();
        assert_eq!(
            has_finalizer(&Service {
                finalizers,
                ..Service::default()
            }),
            found
        );
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
