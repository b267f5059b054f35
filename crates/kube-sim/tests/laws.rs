//! Laws that hold for every sequence of writes, asked over HTTP, in-process, on a paused clock.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use kit::Clock;
use kube_sim::{Controllers, KubeSim};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

const BASE: &str = "/api/v1/namespaces/default/configmaps";

/// One write to one of a few ConfigMaps.
#[derive(Debug, Clone)]
enum Op {
    Create { name: String, label: String },
    Relabel { name: String, label: String },
    Data { name: String, value: String },
    Hold { name: String },
    Release { name: String },
    Delete { name: String },
}

fn op() -> impl Strategy<Value = Op> {
    let (name, label) = ("[a-c]", "[xy]");
    prop_oneof![
        3 => (name, label).prop_map(|(name, label)| Op::Create { name, label }),
        2 => (name, label).prop_map(|(name, label)| Op::Relabel { name, label }),
        2 => (name, "[0-2]").prop_map(|(name, value)| Op::Data { name, value }),
        1 => name.prop_map(|name| Op::Hold { name }),
        1 => name.prop_map(|name| Op::Release { name }),
        2 => name.prop_map(|name| Op::Delete { name }),
    ]
}

async fn send(sim: &KubeSim, method: Method, path: &str, media: &str, body: &Value) -> (u16, Vec<u8>) {
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Authorization", format!("Bearer {}", sim.admin_token()))
        .header("Content-Type", media)
        .body(body)
        .unwrap();
    let response = sim.router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    (
        status,
        response.into_body().collect().await.unwrap().to_bytes().to_vec(),
    )
}

async fn get(sim: &KubeSim, path: &str) -> Value {
    serde_json::from_slice(&send(sim, Method::GET, path, "", &Value::Null).await.1).unwrap()
}

async fn perform(sim: &KubeSim, op: &Op) {
    let merge = "application/merge-patch+json";
    let (method, name, media, body) = match op {
        Op::Create { name, label } => {
            let object = json!({"metadata": {"name": name, "labels": {"l": label}}});
            send(sim, Method::POST, BASE, "application/json", &object).await;
            return;
        }
        Op::Relabel { name, label } => (
            Method::PATCH,
            name,
            merge,
            json!({"metadata": {"labels": {"l": label}}}),
        ),
        Op::Data { name, value } => (Method::PATCH, name, merge, json!({"data": {"k": value}})),
        Op::Hold { name } => (
            Method::PATCH,
            name,
            merge,
            json!({"metadata": {"finalizers": ["example.com/f"]}}),
        ),
        Op::Release { name } => (Method::PATCH, name, merge, json!({"metadata": {"finalizers": null}})),
        Op::Delete { name } => (Method::DELETE, name, "application/json", Value::Null),
    };
    send(sim, method, &format!("{BASE}/{name}"), media, &body).await;
}

type State = BTreeMap<String, Value>;

async fn listed(sim: &KubeSim, selector: &str) -> (State, String) {
    let list = get(sim, &format!("{BASE}?labelSelector={selector}")).await;
    let items = list["items"].as_array().unwrap().iter();
    let state = items
        .map(|i| {
            (
                i["metadata"]["name"].as_str().unwrap().to_owned(),
                i["metadata"].clone(),
            )
        })
        .collect();
    (state, list["metadata"]["resourceVersion"].as_str().unwrap().to_owned())
}

/// Everything a watch from `version` says until it has nothing more to say.
async fn replayed(sim: &KubeSim, selector: &str, version: &str, mut state: State) -> State {
    let path = format!("{BASE}?watch=1&timeoutSeconds=1&resourceVersion={version}&labelSelector={selector}");
    let (_, bytes) = send(sim, Method::GET, &path, "", &Value::Null).await;
    let mut last = version.parse::<u64>().unwrap();
    for line in String::from_utf8(bytes).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let metadata = &event["object"]["metadata"];
        let revision: u64 = metadata["resourceVersion"].as_str().unwrap().parse().unwrap();
        assert!(revision > last, "revisions go up: {line}");
        last = revision;
        let name = metadata["name"].as_str().unwrap().to_owned();
        match event["type"].as_str().unwrap() {
            "ADDED" => assert!(state.insert(name, metadata.clone()).is_none(), "added twice: {line}"),
            "MODIFIED" => assert!(
                state.insert(name, metadata.clone()).is_some(),
                "modified before it was added: {line}"
            ),
            "DELETED" => assert!(state.remove(&name).is_some(), "deleted before it was added: {line}"),
            other => panic!("unexpected {other}"),
        }
    }
    state
}

