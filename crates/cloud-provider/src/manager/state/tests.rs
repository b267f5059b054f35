use super::*;
use crate::data::{Address, Ingress, Taint};
use crate::memory::MemoryCloud;
use crate::names::FINALIZER;

fn node(provider_id: &str, taint: &str) -> Node {
    let mut node = Node {
        name: "n".to_owned(),
        provider_id: provider_id.to_owned(),
        addresses: vec![Address::internal("10.0.0.1"), Address::hostname("n")],
        ..Node::default()
    };
    if !taint.is_empty() {
        node.taints.push(Taint {
            key: taint.to_owned(),
            value: String::new(),
            effect: "NoSchedule".to_owned(),
            added: None,
        });
    }
    node
}

fn condition(kind: &str, status: &str) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: "Why".to_owned(),
        message: "because".to_owned(),
    }
}

#[test]
fn a_node_says_how_it_stands_and_why_it_is_not_initialized() {
    let cloud = MemoryCloud::new("fake");
    let of = |node: &Node, suspects: &[&str]| {
        let suspects: Vec<String> = suspects.iter().map(|name| (*name).to_owned()).collect();
        NodeState::of(node, &cloud, &suspects)
    };
    for (node, standing) in [
        (node("fake://1", ""), Standing::Initialized),
        (node("", TAINT_UNINITIALIZED), Standing::Uninitialized),
        (node("", ""), Standing::Unmanaged),
        (node("aws://1", TAINT_UNINITIALIZED), Standing::Foreign),
        (node("fake://1", TAINT_SHUTDOWN), Standing::ShutDown),
        (
            Node {
                deleting: true,
                ..node("fake://1", "")
            },
            Standing::Deleting,
        ),
    ] {
        assert_eq!(of(&node, &[]).state, standing, "{node:?}");
    }
    assert_eq!(of(&node("fake://1", ""), &["n"]).state, Standing::Missing);
    let mut waiting = node("", TAINT_UNINITIALIZED);
    assert_eq!(of(&waiting, &[]).reason, None);
    waiting.conditions = vec![condition(CONDITION_INITIALIZED, "False")];
    let shown = of(&waiting, &[]);
    assert_eq!(
        (shown.reason.as_deref(), shown.message.as_deref()),
        (Some("Why"), Some("because"))
    );
    assert_eq!(shown.addresses, ["InternalIP 10.0.0.1", "Hostname n"]);
    // What was wrong once and is over is not said any more.
    let mut fine = node("fake://1", "");
    fine.conditions = vec![
        condition(CONDITION_INITIALIZED, "True"),
        condition(CONDITION_INSTANCE, "True"),
    ];
    assert_eq!(
        (of(&fine, &[]).state, of(&fine, &[]).reason),
        (Standing::Initialized, None)
    );
}

#[test]
fn a_service_says_where_it_is_reached_or_what_it_waits_for() {
    let service = |kind: &str, ingress: Vec<Ingress>| Service {
        namespace: "default".to_owned(),
        name: "web".to_owned(),
        kind: kind.to_owned(),
        finalizers: vec![FINALIZER.to_owned()],
        ingress,
        ..Service::default()
    };
    let shown = |service: &Service| ServiceState::of(service, None, None).map(|it| (it.state, it.addresses));
    let mut plain = service("ClusterIP", vec![]);
    plain.finalizers.clear();
    assert_eq!(shown(&plain), None);
    assert_eq!(
        shown(&service("LoadBalancer", vec![])),
        Some((Delivery::Waiting, vec![]))
    );
    let both = vec![Ingress::ip("192.0.2.1"), Ingress::hostname("lb.example.org")];
    let addresses = vec!["192.0.2.1".to_owned(), "lb.example.org".to_owned()];
    assert_eq!(
        shown(&service("LoadBalancer", both)),
        Some((Delivery::Reached, addresses))
    );
    assert_eq!(shown(&service("NodePort", vec![])), Some((Delivery::Ending, vec![])));
    let mut foreign = service("LoadBalancer", vec![]);
    foreign.class = Some("other".to_owned());
    assert_eq!(shown(&foreign), Some((Delivery::Foreign, vec![])));
    let pending = ServiceState::of(
        &service("LoadBalancer", vec![]),
        Some("being made".to_owned()),
        Some("nobody"),
    );
    assert_eq!(pending.unwrap().problem.as_deref(), Some("being made"));
}

#[test]
fn calls_are_told_by_operation_with_what_was_throttled() {
    let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
    let counted = BTreeMap::from([
        (labels(&["look_up", "success"]), 3.0),
        (labels(&["look_up", "throttled"]), 1.0),
        (labels(&["list_servers", "transient"]), 2.0),
    ]);
    let seconds = BTreeMap::from([(labels(&["look_up"]), 1.0)]);
    let calls = Calls::of(&counted, &seconds);
    assert_eq!(
        calls.iter().map(|one| one.operation.as_str()).collect::<Vec<_>>(),
        ["list_servers", "look_up"]
    );
    assert_eq!(calls[1].ended(&["throttled"]), 1);
    assert!((calls[1].average_seconds - 0.25).abs() < 1e-9, "{calls:?}");
}
