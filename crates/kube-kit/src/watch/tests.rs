use std::sync::{Arc, Mutex as StdMutex};

use k8s_openapi::api::core::v1::Node;
use kube_sim::Matcher;
use serde_json::json;

use super::*;
use crate::store::Change;
use crate::testing::Server;

/// A store of node names and their provider IDs, and what was told about them.
struct Watched {
    store: Store<String>,
    health: WatchHealth,
    seen: Arc<StdMutex<Vec<String>>>,
    registry: Registry,
}

fn watch(server: &Server) -> Watched {
    let (store, registry) = (Store::new(), Registry::new());
    let seen: Arc<StdMutex<Vec<String>>> = Arc::default();
    store.on_change({
        let seen = Arc::clone(&seen);
        move |key, change| {
            let sign = match change {
                Change::Added(_) => "+",
                Change::Updated { .. } => "~",
                Change::Deleted(_) => "-",
            };
            seen.lock().unwrap().push(format!("{sign}{key}"));
        }
    });
    let cut = |node: Node| node.spec.and_then(|spec| spec.provider_id).unwrap_or_default();
    let watch = Watch::new(Api::<Node>::all(server.client()), "nodes", store.clone(), cut).metrics(&registry);
    let health = watch.health();
    tokio::spawn(watch.run());
    Watched {
        store,
        health,
        seen,
        registry,
    }
}

impl Watched {
    fn lists(&self) -> f64 {
        self.registry
            .counter("reflector_lists_total", "Complete lists read, by kind.", &["kind"])
            .get(&["nodes"])
    }
}

fn node(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"providerID": format!("x://{name}")}})
}