fn on_paused_clock<T>(test: impl AsyncFnOnce(KubeSim) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::simulated(start, 1.0);
        test(KubeSim::builder().clock(clock).controllers(Controllers::none()).build()).await
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_watch_from_any_list_leads_to_the_next_one(ops in prop::collection::vec(op(), 1..24), cut in 0usize..24) {
        on_paused_clock(async |sim| {
            let cut = cut.min(ops.len());
            for op in &ops[..cut] {
                perform(&sim, op).await;
            }
            let mut before = Vec::new();
            for selector in ["", "l%3Dx", "l!%3Dx"] {
                before.push((selector, listed(&sim, selector).await));
            }
            for op in &ops[cut..] {
                perform(&sim, op).await;
            }
            for (selector, (state, version)) in before {
                let (after, _) = listed(&sim, selector).await;
                assert_eq!(replayed(&sim, selector, &version, state).await, after, "selector {selector}");
            }
        });
    }

    #[test]
    fn the_past_reads_as_it_was(ops in prop::collection::vec(op(), 1..16)) {
        on_paused_clock(async |sim| {
            let mut states = Vec::new();
            for op in &ops {
                perform(&sim, op).await;
                states.push(listed(&sim, "").await);
            }
            for (state, version) in states {
                let path = format!("{BASE}?resourceVersion={version}&resourceVersionMatch=Exact");
                let list = get(&sim, &path).await;
                let items = list["items"].as_array().unwrap().iter();
                let past: State = items.map(|i| (i["metadata"]["name"].as_str().unwrap().to_owned(), i["metadata"].clone())).collect();
                assert_eq!(past, state);
            }
        });
    }

    #[test]
    fn pages_put_together_are_the_whole_list(names in prop::collection::btree_set("[a-z]{1,3}", 0..12), limit in 1usize..5) {
        on_paused_clock(async |sim| {
            for name in &names {
                perform(&sim, &Op::Create { name: name.clone(), label: "x".to_owned() }).await;
            }
            let (mut all, mut token) = (Vec::new(), String::new());
            loop {
                let page = get(&sim, &format!("{BASE}?limit={limit}&continue={token}")).await;
                let items = page["items"].as_array().unwrap();
                assert!(items.len() <= limit);
                all.extend(items.iter().map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()));
                // What is created between two pages does not show.
                perform(&sim, &Op::Create { name: format!("zz{}", all.len()), label: "x".to_owned() }).await;
                token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(all, names.into_iter().collect::<Vec<_>>());
        });
    }

    #[test]
    fn applying_twice_is_the_same_as_once(data in prop::collection::btree_map("[a-c]", "[0-2]", 0..3), labels in prop::collection::btree_map("[a-c]", "[0-2]", 0..3)) {
        on_paused_clock(async |sim| {
            let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": labels}, "data": data});
            let path = format!("{BASE}/a?fieldManager=m");
            let apply = "application/apply-patch+yaml";
            assert_eq!(send(&sim, Method::PATCH, &path, apply, &config).await.0, 201);
            let once = get(&sim, &format!("{BASE}/a")).await;
            assert_eq!(send(&sim, Method::PATCH, &path, apply, &config).await.0, 200);
            assert_eq!(get(&sim, &format!("{BASE}/a")).await, once);
            // Applying nothing takes back all of it.
            let nothing = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
            send(&sim, Method::PATCH, &path, apply, &nothing).await;
            let empty = get(&sim, &format!("{BASE}/a")).await;
            assert!(empty.get("data").is_none() && empty["metadata"].get("labels").is_none(), "{empty}");
        });
    }

    #[test]
    fn a_write_that_changes_nothing_takes_no_revision(ops in prop::collection::vec(op(), 1..16)) {
        on_paused_clock(async |sim| {
            for op in &ops {
                perform(&sim, op).await;
            }
            let revision = sim.revision();
            for (name, _) in listed(&sim, "").await.0 {
                let object = get(&sim, &format!("{BASE}/{name}")).await;
                assert_eq!(send(&sim, Method::PUT, &format!("{BASE}/{name}"), "application/json", &object).await.0, 200);
                send(&sim, Method::PATCH, &format!("{BASE}/{name}"), "application/merge-patch+json", &json!({})).await;
            }
            assert_eq!(sim.revision(), revision);
        });
    }
}
