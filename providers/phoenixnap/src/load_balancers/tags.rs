//! How a block says whose it is. Names and values are the original's (`phoenixnap/tags.go`, `constants.go`), so that either
//! program understands what the other bought.

use cloud_provider::data::Service;

use crate::client::{IpBlock, TagValue};

const USAGE: &str = "usage";
const OWNER: &str = "cloud-provider-phoenixnap-auto";
const CLUSTER: &str = "cluster";
const SERVICE_NAMESPACE: &str = "serviceNamespace";
const SERVICE_NAME: &str = "serviceName";
/// On a block that is being given back. Its presence is what counts.
const DELETE: &str = "delete";
/// On a block whose addresses several Services have. The original knows none.
const SHARED: &str = "sharedBlock";
const TRUE: &str = "true";

/// The names that must exist before a block can bear them.
pub(super) const NAMES: [&str; 6] = [USAGE, CLUSTER, SERVICE_NAMESPACE, SERVICE_NAME, DELETE, SHARED];

/// What every block of a cluster bears. The cluster is known by the UID of its `kube-system` namespace.
pub(super) fn cluster(uid: &str) -> Vec<TagValue> {
    vec![TagValue::new(USAGE, OWNER), TagValue::new(CLUSTER, uid)]
}

/// What a Service's own block bears beyond that.
pub(super) fn service(service: &Service) -> Vec<TagValue> {
    vec![
        TagValue::new(SERVICE_NAMESPACE, &service.namespace),
        TagValue::new(SERVICE_NAME, &service.name),
    ]
}

/// What a block for several Services bears beyond that.
pub(super) fn shared() -> Vec<TagValue> {
    vec![TagValue::new(SHARED, TRUE)]
}

/// The tags of a block that is to be given back: those it has, and one more. It keeps its Service's, unlike the
/// original's, so that the Service waits until it is gone.
pub(super) fn marked(block: &IpBlock) -> Vec<TagValue> {
    let mut tags = block.tags.clone();
    tags.push(TagValue::new(DELETE, TRUE));
    tags
}

/// Whether a block is being given back.
pub(super) fn is_marked(block: &IpBlock) -> bool {
    block.has_tag(DELETE)
}

/// Whether a block is for several Services.
pub(super) fn is_shared(block: &IpBlock) -> bool {
    block.has_tag(SHARED)
}

/// The Service that a block is for, as `namespace/name`.
pub(super) fn owner(block: &IpBlock) -> Option<String> {
    let tag = |name| block.tag(name).filter(|value| !value.is_empty());
    Some(format!("{}/{}", tag(SERVICE_NAMESPACE)?, tag(SERVICE_NAME)?))
}

/// The other cluster, by its UID, that a block was bought for.
pub(super) fn other_cluster<'a>(block: &'a IpBlock, uid: &str) -> Option<&'a str> {
    let cluster = block.tag(CLUSTER).filter(|known| !known.is_empty() && *known != uid)?;
    // `cluster` alone may be anybody's word for anything.
    let bought = block.tag(USAGE) == Some(OWNER) || block.has_tag(SERVICE_NAME) || block.has_tag(SHARED);
    bought.then_some(cluster)
}

/// The tags of a block once these are on it again; those of other names stay.
pub(super) fn restored(block: &IpBlock, wanted: &[TagValue]) -> Vec<TagValue> {
    let kept = block
        .tags
        .iter()
        .filter(|tag| !wanted.iter().any(|one| one.name == tag.name));
    kept.chain(wanted).cloned().collect()
}

/// The name of a Service's load balancer, as the original gives it.
pub(super) fn balancer_name(uid: &str, service: &str) -> String {
    format!("{USAGE}={OWNER}:service={service}:{CLUSTER}={uid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_names_are_those_of_the_original() {
        let web = Service {
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            ..Service::default()
        };
        let mut block = IpBlock {
            tags: [cluster("uid"), service(&web)].concat(),
            ..IpBlock::default()
        };
        let said: Vec<String> = block
            .tags
            .iter()
            .map(|tag| format!("{}={}", tag.name, tag.value.as_deref().unwrap_or_default()))
            .collect();
        let expected = [
            "usage=cloud-provider-phoenixnap-auto",
            "cluster=uid",
            "serviceNamespace=default",
            "serviceName=web",
        ];
        assert_eq!(said, expected);
        assert_eq!(
            balancer_name("uid", "default/web"),
            "usage=cloud-provider-phoenixnap-auto:service=default/web:cluster=uid"
        );
        assert_eq!(owner(&block).as_deref(), Some("default/web"));
        assert!(!is_marked(&block) && !is_shared(&block));
        block.tags = marked(&block);
        assert!(is_marked(&block) && block.bears(&service(&web)));
    }

    #[test]
    fn a_block_is_another_clusters_only_when_it_was_bought_for_one() {
        let block = |tags: &[(&str, &str)]| IpBlock {
            tags: tags.iter().map(|(name, value)| TagValue::new(*name, *value)).collect(),
            ..IpBlock::default()
        };
        for (tags, expected) in [
            (&[(USAGE, OWNER), (CLUSTER, "b")][..], Some("b")),
            (&[(CLUSTER, "b"), (SERVICE_NAME, "web")], Some("b")),
            (&[(USAGE, OWNER), (CLUSTER, "a")], None),
            (&[(CLUSTER, "production")], None),
            (&[(USAGE, OWNER)], None),
        ] {
            assert_eq!(other_cluster(&block(tags), "a"), expected, "{tags:?}");
        }
        let bare = block(&[("team", "x"), (CLUSTER, "")]);
        assert_eq!(
            restored(&bare, &cluster("a")),
            [
                TagValue::new("team", "x"),
                TagValue::new(USAGE, OWNER),
                TagValue::new(CLUSTER, "a")
            ]
        );
    }

    #[test]
    fn a_block_with_half_a_name_is_nobodys() {
        let tags = vec![TagValue::new(SERVICE_NAME, "web"), TagValue::new(SERVICE_NAMESPACE, "")];
        assert_eq!(
            owner(&IpBlock {
                tags,
                ..IpBlock::default()
            }),
            None
        );
    }
}
