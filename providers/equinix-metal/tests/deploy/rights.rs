//! The rights the provider needs beyond those of every controller manager.

use cloud_provider::rbac::{CLUSTER, LEASE, Rule};
use serde_json::{Value, json};

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
        &["get", "list", "watch", "create", "patch", "delete"],
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
