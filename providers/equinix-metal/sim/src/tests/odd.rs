use cloud_sim::{Action, Fault};
use serde_json::{Value, json};

use super::Client;
use crate::{Oddity, OddityKind, RateLimit, Settings};

#[tokio::test(start_paused = true)]
async fn every_answer_says_what_it_is_and_how_much_may_still_be_asked() {
    let client = Client::new(Settings::default());
    for path in ["user", "tea", "devices/none"] {
        let headers = client.get(path).await.headers;
        assert_eq!(headers["content-type"], "application/json; charset=utf-8", "{path}");
        for name in [
            "x-request-id",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ] {
            assert!(headers.contains_key(name), "{path}: no {name}");
        }
        assert!(!headers.contains_key("sunset"));
    }
    client.sim.set(|settings| settings.deprecated = true);
    let link = client.get("user").await.headers["link"].clone();
    assert!(link.to_str().unwrap().contains("rel=\"sunset\""), "{link:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_too_much_is_told_when_to_come_again() {
    let rate = RateLimit {
        limit: 3,
        window: std::time::Duration::from_mins(1),
    };
    let client = Client::new(Settings {
        rate_limit: Some(rate),
        ..Settings::default()
    });
    for left in ["2", "1", "0"] {
        let answer = client.get("user").await;
        assert_eq!(
            (answer.status, answer.headers["x-ratelimit-remaining"].to_str().unwrap()),
            (200, left)
        );
    }
    client.wait(20.0).await;
    let refused = client.get("user").await;
    assert_eq!(
        (refused.status, refused.headers["retry-after"].to_str().unwrap()),
        (429, "40")
    );
    let reset: i64 = refused.headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
    assert_eq!(
        reset,
        "2026-01-01T00:01:00Z".parse::<jiff::Timestamp>().unwrap().as_second()
    );
    client.wait(40.0).await;
    assert_eq!(client.get("user").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn lists_can_be_behind_what_was_written() {
    let client = Client::new(Settings {
        list_lag: std::time::Duration::from_secs(4),
        ..Settings::default()
    });
    let count = async || client.get_own("devices").await.len_at("/devices");
    let id = client.order(json!({})).await;
    assert_eq!(client.get(&format!("devices/{id}")).await.status, 200);
    assert_eq!(count().await, 0);
    client.wait(2.0).await;
    client.order(json!({})).await;
    client.wait(2.1).await;
    assert_eq!(count().await, 1);
    client.wait(2.0).await;
    assert_eq!(count().await, 2);
}

#[tokio::test(start_paused = true)]
async fn oddities_hold_for_the_paths_they_name() {
    let client = Client::new(Settings::default());
    let id = client.sim.add_device("n1");
    client.sim.set(|settings| {
        settings.oddities = vec![Oddity {
            kind: OddityKind::UnknownEnum,
            path: Some("^/metal/v1/devices/".to_owned()),
        }];
    });
    assert_eq!(
        client.get(&format!("devices/{id}")).await.json["state"],
        "brand_new_state"
    );
    assert_eq!(client.get_own("devices").await.json["devices"][0]["state"], "active");
}

#[tokio::test(start_paused = true)]
async fn a_write_may_be_done_although_the_answer_says_it_failed() {
    let client = Client::new(Settings::default());
    client
        .sim
        .front()
        .inject(Fault::status(500).after().on("POST", "/ips$"))
        .unwrap();
    client
        .sim
        .front()
        .inject(Fault::new(Action::Stale).on("GET", "/ips$"))
        .unwrap();
    let body = json!({"type": "public_ipv4", "quantity": 1, "metro": "da"});
    assert_eq!(client.post_own("ips", body).await.status, 500);
    assert_eq!(
        client.get_own("ips").await.len_at("/ip_addresses"),
        0,
        "this one is stale"
    );
    assert_eq!(client.get_own("ips").await.len_at("/ip_addresses"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_project_takes_everything_with_it() {
    let client = Client::new(Settings::default());
    let id = client.sim.add_device("n1");
    let delete = format!("projects/{}/delete", crate::PROJECT_ID);
    assert_eq!(client.control("POST", &delete, Value::Null).await.status, 204);
    assert_eq!(
        client.control("POST", "projects/x/delete", Value::Null).await.status,
        404
    );
    for path in [
        format!("projects/{}/devices", crate::PROJECT_ID),
        format!("devices/{id}"),
    ] {
        assert_eq!(client.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_json_is_a_bad_request() {
    let client = Client::new(Settings::default());
    let url = format!("https://metal.sim/metal/v1/projects/{}/ips", crate::PROJECT_ID);
    let request = http::Request::post(url)
        .header("x-auth-token", crate::API_KEY)
        .body(axum::body::Body::from("{half"))
        .unwrap();
    assert_eq!(client.sim.network().send(request).await.unwrap().status(), 400);
    let odd = client.post_own("ips", json!([1])).await;
    assert_eq!(odd.status, 422, "{}", odd.text);
    assert_eq!(client.call("POST", "devices/x/ips", Value::Null).await.status, 404);
}
