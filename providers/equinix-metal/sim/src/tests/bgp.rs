use serde_json::{Value, json};

use super::Client;
use crate::Settings;

#[tokio::test(start_paused = true)]
async fn a_project_has_no_bgp_then_local_at_once_or_global_once_approved() {
    let client = Client::new(Settings::default());
    assert_eq!(client.get_own("bgp-config").await.json, json!({}));
    for (body, status) in [
        (json!({}), 422),
        (json!({"deployment_type": "tea"}), 422),
        (json!({"deployment_type": "local", "asn": -1}), 422),
        (json!({"deployment_type": "local", "asn": 4_294_967_296_i64}), 422),
        (json!({"deployment_type": "local", "md5": "short"}), 422),
        (
            json!({"deployment_type": "local", "md5": "", "use_case": "kubernetes-load-balancer"}),
            204,
        ),
        (json!({"deployment_type": "local"}), 422),
    ] {
        let answer = client.post_own("bgp-configs", body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    let config = client.get_own("bgp-config").await.json;
    assert_eq!(
        (&config["status"], &config["asn"], &config["md5"]),
        (&json!("enabled"), &json!(65000), &Value::Null)
    );
    assert_eq!(config["max_prefix"], 10);

    let project = crate::PROJECT_ID;
    assert_eq!(
        client
            .control("POST", &format!("bgp/{project}/disable"), Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(client.get_own("bgp-config").await.text_at("/status"), "disabled");
    let global = json!({"deployment_type": "global", "asn": 64512, "md5": "Abcdefghi1"});
    assert_eq!(client.post_own("bgp-configs", global).await.status, 204);
    assert_eq!(client.get_own("bgp-config").await.text_at("/status"), "requested");
    assert_eq!(
        client
            .control("POST", &format!("bgp/{project}/approve"), Value::Null)
            .await
            .status,
        204
    );
    let config = client.get_own("bgp-config").await.json;
    assert_eq!(
        (&config["status"], &config["asn"], &config["md5"]),
        (&json!("enabled"), &json!(64512), &json!("Abcdefghi1"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_password_is_refused_where_the_service_is_strict() {
    let client = Client::new(Settings {
        strict_md5: true,
        ..Settings::default()
    });
    let body = |md5: Value| json!({"deployment_type": "local", "md5": md5});
    assert_eq!(client.post_own("bgp-configs", body(json!(""))).await.status, 422);
    assert_eq!(client.post_own("bgp-configs", body(Value::Null)).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn a_session_needs_the_projects_bgp_comes_up_and_is_there_once() {
    let client = Client::new(Settings::default());
    let id = client.sim.add_device("n1");
    let path = format!("devices/{id}/bgp/sessions");
    let ipv4 = || json!({"address_family": "ipv4"});
    let refused = client.post(&path, ipv4()).await;
    assert_eq!((refused.status, refused.text.contains("not enabled")), (422, true));
    client
        .post_own("bgp-configs", json!({"deployment_type": "local", "md5": "Abcdefghi1"}))
        .await;
    let made = client.post(&path, ipv4()).await;
    assert_eq!(
        (made.status, made.text_at("/status").as_str()),
        (201, "unknown,unknown")
    );
    let again = client.post(&path, ipv4()).await;
    assert_eq!(again.status, 422);
    assert!(again.text.contains("already has session"), "{}", again.text);
    assert_eq!(client.post(&path, json!({"address_family": "ipx"})).await.status, 422);
    client.wait(3.1).await;
    assert_eq!(client.get(&path).await.text_at("/bgp_sessions/0/status"), "up,up");

    let session = format!("bgp/sessions/{}", made.text_at("/id"));
    let changed = client.call("PUT", &session, json!(true)).await;
    assert_eq!((changed.status, &changed.json["default_route"]), (200, &json!(true)));
    assert_eq!(client.get_own("bgp/sessions").await.len_at("/bgp_sessions"), 1);
    assert_eq!(client.get_own("bgp-config").await.len_at("/sessions"), 1);
    assert_eq!(client.call("DELETE", &session, Value::Null).await.status, 204);
    assert_eq!(client.call("DELETE", &session, Value::Null).await.status, 404);
    assert_eq!(client.get(&path).await.len_at("/bgp_sessions"), 0);
}

#[tokio::test(start_paused = true)]
async fn neighbours_are_two_routers_or_the_gateway_and_know_the_projects_secret() {
    let client = Client::new(Settings::default());
    client
        .sim
        .replace(json!({"devices": [{"hostname": "new"}, {"hostname": "old", "plan": "baremetal_0"}]}))
        .unwrap();
    client
        .post_own(
            "bgp-configs",
            json!({"deployment_type": "local", "asn": 65001, "md5": "Abcdefghi1"}),
        )
        .await;
    let neighbor = async |name: &str| {
        let device = client.sim.device(name).unwrap();
        let path = format!("devices/{}/bgp", device["id"].as_str().unwrap());
        assert_eq!(
            client.get(&format!("{path}/neighbors")).await.json,
            json!({"bgp_neighbors": []})
        );
        client
            .post(&format!("{path}/sessions"), json!({"address_family": "ipv4"}))
            .await;
        (
            client.get(&format!("{path}/neighbors")).await.json["bgp_neighbors"][0].clone(),
            device,
        )
    };
    let (new, device) = neighbor("new").await;
    assert_eq!(new["peer_ips"], json!(["169.254.255.1", "169.254.255.2"]));
    for (key, expected) in [
        ("address_family", json!(4)),
        ("customer_as", json!(65001)),
        ("customer_ip", device["ip_addresses"][2]["address"].clone()),
        ("md5_password", json!("Abcdefghi1")),
        ("md5_enabled", json!(true)),
        ("multihop", json!(true)),
        ("peer_as", json!(65530)),
    ] {
        assert_eq!(new[key], expected, "{key}");
    }
    client.sim.set(|settings| settings.shuffled_peers = true);
    let path = format!("devices/{}/bgp/neighbors", device["id"].as_str().unwrap());
    let shuffled = client.get(&path).await.json["bgp_neighbors"][0]["peer_ips"].clone();
    assert_eq!(shuffled, json!(["169.254.255.2", "169.254.255.1"]));
    let (old, device) = neighbor("old").await;
    assert_eq!(
        (&old["multihop"], &old["peer_ips"]),
        (&json!(false), &json!([device["ip_addresses"][2]["gateway"]]))
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_hears_more_than_ten_prefixes_goes_down() {
    let client = Client::new(Settings::default());
    let id = client.sim.add_device("n1");
    client
        .post_own("bgp-configs", json!({"deployment_type": "local"}))
        .await;
    client
        .post(&format!("devices/{id}/bgp/sessions"), json!({"address_family": "ipv4"}))
        .await;
    client.wait(5.0).await;
    let prefixes: Vec<String> = (0..11).map(|n| format!("147.75.0.{n}/32")).collect();
    for (count, status, learned) in [(10, "up,up", 10), (11, "down,down", 0), (1, "up,up", 1)] {
        let body = json!({"prefixes": prefixes[..count]});
        assert_eq!(client.control("POST", "devices/n1/announce", body).await.status, 204);
        let session = client.sim.bgp_sessions()[0].clone();
        assert_eq!(session["status"], status);
        assert_eq!(session["learned_routes"].as_array().unwrap().len(), learned);
    }
    client.sim.set_device_state(&id, "inactive").unwrap();
    assert_eq!(client.sim.bgp_sessions()[0]["status"], "down,down");
}
