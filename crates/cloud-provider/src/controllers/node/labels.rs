//! Which labels a node is to have.

use std::collections::BTreeMap;

use crate::cloud::Metadata;
use crate::data::StringMap;
use crate::names::{LABEL_INSTANCE_TYPE, LABEL_REGION, LABEL_ZONE};

type Changes = BTreeMap<String, String>;

/// Whether a label belongs to Kubernetes, so that a cloud must not set it at will.
pub fn is_reserved(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else {
        return false;
    };
    ["kubernetes.io", "k8s.io"].iter().any(|reserved| {
        domain
            .strip_suffix(reserved)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// What a new node's labels lack: type, zone and region are set whatever was there, other labels only where there is none.
pub fn label_changes(labels: &StringMap, metadata: &Metadata) -> Changes {
    let mut wanted = well_known(metadata);
    let missing = metadata
        .labels
        .iter()
        .filter(|(key, _)| !is_reserved(key) && !labels.contains_key(*key));
    wanted.extend(missing.map(|(key, value)| (key.clone(), value.clone())));
    wanted.retain(|key, value| labels.get(key) != Some(value));
    wanted
}

/// What the labels of a node that was initialised long ago lack now: all follow the cloud, none is removed.
pub fn refreshed_labels(labels: &StringMap, metadata: &Metadata) -> Changes {
    let mut wanted = well_known(metadata);
    let ours = metadata.labels.iter().filter(|(key, _)| !is_reserved(key));
    wanted.extend(ours.map(|(key, value)| (key.clone(), value.clone())));
    wanted.retain(|key, value| labels.get(key) != Some(value));
    wanted
}

fn well_known(metadata: &Metadata) -> Changes {
    [
        (LABEL_INSTANCE_TYPE, &metadata.instance_type),
        (LABEL_ZONE, &metadata.zone),
        (LABEL_REGION, &metadata.region),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .flat_map(|(keys, value)| keys.map(|key| (key.to_owned(), value.clone())))
    .collect()
}

/// What must change for labels to agree with their beta forms, which are the truth where they exist.
pub fn repaired_labels(labels: &StringMap) -> Changes {
    [LABEL_ZONE, LABEL_REGION, LABEL_INSTANCE_TYPE]
        .into_iter()
        .filter_map(|[stable, beta]| Some((stable, labels.get(beta)?)))
        .filter(|(stable, value)| labels.get(*stable) != Some(*value))
        .map(|(stable, value)| (stable.to_owned(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels<L: FromIterator<(String, String)>>(pairs: &[(&str, &str)]) -> L {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn beta_labels_are_the_truth() {
        let beta = [
            ("failure-domain.beta.kubernetes.io/zone", "foo"),
            ("failure-domain.beta.kubernetes.io/region", "bar"),
            ("beta.kubernetes.io/instance-type", "t"),
        ];
        let stable = [
            ("topology.kubernetes.io/zone", "foo"),
            ("topology.kubernetes.io/region", "bar"),
            ("node.kubernetes.io/instance-type", "t"),
        ];
        assert_eq!(
            repaired_labels(&labels(&beta)),
            labels(&stable),
            "missing ones are added"
        );
        assert!(
            repaired_labels(&labels(&[beta, stable].concat())).is_empty(),
            "equal ones are left alone"
        );
        let wrong = stable.map(|(key, _)| (key, "wrong"));
        assert_eq!(
            repaired_labels(&labels(&[beta, wrong].concat())),
            labels(&stable),
            "wrong ones are put right"
        );
        assert!(
            repaired_labels(&labels(&stable)).is_empty(),
            "without beta labels there is nothing to do"
        );
    }

    #[test]
    fn a_cloud_may_not_set_the_labels_of_kubernetes() {
        for (key, reserved) in [
            ("kubernetes.io/x", true),
            ("k8s.io/x", true),
            ("topology.kubernetes.io/x", true),
            ("foo.k8s.io/x", true),
            ("app.k8snio/bar", false),
            ("k8snio/bar", false),
            ("topology.k8s.cp/zone-id", false),
            ("mykubernetes.io/x", false),
            ("plain", false),
        ] {
            assert_eq!(is_reserved(key), reserved, "{key}");
        }
    }

    #[test]
    fn a_refresh_adds_and_updates_and_never_removes() {
        let metadata = Metadata {
            zone: "z2".to_owned(),
            labels: labels(&[("mine/a", "new"), ("k8s.io/a", "no")]),
            ..Metadata::default()
        };
        let known = labels(&[
            ("topology.kubernetes.io/zone", "z1"),
            ("mine/a", "old"),
            ("theirs", "1"),
        ]);
        let expected = labels(&[
            ("topology.kubernetes.io/zone", "z2"),
            ("failure-domain.beta.kubernetes.io/zone", "z2"),
            ("mine/a", "new"),
        ]);
        assert_eq!(refreshed_labels(&known, &metadata), expected);
    }
}
