//! The real client against the simulation, in-process and on a paused clock.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Secret};
use kit::Clock;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use kube_sim::{Controllers, KubeSim};
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn sim() -> KubeSim {
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    KubeSim::builder().clock(Clock::simulated(start, 1.0)).build()
}

/// A client of the administrator: the header is added where a kubeconfig would add it.
fn client(sim: &KubeSim) -> Client {
    client_with(sim, sim.admin_token())
}

/// A client with a token of its own.
fn client_with(sim: &KubeSim, token: &str) -> Client {
    let bearer = http::HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let service = tower::ServiceBuilder::new()
        .map_request(move |mut request: http::Request<kube::client::Body>| {
            request
                .headers_mut()
                .insert(http::header::AUTHORIZATION, bearer.clone());
            request
        })
        .service(sim.router());
    Client::new(service, "default")
}

fn node(name: &str) -> Node {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

#[tokio::test(start_paused = true)]
async fn objects_can_be_created_read_patched_and_deleted() {
    let sim = sim();
    let nodes: Api<Node> = Api::all(client(&sim));
    nodes.create(&PostParams::default(), &node("a")).await.unwrap();
    let patch = json!({"spec": {"providerID": "x://1"}});
    let patched = nodes
        .patch("a", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert_eq!(patched.spec.unwrap().provider_id.as_deref(), Some("x://1"));
    assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items.len(), 1);
    nodes.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(nodes.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_what_is_there_and_what_comes_for_hours() {
    let sim = sim();
    let nodes: Api<Node> = Api::all(client(&sim));
    nodes.create(&PostParams::default(), &node("a")).await.unwrap();
    let later = nodes.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_hours(3)).await;
        later.create(&PostParams::default(), &node("b")).await.unwrap();
    });
    let names: Vec<String> = watcher(nodes, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .map_ok(|n| n.name_any())
        .take(2)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_secret_is_filled_after_the_delay_on_the_simulated_clock() {
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    let sim = KubeSim::builder()
        .clock(Clock::simulated(start, 1.0))
        .controllers(Controllers::all())
        .token_delay(Duration::from_secs(30))
        .build();
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (sim, cancel) = (sim.clone(), cancel.clone());
        async move { sim.run_controllers(cancel).await }
    });
    sim.create(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bot"}}))
        .unwrap();
    sim.create(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "bot-token", "annotations": {"kubernetes.io/service-account.name": "bot"}},
    }))
    .unwrap();
    let secrets: Api<Secret> = Api::default_namespaced(client(&sim));
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert!(secrets.get("bot-token").await.unwrap().data.is_none());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let data = secrets.get("bot-token").await.unwrap().data.unwrap();
    let token = String::from_utf8(data["token"].0.clone()).unwrap();
    assert_eq!(data["namespace"].0, b"default");
    assert!(token.starts_with("eyJ"));
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&sim));
    assert_eq!(
        maps.get("kube-root-ca.crt").await.unwrap().data.unwrap()["ca.crt"],
        sim.ca_pem()
    );
    cancel.cancel();
    running.await.unwrap();
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