async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_holds_what_is_there_and_follows_what_happens() {
    let server = Server::new();
    server.sim.create(node("a")).unwrap();
    let watched = watch(&server);
    watched.store.synced().await;
    assert_eq!(watched.store.get("a").as_deref().map(String::as_str), Some("x://a"));
    seconds(1).await;
    server.sim.create(node("b")).unwrap();
    server.sim.delete("nodes", None, "a").unwrap();
    seconds(1).await;
    assert_eq!(watched.store.keys(), ["b"]);
    assert_eq!(*watched.seen.lock().unwrap(), ["+a", "+b", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn large_lists_are_read_in_pages() {
    let server = Server::new();
    for n in 0..1200 {
        server.sim.create(node(&format!("n{n:04}"))).unwrap();
    }
    let watched = watch(&server);
    watched.store.synced().await;
    assert_eq!(watched.store.len(), 1200);
    let pages = server
        .sim
        .requests()
        .iter()
        .filter(|request| request.query.contains("limit=100"))
        .count();
    assert_eq!(pages, 12);
}

#[tokio::test(start_paused = true)]
async fn a_cut_watch_is_opened_again_without_a_new_list() {
    let server = Server::new();
    let watched = watch(&server);
    watched.store.synced().await;
    for name in ["a", "b", "c"] {
        seconds(5).await;
        server.sim.faults().drop_watches();
        server.sim.create(node(name)).unwrap();
    }
    seconds(5).await;
    assert_eq!(watched.store.keys(), ["a", "b", "c"]);
    assert!((watched.lists() - 1.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_too_old_costs_one_list() {
    let server = Server::new();
    server.sim.create(node("gone")).unwrap();
    let watched = watch(&server);
    watched.store.synced().await;
    seconds(1).await;
    server.unplug(true);
    server.sim.faults().drop_watches();
    server.sim.delete("nodes", None, "gone").unwrap();
    server.sim.create(node("new")).unwrap();
    server.sim.faults().compact();
    server.unplug(false);
    seconds(60).await;
    assert_eq!(watched.store.keys(), ["new"]);
    assert!((watched.lists() - 2.0).abs() < f64::EPSILON);
    assert_eq!(
        *watched.seen.lock().unwrap(),
        ["+gone", "-gone", "+new"],
        "what went meanwhile is told"
    );
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_down_for_ten_minutes_is_neither_stormed_nor_a_reason_to_restart() {
    let server = Server::new();
    let watched = watch(&server);
    watched.store.synced().await;
    seconds(1).await;
    server.unplug(true);
    server.sim.faults().drop_watches();
    seconds(600).await;
    assert!(
        watched
            .health
            .failing()
            .is_some_and(|text| text.contains("connection refused"))
    );
    assert!(!watched.health.is_stalled());
    assert!(watched.health.last_heard() > Some(Duration::from_secs(590)));
    server.sim.clear_requests();
    server.unplug(false);
    server.sim.create(node("a")).unwrap();
    seconds(61).await;
    assert_eq!(watched.store.keys(), ["a"]);
    assert_eq!(watched.health.failing(), None);
    assert!(
        (watched.lists() - 1.0).abs() < f64::EPSILON,
        "the watch goes on from where it was"
    );
    assert!(server.sim.requests().len() <= 2, "{:?}", server.sim.requests());
}

#[tokio::test(start_paused = true)]
async fn errors_are_paced_and_a_list_is_tried_until_it_works() {
    let server = Server::new();
    server
        .sim
        .faults()
        .fail(Matcher::any().verb("list").resource("nodes"), 503, 5);
    let watched = watch(&server);
    seconds(1).await;
    assert!(!watched.store.is_synced());
    seconds(60).await;
    assert!(watched.store.is_synced());
    assert_eq!(
        server.asked("GET", "/nodes"),
        7,
        "five that failed, one list, one watch"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up_after_its_idle_deadline() {
    // A server that accepts the watch and then says nothing, not even good-bye.
    let lists = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let watches = Arc::clone(&lists);
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let watches = Arc::clone(&watches);
        async move {
            let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let body = if watch {
                watches.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                axum::body::Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>())
            } else {
                let list =
                    json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []});
                axum::body::Body::from(list.to_string())
            };
            Ok::<_, tower::BoxError>(http::Response::new(body))
        }
    });
    let api = Api::<Node>::all(kube::Client::new(service, "default"));
    let watch = Watch::new(api, "nodes", Store::<()>::new(), |_| ());
    let health = watch.health();
    tokio::spawn(watch.run());
    seconds(3600).await;
    let opened = lists.load(std::sync::atomic::Ordering::Relaxed);
    assert!(
        (6..=12).contains(&opened),
        "one every five to ten minutes, not {opened}"
    );
    assert!(!health.is_stalled());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_stopped_moving_is_stalled() {
    let health = WatchHealth::new();
    assert!(!health.is_stalled());
    seconds(STALLED.as_secs() + 1).await;
    assert!(health.is_stalled());
    health.moved(None);
    assert!(!health.is_stalled());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_breaks_off_in_the_middle_is_neither_believed_nor_lost() {
    let server = Server::new();
    server.sim.create(node("a")).unwrap();
    let watched = watch(&server);
    watched.store.synced().await;
    seconds(1).await;
    for (n, name) in ["b", "c", "d"].into_iter().enumerate() {
        server.sim.faults().cut_watch_lines(n + 1);
        server.sim.create(node(name)).unwrap();
        seconds(120).await;
        assert_eq!(watched.store.len(), n + 2, "{name}");
    }
    server.sim.faults().cut_watch_lines(1);
    server.sim.delete("nodes", None, "a").unwrap();
    seconds(120).await;
    assert_eq!(watched.store.keys(), ["b", "c", "d"]);
    assert_eq!(
        *watched.seen.lock().unwrap(),
        ["+a", "+b", "+c", "+d", "-a"],
        "once each"
    );
    assert!((watched.lists() - 1.0).abs() < f64::EPSILON, "and without a new list");
    assert_eq!(watched.health.failing(), None);
}

#[tokio::test(start_paused = true)]
async fn without_bookmarks_a_quiet_watch_falls_behind_and_costs_one_list_with_them_none() {
    for (bookmarks, lists) in [(true, 1.0), (false, 2.0)] {
        let server = Server::new();
        server.sim.create(node("a")).unwrap();
        server.sim.faults().drop_bookmarks(!bookmarks);
        let watched = watch(&server);
        watched.store.synced().await;
        seconds(1).await;
        for n in 0..50 {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m{n}")}});
            server.sim.create(map).unwrap();
        }
        // Long enough for a bookmark, too short for the watch to end by itself.
        seconds(200).await;
        server.sim.faults().compact();
        server.sim.faults().drop_watches();
        seconds(60).await;
        server.sim.create(node("b")).unwrap();
        seconds(1).await;
        assert_eq!(watched.store.keys(), ["a", "b"]);
        assert!(
            (watched.lists() - lists).abs() < f64::EPSILON,
            "{bookmarks} {}",
            watched.lists()
        );
        assert_eq!(*watched.seen.lock().unwrap().last().unwrap(), "+b");
    }
}
