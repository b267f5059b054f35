use k8s_openapi::api::discovery::v1::EndpointConditions;

use super::*;

fn kubernetes() -> Service {
    Service {
        namespace: "default".to_owned(),
        name: "kubernetes".to_owned(),
        kind: "ClusterIP".to_owned(),
        ports: vec![ServicePort {
            name: "https".to_owned(),
            protocol: "TCP".to_owned(),
            port: 443,
            node_port: 0,
            target_port: "6443".to_owned(),
            app_protocol: None,
        }],
        ..Service::default()
    }
}

fn address() -> Way {
    Way::Address("192.0.2.1".to_owned())
}

/// What the API server makes of an applied Service.
fn made(applied: &Value) -> Service {
    let mut made = kubernetes();
    made.kind = "LoadBalancer".to_owned();
    made.class = applied
        .pointer("/spec/loadBalancerClass")
        .and_then(Value::as_str)
        .map(str::to_owned);
    made.ports[0].port = i32::try_from(applied["spec"]["ports"][0]["port"].as_i64().unwrap()).unwrap();
    made.ports[0].node_port = 31000;
    made.load_balancer_ip = applied["spec"]["loadBalancerIP"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    made.annotations = serde_json::from_value(applied["metadata"]["annotations"].clone()).unwrap();
    made
}

#[test]
fn the_port_outside_is_the_one_inside_unless_told_otherwise() {
    // #171: 443 was announced where nobody listened.
    assert_eq!(
        ports(&kubernetes(), None),
        Some(Ports {
            outside: 6443,
            node: 6443
        })
    );
    assert_eq!(
        ports(&kubernetes(), Some(8443)),
        Some(Ports {
            outside: 8443,
            node: 6443
        })
    );
    assert_eq!(ports(&Service::default(), None), None);
}

#[test]
fn the_service_is_applied_once_and_kept_from_other_announcers() {
    let ports = ports(&kubernetes(), None).unwrap();
    let applied = service(&kubernetes(), ports, &address(), None).unwrap();
    assert_eq!(
        applied["spec"],
        json!({
            "type": "LoadBalancer", "loadBalancerIP": "192.0.2.1", "loadBalancerClass": "metal.equinix.com/control-plane",
            "ports": [{"name": "https", "port": 6443, "protocol": "TCP", "targetPort": 6443}],
        })
    );
    assert_eq!(applied["metadata"]["annotations"][METALLB_POOL[0]], NO_POOL);
    assert!(applied.get("selector").is_none());
    let known = made(&applied);
    assert_eq!(
        service(&kubernetes(), ports, &address(), Some(&known)),
        None,
        "twice is once"
    );
    let moved = Way::Address("192.0.2.9".to_owned());
    assert!(service(&kubernetes(), ports, &moved, Some(&known)).is_some());
}

#[test]
fn a_service_of_the_go_program_keeps_its_missing_class_which_cannot_be_set() {
    let ports = ports(&kubernetes(), None).unwrap();
    let old = Service {
        class: None,
        annotations: BTreeMap::new(),
        ..made(&service(&kubernetes(), ports, &address(), None).unwrap())
    };
    let applied = service(&kubernetes(), ports, &address(), Some(&old)).unwrap();
    assert!(applied["spec"].get("loadBalancerClass").is_none());
}

#[test]
fn the_status_is_ours_only_where_no_controller_writes_it() {
    let mut known = kubernetes();
    assert!(status(&address(), Some(&known)).is_some());
    known.ingress = vec![cloud_provider::data::Ingress::ip("192.0.2.1")];
    assert_eq!(status(&address(), Some(&known)), None);
    assert_eq!(status(&Way::Balancer("x".to_owned()), None), None);
}

fn slice(name: &str, service: &str, family: &str, addresses: &[&str]) -> Arc<Slice> {
    let endpoint = |address: &&str| Endpoint {
        addresses: vec![(*address).to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(true),
            ..EndpointConditions::default()
        }),
        ..Endpoint::default()
    };
    Arc::new(Slice {
        name: name.to_owned(),
        service: service.to_owned(),
        family: family.to_owned(),
        ports: vec![EndpointPort {
            name: Some("https".to_owned()),
            port: Some(6443),
            protocol: Some("TCP".to_owned()),
            ..EndpointPort::default()
        }],
        endpoints: addresses.iter().map(endpoint).collect(),
    })
}

fn none() -> BTreeMap<String, Arc<Slice>> {
    BTreeMap::new()
}

#[test]
fn slices_of_other_services_in_default_are_not_mirrored() {
    // The worst of upstream's faults: any slice in `default` took over the API server's traffic.
    let web = slice("web-abc", "web", "IPv4", &["10.9.9.9"]);
    let own = slice("kubernetes", "kubernetes", "IPv4", &["10.0.0.1", "10.0.0.2"]);
    let (apply, delete) = slices(&[web.clone(), own], &none());
    assert!(delete.is_empty());
    assert_eq!(apply.len(), 1);
    let (name, applied) = &apply[0];
    assert_eq!(name, CONTROL_PLANE_SERVICE);
    assert_eq!(applied["endpoints"][1]["addresses"], json!(["10.0.0.2"]));
    assert_eq!(applied["endpoints"].as_array().unwrap().len(), 2);
    assert_eq!(applied["metadata"]["labels"][LABEL_SERVICE], CONTROL_PLANE_SERVICE);
    assert_eq!(applied["metadata"]["labels"][LABEL_MANAGED_BY], MANAGED_BY);
    assert_eq!(slices(&[web], &none()), (Vec::new(), Vec::new()));
}

#[test]
fn each_family_has_its_own_slice_and_none_is_emptied_for_want_of_a_source() {
    let v4 = slice("kubernetes", "kubernetes", "IPv4", &["10.0.0.1"]);
    let v6 = slice("kubernetes-v6", "kubernetes", "IPv6", &["2001:db8::1"]);
    let (apply, _) = slices(&[v4.clone(), v6], &none());
    let names: Vec<&str> = apply.iter().map(|(name, _)| name.as_str()).collect();
    let six = format!("{CONTROL_PLANE_SERVICE}-ipv6");
    assert_eq!(names, [CONTROL_PLANE_SERVICE, six.as_str()]);
    let copy = |name: &str, family, addresses: &[&str]| {
        let copy = slice(name, CONTROL_PLANE_SERVICE, family, addresses);
        (name.to_owned(), copy)
    };
    let copies = BTreeMap::from([
        copy(CONTROL_PLANE_SERVICE, "IPv4", &["10.0.0.1"]),
        copy(&six, "IPv6", &["2001:db8::1"]),
    ]);
    assert_eq!(
        slices(&[v4], &copies),
        (Vec::new(), vec![six]),
        "twice is once, and a family that went goes"
    );
    assert_eq!(slices(&[], &copies), (Vec::new(), Vec::new()));
    let empty = slice("kubernetes", "kubernetes", "IPv4", &[]);
    assert_eq!(slices(&[empty], &copies), (Vec::new(), Vec::new()));
}