async fn names(mut events: impl futures::Stream<Item = watcher::Result<Node>> + Unpin, count: usize) -> Vec<String> {
    let mut out = Vec::new();
    while out.len() < count {
        out.push(events.next().await.unwrap().unwrap().name_any());
    }
    out
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_cut_goes_on_without_a_new_list() {
    let sim = sim();
    let nodes: Api<Node> = Api::all(client(&sim));
    nodes.create(&PostParams::default(), &node("a")).await.unwrap();
    let mut events = watcher(nodes.clone(), watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    assert_eq!(names(&mut events, 1).await, ["a"]);
    // The stream is lazy: the next event needs a watch, which the first one opens.
    sim.create(serde_json::to_value(node_object("b")).unwrap()).unwrap();
    assert_eq!(names(&mut events, 1).await, ["b"]);
    sim.faults().drop_watches();
    sim.create(node_object("c")).unwrap();
    assert_eq!(names(&mut events, 1).await, ["c"]);
    let lists = sim
        .requests()
        .iter()
        .filter(|r| r.path == "/api/v1/nodes" && !r.query.contains("watch=true"))
        .filter(|r| r.method == "GET")
        .count();
    assert_eq!(lists, 1);
}

fn node_object(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_version_that_is_gone_makes_the_client_list_again() {
    let sim = sim();
    let nodes: Api<Node> = Api::all(client(&sim));
    sim.create(node_object("a")).unwrap();
    let mut events = watcher(nodes, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    assert_eq!(names(&mut events, 1).await, ["a"]);
    sim.create(node_object("b")).unwrap();
    sim.faults().compact();
    // The first watch starts before the compaction: 200 with an ERROR event, then a fresh list.
    assert!(events.next().await.unwrap().is_err());
    assert_eq!(names(&mut events, 2).await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn streaming_lists_paging_and_metadata_watches_work() {
    use kube::core::PartialObjectMeta;
    let sim = sim();
    for name in ["a", "b", "c", "d", "e"] {
        sim.create(node_object(name)).unwrap();
    }
    let nodes: Api<Node> = Api::all(client(&sim));
    let expected = ["a", "b", "c", "d", "e"];
    let streamed = watcher(nodes.clone(), watcher::Config::default().streaming_lists())
        .applied_objects()
        .boxed();
    assert_eq!(names(streamed, 5).await, expected);
    let paged = watcher(nodes, watcher::Config::default().page_size(2))
        .applied_objects()
        .boxed();
    assert_eq!(names(paged, 5).await, expected);
    let metadata: Api<PartialObjectMeta<Node>> = Api::all(client(&sim));
    let listed = metadata.list(&ListParams::default()).await.unwrap();
    assert_eq!(listed.items.len(), 5);
    let watched = watcher(metadata, watcher::Config::default())
        .applied_objects()
        .map_ok(|n| n.name_any());
    assert_eq!(watched.take(5).try_collect::<Vec<_>>().await.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_reflector_keeps_up_with_what_happens() {
    let sim = sim();
    let nodes: Api<Node> = Api::all(client(&sim));
    let (reader, writer) = kube::runtime::reflector::store();
    let stream = kube::runtime::reflector(writer, watcher(nodes, watcher::Config::default()))
        .default_backoff()
        .touched_objects();
    let driving = tokio::spawn(stream.for_each(|_| futures::future::ready(())));
    reader.wait_until_ready().await.unwrap();
    sim.create(node_object("a")).unwrap();
    sim.create(node_object("b")).unwrap();
    sim.delete("nodes", None, "a").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left: Vec<String> = reader.state().iter().map(|n| n.name_any()).collect();
    assert_eq!(left, ["b"]);
    driving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_controller_with_a_finalizer_cleans_up_before_an_object_goes() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kube::runtime::controller::{Action, Controller};
    use kube::runtime::finalizer::{Event, finalizer};
    use kube::runtime::wait::{await_condition, conditions};

    type Failure = kube::runtime::finalizer::Error<std::convert::Infallible>;
    let sim = sim();
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&sim));
    let cleaned = Arc::new(AtomicUsize::new(0));
    let (api, count) = (maps.clone(), cleaned.clone());
    let reconcile = move |object: Arc<ConfigMap>, _: Arc<()>| {
        let (api, count) = (api.clone(), count.clone());
        async move {
            finalizer(&api, "example.com/f", object, |event| async move {
                if let Event::Cleanup(_) = event {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                Ok::<_, std::convert::Infallible>(Action::await_change())
            })
            .await
        }
    };
    let policy = |_: Arc<ConfigMap>, _: &Failure, _: Arc<()>| Action::requeue(Duration::from_secs(5));
    let running = Controller::new(maps.clone(), watcher::Config::default()).run(reconcile, policy, Arc::new(()));
    let running = tokio::spawn(running.for_each(|_| futures::future::ready(())));
    let created = maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(maps.get("a").await.unwrap().finalizers(), ["example.com/f"]);
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let uid = created.uid().unwrap();
    let gone = await_condition(maps, "a", conditions::is_deleted(&uid));
    tokio::time::timeout(Duration::from_mins(1), gone)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(cleaned.load(Ordering::SeqCst), 1);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn writes_conflict_apply_owns_and_faults_surface() {
    let sim = sim();
    let nodes: Api<Node> = Api::all(client(&sim));
    let first = nodes.create(&PostParams::default(), &node("a")).await.unwrap();
    let label = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": {"l": "1"}}});
    nodes
        .patch("a", &PatchParams::apply("one"), &Patch::Apply(&label))
        .await
        .unwrap();
    let stale = nodes.replace("a", &PostParams::default(), &first).await.unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.is_conflict()));
    let other = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": {"l": "2"}}});
    let taken = nodes
        .patch("a", &PatchParams::apply("two"), &Patch::Apply(&other))
        .await
        .unwrap_err();
    assert!(matches!(taken, kube::Error::Api(status) if status.is_conflict()));
    nodes
        .patch("a", &PatchParams::apply("two").force(), &Patch::Apply(&other))
        .await
        .unwrap();
    sim.faults()
        .fail_next(kube_sim::Matcher::any().verb("get").resource("nodes"), 503);
    let failed = nodes.get("a").await.unwrap_err();
    assert!(matches!(failed, kube::Error::Api(status) if status.code == 503));
    assert!(nodes.get("a").await.is_ok());
    assert_eq!(sim.requests().iter().filter(|r| r.fault.is_some()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn reads_that_may_be_stale_are_stale_while_frozen() {
    let sim = sim();
    sim.create(node_object("a")).unwrap();
    sim.faults().freeze_reads();
    sim.create(node_object("b")).unwrap();
    let nodes: Api<Node> = Api::all(client(&sim));
    let stale = nodes.list(&ListParams::default().match_any()).await.unwrap();
    assert_eq!(stale.items.len(), 1);
    assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_let_an_account_in_until_they_expire() {
    use k8s_openapi::api::authentication::v1::TokenRequest;
    use k8s_openapi::api::core::v1::ServiceAccount;
    let sim = sim();
    sim.create(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bot"}}))
        .unwrap();
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client(&sim));
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let answer = accounts
        .create_token_request("bot", &PostParams::default(), &request)
        .await
        .unwrap();
    let token = answer.status.unwrap().token.unwrap();
    let as_bot: Api<Node> = Api::all(client_with(&sim, &token));
    let code = |error: kube::Error| {
        if let kube::Error::Api(status) = error {
            status.code
        } else {
            0
        }
    };
    assert_eq!(code(as_bot.list(&ListParams::default()).await.unwrap_err()), 403);
    sim.create(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "bot"},
        "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": "default"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    }))
    .unwrap();
    assert!(as_bot.list(&ListParams::default()).await.is_ok());
    tokio::time::sleep(Duration::from_secs(3601)).await;
    assert_eq!(code(as_bot.list(&ListParams::default()).await.unwrap_err()), 401);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_deleted_is_emptied_and_owners_take_their_dependents_along() {
    let sim = sim();
    let cancel = CancellationToken::new();
    let controllers = tokio::spawn({
        let (sim, cancel) = (sim.clone(), cancel.clone());
        async move { sim.run_controllers(cancel).await }
    });
    sim.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}))
        .unwrap();
    let owner = sim
        .create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}))
        .unwrap();
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]});
    sim.create(
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "owned", "ownerReferences": [reference]}}),
    )
    .unwrap();
    sim.create(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "inside", "namespace": "n"}}))
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sim.get("serviceaccounts", Some("n"), "default").is_some());
    sim.delete("namespaces", None, "n").unwrap();
    sim.delete("configmaps", Some("default"), "owner").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sim.get("namespaces", None, "n").is_none());
    assert!(sim.list("secrets").is_empty());
    cancel.cancel();
    controllers.await.unwrap();
}

#[tokio::test]
async fn tls_is_trusted_by_whoever_has_the_authority() {
    let sim = KubeSim::builder().host("api.example.test").build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let cancel = CancellationToken::new();
    let serving = tokio::spawn(kube_sim::serve::tls(sim.clone(), listener, cancel.clone()));
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&sim.kubeconfig(&url)).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
        .await
        .unwrap();
    let version = Client::try_from(config).unwrap().apiserver_version().await.unwrap();
    assert_eq!(version.git_version, "v1.36.2");
    cancel.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_loses_the_answer_but_not_always_the_write() {
    let sim = sim();
    let nodes: Api<Node> = Api::all(client(&sim));
    let creates = || kube_sim::Matcher::any().verb("create").resource("nodes");
    sim.faults().cut(creates(), kube_sim::Cut::Before, 1);
    assert!(nodes.create(&PostParams::default(), &node("a")).await.is_err());
    assert!(sim.get("nodes", None, "a").is_none());
    sim.faults().cut(creates(), kube_sim::Cut::After, 1);
    assert!(nodes.create(&PostParams::default(), &node("a")).await.is_err());
    assert!(sim.get("nodes", None, "a").is_some());
}
