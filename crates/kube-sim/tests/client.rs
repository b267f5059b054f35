//! The real client against the simulation, in-process and on a paused clock.

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
    let bearer = http::HeaderValue::from_str(&format!("Bearer {}", sim.admin_token())).unwrap();
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
        tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
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
