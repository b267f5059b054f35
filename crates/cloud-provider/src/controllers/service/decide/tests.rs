use super::*;
use crate::data::{Ready, ServicePort, Taint};
use crate::names::FINALIZER;

fn balancer() -> Service {
    Service {
        kind: "LoadBalancer".to_owned(),
        uid: "u".to_owned(),
        ports: vec![ServicePort {
            port: 80,
            target_port: "20".to_owned(),
            ..ServicePort::default()
        }],
        external_ips: vec!["1.1.1.1".to_owned()],
        ip_families: vec!["IPv4".to_owned()],
        ..Service::default()
    }
}

fn changed(change: impl FnOnce(&mut Service)) -> Service {
    let mut service = balancer();
    change(&mut service);
    service
}

#[test]
fn every_upstream_case_of_needs_update() {
    type Change = fn(&mut Service);
    let matter: [(&str, Change); 20] = [
        ("type", |s| s.kind = "ClusterIP".to_owned()),
        ("class", |s| s.class = Some("theirs".to_owned())),
        ("ports", |s| {
            s.ports.push(ServicePort {
                port: 8080,
                ..ServicePort::default()
            });
        }),
        ("port name", |s| s.ports[0].name = "http".to_owned()),
        ("node port", |s| s.ports[0].node_port = 30_000),
        ("protocol", |s| s.ports[0].protocol = "UDP".to_owned()),
        ("external IP count", |s| s.external_ips.push("2.2.2.2".to_owned())),
        ("external IPs", |s| s.external_ips = vec!["3.3.3.3".to_owned()]),
        ("uid", |s| s.uid = "other".to_owned()),
        ("traffic policy", |s| s.external_traffic_policy = "Local".to_owned()),
        ("health check port", |s| s.health_check_node_port = 30_123),
        ("target port number", |s| s.ports[0].target_port = "21".to_owned()),
        ("target port name", |s| s.ports[0].target_port = "dns".to_owned()),
        ("one family more", |s| s.ip_families.push("IPv6".to_owned())),
        ("one family less", |s| s.ip_families.clear()),
        ("app protocol", |s| s.ports[0].app_protocol = Some("http".to_owned())),
        ("annotations", |s| {
            drop(s.annotations.insert("a".to_owned(), "b".to_owned()));
        }),
        ("load balancer IP", |s| s.load_balancer_ip = "1.2.3.4".to_owned()),
        ("source ranges", |s| s.source_ranges = Some(vec![])),
        ("affinity", |s| s.session_affinity_seconds = Some(5)),
    ];
    for (name, change) in matter {
        let (old, new) = (balancer(), changed(change));
        assert!(differs(&old, &new) && differs(&new, &old), "{name}");
    }
    let nothing: [(&str, Change); 6] = [
        ("identical", |_| {}),
        ("other family", |s| s.ip_families = vec!["IPv6".to_owned()]),
        ("labels", |s| drop(s.labels.insert("a".to_owned(), "b".to_owned()))),
        ("selector", |s| drop(s.selector.insert("a".to_owned(), "b".to_owned()))),
        ("finalizers", |s| s.finalizers.push(FINALIZER.to_owned())),
        ("status", |s| s.ingress.push(crate::data::Ingress::ip("1.1.1.1"))),
    ];
    for (name, change) in nothing {
        assert!(!differs(&balancer(), &changed(change)), "{name}");
    }
    let plain = |port| Service {
        kind: "ClusterIP".to_owned(),
        ports: vec![ServicePort {
            port,
            ..ServicePort::default()
        }],
        ..Service::default()
    };
    assert!(!differs(&plain(1), &plain(2)), "neither wants one");
    println!("service needsUpdate: 26 cases for upstream's 15");
}

#[test]
fn every_upstream_case_of_needs_cleanup() {
    for (finalizer, kind, deleting, needs) in [
        (false, "NodePort", true, false),
        (true, "NodePort", false, true),
        (true, "LoadBalancer", false, false),
        (true, "LoadBalancer", true, true),
    ] {
        let finalizers = finalizer.then(|| FINALIZER.to_owned()).into_iter().collect();
        let service = Service {
            kind: kind.to_owned(),
            finalizers,
            deleting,
            ..Service::default()
        };
        assert_eq!(needs_cleanup(&service), needs, "{finalizer} {kind} {deleting}");
    }
    println!("service needsCleanup: 4 upstream cases");
}

