//! Whatever is sent, there is an answer: never a panic, never a hang, and every failure is a well-formed Status.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod generate;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use kit::Clock;
use kube_sim::{Controllers, KubeSim};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tower::ServiceExt;

use generate::{document, encoded, envelope, escaped, operation, selector, value, word};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// An object of a typed kind, one with addresses and ports to hand out, and one whose schema keeps everything.
const TARGETS: &[(&str, &str, &str)] = &[
    ("/api/v1/nodes/a", "v1", "Node"),
    ("/api/v1/namespaces/default/services/s", "v1", "Service"),
    (
        "/apis/example.com/v1/namespaces/default/widgets/w",
        "example.com/v1",
        "Widget",
    ),
];

/// How long one request may take, on a busy machine and without optimization.
const PATIENCE: Duration = Duration::from_secs(10);

fn seeded() -> KubeSim {
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    let sim = KubeSim::builder()
        .clock(Clock::simulated(start, 1.0))
        .controllers(Controllers::none())
        .build();
    for object in [
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": {"l": "x"}, "finalizers": ["e.com/f"]},
            "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
            "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"type": "LoadBalancer",
            "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}),
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"a": [1, {"b": 2}]}}),
    ] {
        sim.create(object).unwrap();
    }
    sim
}

fn on_paused_clock<T>(test: impl AsyncFnOnce(KubeSim) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { test(seeded()).await })
}

/// Sends a request and checks that what comes back is an answer; gives its status. A text that is no URL is not sent.
async fn answered(sim: &KubeSim, method: &str, url: &str, media: &str, body: impl Into<Body>) -> Option<u16> {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("Authorization", format!("Bearer {}", sim.admin_token()))
        .header("Content-Type", media)
        .body(body.into())
        .ok()?;
    let begun = Instant::now();
    let response = sim.router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let text = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .starts_with("text/plain");
    // A watch ends by itself: the clock is paused, and jumps to its end.
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert!(begun.elapsed() < PATIENCE, "{method} {url} took {:?}", begun.elapsed());
    if text {
        return Some(status);
    }
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let answer: Value = serde_json::from_slice(line).unwrap();
        if status >= 400 {
            check_status(&answer, status);
        } else if answer["type"] == "ERROR" {
            check_status(&answer["object"], 0);
        } else {
            assert!(answer.is_object(), "{method} {url}: {answer}");
        }
    }
    Some(status)
}

