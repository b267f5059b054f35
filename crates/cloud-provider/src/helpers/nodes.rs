//! Small questions about addresses and taints of nodes, answered as `node/helpers` of `k8s.io/cloud-provider` does.

use crate::data::{Address, Taint};

/// Adds addresses that are not there yet, in order, at the end.
pub fn add_addresses(addresses: &mut Vec<Address>, more: impl IntoIterator<Item = Address>) {
    for address in more {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
}

/// Whether there is a taint with this key and effect, whatever its value.
pub fn has_taint(taints: &[Taint], key: &str, effect: &str) -> bool {
    taints.iter().any(|taint| taint.key == key && taint.effect == effect)
}

/// The taints without those of this key and effect.
pub fn without_taint(taints: &[Taint], key: &str, effect: &str) -> Vec<Taint> {
    let stays = |taint: &&Taint| taint.key != key || taint.effect != effect;
    taints.iter().filter(stays).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream_cases::passed;

    #[test]
    fn every_upstream_case_of_add_to_node_addresses() {
        type Case = (&'static str, Vec<Address>, Vec<Address>, Vec<Address>);
        let (a, b, c) = (Address::internal("1"), Address::external("1"), Address::hostname("h"));
        let cases: [Case; 4] = [
            ("none and none", vec![], vec![], vec![]),
            (
                "none and two",
                vec![],
                vec![a.clone(), b.clone()],
                vec![a.clone(), b.clone()],
            ),
            (
                "twice the same",
                vec![a.clone()],
                vec![a.clone(), a.clone()],
                vec![a.clone()],
            ),
            (
                "one new and one known",
                vec![a.clone(), b.clone()],
                vec![c.clone(), a.clone()],
                vec![a.clone(), b, c],
            ),
        ];
        for (name, mut addresses, more, expected) in cases {
            add_addresses(&mut addresses, more);
            assert_eq!(addresses, expected, "{name}");
            passed("AddToNodeAddresses", name);
        }
    }

    #[test]
    fn every_upstream_case_of_taints() {
        let taint = |key: &str, value: &str, effect: &str| Taint {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: effect.to_owned(),
            added: None,
        };
        let taints = [
            taint("foo_1", "bar_1", "NoSchedule"),
            taint("foo_2", "bar_2", "NoSchedule"),
        ];
        for (name, key, effect, there) in [
            ("there", "foo_1", "NoSchedule", true),
            ("another key", "foo_3", "NoSchedule", false),
            ("another effect", "foo_1", "PreferNoSchedule", false),
        ] {
            assert_eq!(has_taint(&taints, key, effect), there, "{name}");
            passed("TaintExists", name);
        }
        for (group, name, given, key, effect, left) in [
            ("removeTaint", "another key", &taints[..1], "foo_3", "NoSchedule", 1),
            ("removeTaint", "there", &taints[..1], "foo_1", "NoSchedule", 0),
            ("removeTaint", "no taints", &taints[..0], "foo_1", "NoSchedule", 0),
            ("deleteTaint", "another key", &taints[..], "foo_3", "NoSchedule", 2),
            ("deleteTaint", "another effect", &taints[..], "foo_1", "NoExecute", 2),
            ("deleteTaint", "there", &taints[..], "foo_1", "NoSchedule", 1),
            ("deleteTaint", "no taints", &taints[..0], "foo_2", "NoSchedule", 0),
        ] {
            let rest = without_taint(given, key, effect);
            assert_eq!(rest.len(), left, "{group}, {name}");
            assert!(!has_taint(&rest, key, effect));
            passed(group, name);
        }
    }
}