fn node() -> Node {
    Node {
        name: "n".to_owned(),
        provider_id: "fake://1".to_owned(),
        ..Node::default()
    }
}

fn with(change: impl FnOnce(&mut Node)) -> Node {
    let mut node = node();
    change(&mut node);
    node
}

fn taint(key: &str) -> Taint {
    Taint {
        key: key.to_owned(),
        value: String::new(),
        effect: "NoSchedule".to_owned(),
        added: None,
    }
}

fn exclude(value: &str) -> impl Fn(&mut Node) {
    let value = value.to_owned();
    move |node| drop(node.labels.insert(LABEL_EXCLUDE.to_owned(), value.clone()))
}

#[test]
fn every_upstream_case_of_the_node_predicates() {
    // Upstream's table is of readiness, too, which its running code has not used since KEP-3458.
    assert!(is_host(&node()) && is_host(&with(|node| node.provider_id.clear())));
    assert!(is_host(&with(|node| node.ready = Ready::No)));
    for (value, included) in [
        ("", false),
        ("false", true),
        ("true", false),
        ("foo", false),
        ("0", true),
        ("f", true),
        ("FALSE", true),
        ("False", true),
        ("fAlse", false),
    ] {
        assert_eq!(is_host(&with(exclude(value))), included, "{value:?}");
    }
    assert!(!is_host(&with(|node| node.taints.push(taint(TAINT_TO_BE_DELETED)))));
    assert!(
        !is_host(&with(|node| node.taints.push(taint(TAINT_UNINITIALIZED)))),
        "differs from upstream"
    );
    assert!(is_host(&with(|node| node.taints.push(taint("other")))));
    assert!(!is_host(&with(|node| node.deleting = true)));
    println!("service node predicates: 10 upstream cases");
}

#[test]
fn every_upstream_case_of_should_sync_updated_node() {
    type Change = Box<dyn Fn(&mut Node)>;
    let change = |change: fn(&mut Node)| -> Change { Box::new(change) };
    let bases: Vec<(&str, Change)> = vec![
        ("plain", change(|_| {})),
        ("tainted", change(|node| node.taints.push(taint(TAINT_TO_BE_DELETED)))),
        ("excluded", Box::new(exclude(""))),
        ("not ready", change(|node| node.ready = Ready::No)),
        ("no provider ID", change(|node| node.provider_id.clear())),
    ];
    let mut cases = 0;
    for (base_name, base) in &bases {
        let old = with(base);
        let changes: Vec<(&str, Change, bool)> = vec![
            ("nothing", change(|_| {}), false),
            ("exclude appears", Box::new(exclude("")), *base_name != "excluded"),
            (
                "exclude goes",
                change(|node| drop(node.labels.remove(LABEL_EXCLUDE))),
                *base_name == "excluded",
            ),
            (
                "other label",
                change(|node| drop(node.labels.insert("a".to_owned(), "b".to_owned()))),
                false,
            ),
            ("other taint", change(|node| node.taints.push(taint("other"))), false),
            (
                "autoscaler's taint",
                change(|node| node.taints.push(taint(TAINT_TO_BE_DELETED))),
                false,
            ),
            ("taints go", change(|node| node.taints.clear()), false),
            ("ready", change(|node| node.ready = Ready::Yes), false),
            ("not ready", change(|node| node.ready = Ready::No), false),
            ("readiness unset", change(|node| node.ready = Ready::Unknown), false),
            ("deletion", change(|node| node.deleting = true), false),
            (
                "provider ID set",
                change(|node| node.provider_id = "fake://9".to_owned()),
                true,
            ),
            (
                "provider ID unset",
                change(|node| node.provider_id.clear()),
                *base_name != "no provider ID",
            ),
            // Not upstream.
            (
                "address",
                change(|node| node.addresses.push(Address::internal("10.0.0.9"))),
                true,
            ),
        ];
        for (name, change, matters) in &changes {
            let mut new = old.clone();
            change(&mut new);
            assert_eq!(node_matters(&old, &new), *matters, "{base_name}: {name}");
            assert_eq!(node_matters(&new, &old), *matters, "{base_name}: {name}, backwards");
            cases += 2;
        }
    }
    let initialised = |tainted: bool| with(|node| node.taints.extend(tainted.then(|| taint(TAINT_UNINITIALIZED))));
    assert!(node_matters(&initialised(true), &initialised(false)));
    println!("service shouldSyncUpdatedNode: {cases} cases for upstream's 43");
}