/// `status` is that of the HTTP answer, 0 in a watch.
fn check_status(answer: &Value, status: u16) {
    let code = answer["code"].as_u64().unwrap();
    let said = (&answer["kind"], &answer["apiVersion"], &answer["status"]);
    assert_eq!(said, (&json!("Status"), &json!("v1"), &json!("Failure")), "{answer}");
    assert!(answer["message"].as_str().is_some_and(|m| !m.is_empty()), "{answer}");
    assert!(answer["metadata"].is_object(), "{answer}");
    assert!(answer.get("details").is_none_or(Value::is_object), "{answer}");
    assert!(
        code >= 400 && (status == 0 || code == u64::from(status)),
        "{status}: {answer}"
    );
    if let Some(causes) = answer["details"].get("causes") {
        assert!(
            causes.as_array().unwrap().iter().all(|c| c["message"].is_string()),
            "{answer}"
        );
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_patch_is_answered(
        patches in prop::collection::vec((select(TARGETS), select(&["", "/status", "/scale"][..]), document(), 0..4usize), 1..6),
        operations in prop::collection::vec(operation(), 0..4),
    ) {
        on_paused_clock(async |sim| {
            for ((path, version, kind), sub, mut patch, how) in patches {
                let (media, query) = match how {
                    0 => (MERGE, ""),
                    1 => (STRATEGIC, "?fieldValidation=Strict"),
                    2 => {
                        patch = json!(operations);
                        (JSON_PATCH, "")
                    }
                    _ => {
                        if let Some(map) = patch.as_object_mut() {
                            map.insert("apiVersion".to_owned(), json!(version));
                            map.insert("kind".to_owned(), json!(kind));
                        }
                        (APPLY, "?fieldManager=m&force=1")
                    }
                };
                answered(&sim, "PATCH", &format!("{path}{sub}{query}"), media, patch.to_string()).await.unwrap();
                // What was stored can be read again, also as it is shown to people.
                let got = answered(&sim, "GET", path, JSON, "").await.unwrap();
                prop_assert!(matches!(got, 200 | 404));
            }
            Ok(())
        })?;
    }

    #[test]
    fn every_object_is_answered((path, ..) in select(TARGETS), sub in select(&["", "/status"][..]), object in document(), cut in 0..40usize) {
        on_paused_clock(async |sim| {
            let text = object.to_string();
            let (collection, _) = path.rsplit_once('/').unwrap();
            answered(&sim, "PUT", &format!("{path}{sub}"), JSON, text.clone()).await.unwrap();
            answered(&sim, "POST", collection, JSON, text.clone()).await.unwrap();
            answered(&sim, "POST", collection, "application/yaml", text.clone()).await.unwrap();
            answered(&sim, "DELETE", path, JSON, text.clone()).await.unwrap();
            // A body that stops in the middle.
            let half = text.into_bytes().into_iter().take(cut).collect::<Vec<u8>>();
            for media in [JSON, "application/yaml", PROTOBUF, "text/html", ""] {
                answered(&sim, "PUT", path, media, half.clone()).await.unwrap();
            }
        });
    }

    #[test]
    fn every_selector_is_answered(labels in selector(), fields in selector(), watch in any::<bool>()) {
        on_paused_clock(async |sim| {
            let more = if watch { "&watch=1&timeoutSeconds=1" } else { "" };
            let query = format!("?labelSelector={}&fieldSelector={}{more}", escaped(&labels), escaped(&fields));
            for collection in ["/api/v1/nodes", "/api/v1/services", "/apis/example.com/v1/widgets"] {
                answered(&sim, "GET", &format!("{collection}{query}"), JSON, "").await;
            }
        });
    }

    #[test]
    fn every_path_is_answered(
        method in select(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FROB"][..]),
        steps in prop::collection::vec(prop_oneof![4 => select(&[
            "api", "apis", "v1", "watch", "namespaces", "default", "nodes", "a", "services", "s", "status", "scale", "finalize", "token",
            "pods", "binding", "eviction", "log", "example.com", "widgets", "healthz", "readyz", "openapi", "v3", "version", "..", ".", "%2F",
            "%zz", "", "apiextensions.k8s.io", "customresourcedefinitions", "proxy", "serviceaccounts", "coordination.k8s.io", "leases",
        ][..]).prop_map(str::to_owned), 1 => word()], 0..9),
        query in prop::collection::vec((select(&[
            "watch", "limit", "continue", "resourceVersion", "resourceVersionMatch", "timeoutSeconds", "allowWatchBookmarks",
            "sendInitialEvents", "dryRun", "fieldManager", "fieldValidation", "force", "gracePeriodSeconds", "propagationPolicy",
            "orphanDependents", "pretty", "timeout", "exact", "",
        ][..]), word()), 0..5),
    ) {
        on_paused_clock(async |sim| {
            let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
            let url = format!("/{}?{}", escaped(&steps.join("/")), query.join("&"));
            answered(&sim, method, &url, JSON, if method == "GET" { "" } else { "{}" }).await;
        });
    }

    #[test]
    fn every_version_and_token_is_answered(
        version in prop_oneof![word(), any::<u64>().prop_map(|n| n.to_string()), (990u64..1060).prop_map(|n| n.to_string())],
        token in prop_oneof![
            word(),
            (any::<i64>(), word()).prop_map(|(rv, start)| encoded(&json!({"v": "meta.k8s.io/v1", "rv": rv, "start": start}))),
            value().prop_map(|v| encoded(&v)),
        ],
        matching in select(&["", "Exact", "NotOlderThan", "x"][..]),
        more in select(&["", "&watch=1&timeoutSeconds=1", "&limit=1", "&limit=-1", "&limit=9223372036854775807",
            "&watch=1&timeoutSeconds=9223372036854775807&allowWatchBookmarks=1", "&watch=1&sendInitialEvents=1&timeoutSeconds=-1"][..]),
    ) {
        // The last two never end: their answers begin, and that is all.
        let endless = more.contains("9223372036854775807&") || more.contains("=-1");
        on_paused_clock(async |sim| {
            for query in [
                format!("resourceVersion={}&resourceVersionMatch={matching}", escaped(&version)),
                format!("continue={}", escaped(&token)),
                format!("continue={}&resourceVersion={}", escaped(&token), escaped(&version)),
            ] {
                let url = format!("/api/v1/nodes?{query}{more}");
                let asked = answered(&sim, "GET", &url, JSON, "");
                if endless {
                    let _ = tokio::time::timeout(Duration::from_hours(1), asked).await;
                } else {
                    asked.await;
                }
            }
            let url = format!("/api/v1/nodes/a?resourceVersion={}", escaped(&version));
            answered(&sim, "GET", &url, JSON, "").await;
        });
    }

    #[test]
    fn every_protobuf_is_answered(
        prefix in select(PREFIXES),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            // An envelope that names a kind, and a message of random fields in it.
            (select(TARGETS), prop::collection::vec((1u8..10, 0u8..6, prop::collection::vec(any::<u8>(), 0..12)), 0..6))
                .prop_map(|((_, version, kind), fields)| envelope(version, kind, &fields)),
        ],
    ) {
        on_paused_clock(async |sim| {
            let bytes = [prefix, &body].concat();
            for (path, ..) in TARGETS {
                let (collection, _) = path.rsplit_once('/').unwrap();
                answered(&sim, "POST", collection, PROTOBUF, bytes.clone()).await.unwrap();
                answered(&sim, "PUT", path, PROTOBUF, bytes.clone()).await.unwrap();
                answered(&sim, "DELETE", path, PROTOBUF, bytes.clone()).await.unwrap();
            }
        });
    }
}

const PREFIXES: &[&[u8]] = &[b"k8s\0", b"k8s", b""];
const BODIES: &[&str] = &[JSON, "application/yaml", PROTOBUF];
const PATCHES: &[&str] = &[MERGE, JSON_PATCH, STRATEGIC, APPLY];

/// Sends a body in every way that a body can be sent; every answer must be a refusal.
async fn refused_everywhere(sim: &KubeSim, body: &str) {
    for (path, ..) in TARGETS {
        for (method, media) in BODIES
            .iter()
            .map(|m| ("PUT", m))
            .chain(PATCHES.iter().map(|m| ("PATCH", m)))
        {
            let status = answered(sim, method, &format!("{path}?fieldManager=m"), media, body.to_owned()).await;
            assert!(status.unwrap() >= 400, "{method} {media} {path}");
        }
    }
}

#[test]
fn deeply_nested_bodies_are_refused() {
    on_paused_clock(async |sim| {
        for depth in [200, 100_000] {
            refused_everywhere(&sim, &"[".repeat(depth)).await;
            refused_everywhere(&sim, &format!("{}1{}", "{\"spec\":".repeat(depth), "}".repeat(depth))).await;
            let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            refused_everywhere(
                &sim,
                &format!("[{{\"op\":\"add\",\"path\":\"/spec/x\",\"value\":{value}}}]"),
            )
            .await;
        }
    });
}

#[test]
fn a_json_patch_can_grow_an_object_neither_wide_nor_deep() {
    on_paused_clock(async |sim| {
        let path = TARGETS[2].0;
        let start = json!({"op": "add", "path": "/spec", "value": {"a": "0123456789"}});
        // Each copy doubles the object.
        let wide = (0..60).map(|n| json!({"op": "copy", "from": "/spec", "path": format!("/spec/{n}")}));
        let wide: Vec<Value> = std::iter::once(start.clone()).chain(wide).collect();
        // Each step goes a hundred levels deeper.
        let hundred = (0..100).fold(json!({}), |inner, _| json!({"a": inner}));
        let deep = (0..60)
            .map(|n| json!({"op": "add", "path": format!("/spec{}", "/a".repeat(100 * n + 1)), "value": hundred}));
        let deep: Vec<Value> = std::iter::once(start).chain(deep).collect();
        // So does moving an object into what it was.
        let moved = (0..300).flat_map(|_| {
            [
                json!({"op": "move", "from": "/spec", "path": "/x"}),
                json!({"op": "add", "path": "/spec", "value": {}}),
                json!({"op": "move", "from": "/x", "path": "/spec/x"}),
            ]
        });
        for operations in [wide, deep, moved.collect()] {
            let status = answered(&sim, "PATCH", path, JSON_PATCH, json!(operations).to_string()).await;
            assert_eq!(status, Some(422));
        }
    });
}

#[test]
fn oversized_bodies_are_refused() {
    on_paused_clock(async |sim| {
        let text = "x".repeat(3 * 1024 * 1024 + 1);
        refused_everywhere(&sim, &format!("{{\"spec\":{{\"x\":\"{text}\"}}}}")).await;
        for (path, ..) in TARGETS {
            assert_eq!(answered(&sim, "PUT", path, JSON, text.clone()).await, Some(413));
        }
    });
}

#[test]
fn large_bodies_are_answered_in_time() {
    on_paused_clock(async |sim| {
        // Members that no kind has, as many as fit.
        let members: serde_json::Map<String, Value> = (0..50_000).map(|n| (format!("member-{n}"), json!(1))).collect();
        for (path, version, kind) in TARGETS {
            let object = json!({"apiVersion": version, "kind": kind, "spec": &members});
            answered(&sim, "PATCH", path, MERGE, object.to_string()).await.unwrap();
        }
        // A list whose elements are told apart by a key.
        let ports: Vec<Value> = (0..500)
            .map(|n| json!({"name": format!("p{n}"), "port": n + 1, "protocol": "TCP"}))
            .collect();
        for media in [MERGE, STRATEGIC] {
            answered(
                &sim,
                "PATCH",
                TARGETS[1].0,
                media,
                json!({"spec": {"ports": ports}}).to_string(),
            )
            .await
            .unwrap();
        }
    });
}

#[test]
fn yaml_that_refers_to_itself_over_and_over_is_refused() {
    on_paused_clock(async |sim| {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let list = vec![format!("*a{}", n - 1); 8].join(", ");
            writeln!(text, "a{n}: &a{n} [{list}]").unwrap();
        }
        // Once: without optimization it takes a second each to come to the limit of the parser.
        for (path, version, kind) in &TARGETS[2..] {
            let config = format!(
                "apiVersion: {version}\nkind: {kind}\nspec:\n  {}",
                text.replace('\n', "\n  ")
            );
            let url = format!("{path}?fieldManager=m");
            assert_eq!(answered(&sim, "PATCH", &url, APPLY, config.clone()).await, Some(400));
            assert_eq!(answered(&sim, "PUT", &url, "application/yaml", config).await, Some(400));
        }
    });
}
