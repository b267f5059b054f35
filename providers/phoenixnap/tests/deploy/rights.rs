//! The rights the provider needs beyond those of every controller manager.

use std::collections::BTreeSet;
use std::time::Duration;

use cloud_provider::rbac::{CLUSTER, LEASE, Rule};
use phoenixnap_sim::{Kind, Settings};
use serde_json::{Value, json};

use super::harness::{World, minutes};
use super::manifest::{ACCOUNT, objects};

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
    // Addresses are written to Services.
    rule("", "services", &["get", "patch"]),
    // For MetalLB.
    rule("metallb.io", "ipaddresspools", &["list", "create", "patch", "delete"]),
    rule("metallb.io", "l2advertisements", &["list", "create", "patch", "delete"]),
];

/// Rules as a role has them, one for each resource.
fn rules(all: &[Rule]) -> Value {
    let mut merged: Vec<(Rule, Vec<&str>)> = Vec::new();
    for rule in all {
        let place = (rule.group, rule.resource, rule.name);
        match merged
            .iter_mut()
            .find(|(it, _)| (it.group, it.resource, it.name) == place)
        {
            Some((_, verbs)) => verbs.extend(rule.verbs),
            None => merged.push((*rule, rule.verbs.to_vec())),
        }
    }
    let shown = merged.into_iter().map(|(rule, mut verbs)| {
        let mut seen = BTreeSet::new();
        verbs.retain(|verb| seen.insert(*verb));
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

fn install_metallb(world: &World) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "metallb-system"}});
    world.kube.create(namespace).unwrap();
    for (kind, plural) in [
        ("IPAddressPool", "ipaddresspools"),
        ("L2Advertisement", "l2advertisements"),
    ] {
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let names = json!({
            "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"),
        });
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": any}}});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.metallb.io")},
            "spec": {
                "group": "metallb.io", "scope": "Namespaced", "names": names,
                "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": schema}],
            },
        });
        world.kube.create(definition).unwrap();
    }
}

/// Changes what is MetalLB's behind the program's back, and gives it a reason to look.
fn spoil(world: &World) {
    for mut pool in world.kube.list("ipaddresspools.metallb.io") {
        pool["spec"]["addresses"] = json!(["192.0.2.1/32"]);
        world.kube.update(pool).unwrap();
    }
    let mut service = world.kube.get("services", Some("default"), "web").unwrap();
    service["spec"]["ports"][0]["port"] = 8080.into();
    world.kube.update(service).unwrap();
}

/// Makes Services come and go in a world with the rights that are shipped, and gives what was used of them.
async fn live(scheme: &str, share: bool) -> BTreeSet<(String, String, String)> {
    let mut world = World::with(Settings::default(), json!({}));
    let network = world.sim.add(Kind::PublicNetwork, json!({"name": "services"})).unwrap();
    world.configure(json!({"loadbalancer": format!("{scheme}://{network}"), "shareIPBlocks": share}));
    install_metallb(&world);
    for object in objects().into_iter().filter(|object| object["kind"] != "Deployment") {
        world.kube.apply(object).unwrap();
    }
    let user = format!("system:serviceaccount:kube-system:{ACCOUNT}");
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:kube-system",
        "system:authenticated",
    ];
    world.kube.add_token("ccm", &user, &groups, None);
    world.add_machines(2);
    world.kube.clear_requests();
    let ran = world.run_as("ccm", &["--leader-elect=true"]);
    let ingress = |world: &World, name: &str| {
        let service = world.kube.get("services", Some("default"), name).unwrap_or_default();
        service["status"]["loadBalancer"]["ingress"][0]["ip"].is_string()
    };
    for name in ["web", "api"] {
        world
            .kube
            .create(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
            }))
            .unwrap();
        world
            .until("it has an address", Duration::from_mins(5), |world| {
                ingress(world, name)
            })
            .await;
    }
    spoil(&world);
    minutes(2).await;
    for name in ["web", "api"] {
        world.kube.delete("services", Some("default"), name).unwrap();
        let gone = |world: &World| world.kube.get("services", Some("default"), name).is_none();
        world.until("it is gone", Duration::from_mins(5), gone).await;
    }
    minutes(30).await;
    assert!(world.sim.objects(Kind::Block).is_empty(), "{scheme}: blocks are left");
    ran.end().await.unwrap();
    let requests = world.kube.requests();
    let refused: Vec<_> = requests.iter().filter(|request| request.status == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    requests
        .iter()
        .map(|it| right(&it.method, &it.path, &it.query))
        .collect()
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
    for (scheme, share) in [("kube-vip", false), ("metallb", false), ("metallb", true)] {
        used.extend(live(scheme, share).await);
    }
    for rule in OWN {
        for verb in rule.verbs {
            let right = (rule.group.to_owned(), rule.resource.to_owned(), (*verb).to_owned());
            assert!(used.contains(&right), "nothing needs {right:?}");
        }
    }
}
