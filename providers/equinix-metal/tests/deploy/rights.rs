//! The rights the provider needs beyond those of every controller manager.

use std::collections::BTreeSet;

use cloud_provider::rbac::{CLUSTER, LEASE, Rule};
use serde_json::{Value, json};

use super::cluster::{CONFIG_MAP, EXTERNAL, RESOURCES, SOON, addressed, delete, world};
use super::harness::{World, merge, minutes};
use super::manifest::{NAME, objects};

const fn rule(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Rule {
    Rule {
        group,
        resource,
        verbs,
        name: None,
    }
}

/// In the whole cluster, beyond [`CLUSTER`].
pub const OWN: &[Rule] = &[
    // The UID of kube-system is the cluster's name in the account.
    rule("", "namespaces", &["get"]),
    // Addresses are written to Services, and the control plane has one of its own.
    rule("", "services", &["get", "create", "patch"]),
    rule(
        "discovery.k8s.io",
        "endpointslices",
        &["list", "watch", "create", "patch", "delete"],
    ),
    // MetalLB up to 0.12 reads its configuration here, in whatever namespace it is.
    rule("", "configmaps", &["get", "patch"]),
    rule("metallb.io", "ipaddresspools", &["list", "create", "patch", "delete"]),
    rule("metallb.io", "bgppeers", &["list", "create", "patch", "delete"]),
    rule(
        "metallb.io",
        "bgpadvertisements",
        &["list", "create", "patch", "delete"],
    ),
];

/// Rules as a role has them, one for each resource.
fn rules(all: &[Rule]) -> Value {
    let mut merged: Vec<(Rule, Vec<&str>)> = Vec::new();
    for rule in all {
        let place = (rule.group, rule.resource, rule.name);
        let known = merged
            .iter_mut()
            .find(|(it, _)| (it.group, it.resource, it.name) == place);
        if let Some((_, verbs)) = known {
            for verb in rule.verbs {
                if !verbs.contains(verb) {
                    verbs.push(verb);
                }
            }
        } else {
            merged.push((*rule, rule.verbs.to_vec()));
        }
    }
    let shown = merged.into_iter().map(|(rule, verbs)| {
        let mut shown = json!({"apiGroups": [rule.group], "resources": [rule.resource], "verbs": verbs});
        if let Some(name) = rule.name {
            shown["resourceNames"] = json!([name]);
        }
        shown
    });
    shown.collect()
}

/// The rules of the ClusterRole.
pub fn cluster() -> Value {
    rules(&[CLUSTER, OWN].concat())
}

/// The rules of the Role in kube-system.
pub fn lease() -> Value {
    rules(LEASE)
}

/// Lives a while in a world with the rights that are shipped, and gives what was used of them.
async fn live(world: &World, eips: &[String]) -> BTreeSet<(String, String, String)> {
    for object in objects().into_iter().filter(|object| object["kind"] != "DaemonSet") {
        world.kube.apply(object).unwrap();
    }
    let slice = |name: &str, family: &str, address: &str| {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
        })
    };
    if world.service("default", "kubernetes").is_none() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default"},
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}]},
        });
        world.kube.create(service).unwrap();
    }
    world.kube.apply(slice("kubernetes", "IPv4", "10.0.0.1")).unwrap();
    world.kube.apply(slice("kubernetes-6", "IPv6", "fd00::1")).unwrap();
    let user = format!("system:serviceaccount:kube-system:{NAME}");
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:kube-system",
        "system:authenticated",
    ];
    world.kube.add_token("cpem", &user, &groups, None);
    world.kube.clear_requests();
    let ran = world.run_as("cpem", &[]);
    world.add_service("default", "web", &json!({}));
    addressed(world, "web").await;
    if !eips.is_empty() {
        ask_for_one_address_and_then_for_another(world, eips).await;
    }
    minutes(1).await;
    world
        .kube
        .delete("endpointslices.discovery.k8s.io", Some("default"), "kubernetes-6")
        .unwrap();
    minutes(1).await;
    delete(world, "web").await;
    ran.end().await.unwrap();
    let requests = world.kube.requests();
    let refused: Vec<_> = requests.iter().filter(|request| request.status == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    requests
        .iter()
        .map(|it| right(&it.method, &it.path, &it.query))
        .collect()
}

/// What is announced for a Service is changed, beside that of another one.
async fn ask_for_one_address_and_then_for_another(world: &World, eips: &[String]) {
    for eip in eips {
        let more = json!({"metadata": {"annotations": {"metal.equinix.com/eip-address": eip}}});
        match world.service("default", "own") {
            None => world.add_service("default", "own", &more),
            Some(mut service) => {
                merge(&mut service, &more);
                world.kube.update(service).unwrap();
            }
        }
        world
            .until("the service has the address", SOON, |world| {
                world.ingress("default", "own") == [eip.clone()]
            })
            .await;
    }
    delete(world, "own").await;
}

/// The group, resource and verb of a request.
fn right(method: &str, path: &str, query: &str) -> (String, String, String) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = if parts[0] == "api" {
        ("", &parts[2..])
    } else {
        (parts[1], &parts[3..])
    };
    // `namespaces/x` alone is the namespace itself.
    let rest = if rest[0] == "namespaces" && rest.len() > 2 {
        &rest[2..]
    } else {
        rest
    };
    let resource = rest
        .get(2)
        .map_or_else(|| rest[0].to_owned(), |sub| format!("{}/{sub}", rest[0]));
    let verb = match (method, rest.len()) {
        ("GET", 1) if query.contains("watch=true") => "watch",
        ("GET", 1) => "list",
        ("GET", _) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        (_, _) => "delete",
    };
    (group.to_owned(), resource, verb.to_owned())
}

#[tokio::test(start_paused = true)]
async fn everything_works_with_the_shipped_rights_and_each_of_our_own_is_needed() {
    let mut used = BTreeSet::new();
    for setting in ["kube-vip://", RESOURCES, CONFIG_MAP, "emlb:///da"] {
        let mut world = world(setting);
        let mut eips = Vec::new();
        if !setting.starts_with("emlb") {
            world.sim.reserve(&["control-plane"]).unwrap();
            world.configure(json!({"eipTag": "control-plane"}));
            eips.extend([1, 2].map(|_| world.sim.reserve(&["mine"]).unwrap().1));
        }
        used.extend(live(&world, &eips).await);
        if !setting.starts_with("emlb") {
            let external = world.service("kube-system", EXTERNAL);
            assert!(external.is_some(), "{setting}: the control plane has no Service");
        }
    }
    // An apply that makes an object needs the right to create it, too.
    for (group, resource) in [("", "services"), ("discovery.k8s.io", "endpointslices")] {
        used.insert((group.to_owned(), resource.to_owned(), "create".to_owned()));
    }
    for rule in OWN {
        for verb in rule.verbs {
            let right = (rule.group.to_owned(), rule.resource.to_owned(), (*verb).to_owned());
            assert!(used.contains(&right), "nothing needs {right:?}");
        }
    }
}
