use serde_json::{Value, json};

use super::{Answer, send, start};
use crate::{API_KEY, MetalSim, OTHER_API_KEY, PROJECT_ID, Settings};

const PROVIDER: &str = "loadpvd-gOB_-byp5ebFo7A3LHv2B";
const DALLAS: &str = "lctnloc--uxs0GLeAELHKV8GxO_AI";

struct Lb {
    sim: MetalSim,
    token: String,
}

async fn exchange(sim: &MetalSim, key: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    send(
        sim,
        "POST",
        "https://iam.metal.sim/api-keys/exchange",
        ("authorization", &bearer),
        Value::Null,
    )
    .await
}

impl Lb {
    async fn new(settings: Settings) -> Self {
        let sim = start(settings);
        let token = exchange(&sim, API_KEY).await.text_at("/access_token");
        Self { sim, token }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let url = format!("https://lb.metal.sim/v1/{path}");
        send(&self.sim, method, &url, ("authorization", &bearer), body).await
    }

    async fn make(&self, path: &str, body: Value) -> String {
        let made = self.call("POST", path, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.text_at("/id")
    }

    async fn balancer(&self) -> String {
        let path = format!("projects/{PROJECT_ID}/loadbalancers");
        self.make(
            &path,
            json!({"name": "a", "location_id": DALLAS, "provider_id": PROVIDER, "port_ids": null}),
        )
        .await
    }

    async fn pool(&self, name: &str) -> String {
        let path = format!("projects/{PROJECT_ID}/loadbalancers/pools");
        self.make(&path, json!({"name": name, "protocol": "tcp"})).await
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_given_for_known_keys_and_end() {
    let lb = Lb::new(Settings::default()).await;
    assert_eq!(exchange(&lb.sim, "nonsense").await.status, 401);
    let answer = exchange(&lb.sim, API_KEY).await;
    assert_eq!(
        (&answer.json["token_type"], &answer.json["expires_in"]),
        (&json!("bearer"), &json!(3600))
    );
    let path = format!("projects/{PROJECT_ID}/loadbalancers");
    assert_eq!(
        lb.call("GET", &path, Value::Null).await.json,
        json!({"loadbalancers": []})
    );
    lb.sim.clock().advance(std::time::Duration::from_secs(3601));
    assert_eq!(lb.call("GET", &path, Value::Null).await.status, 401);
    assert_eq!(lb.sim.state()["exchanges"], 2);
    // The key itself is no token.
    let bare = Lb {
        sim: lb.sim.clone(),
        token: API_KEY.to_owned(),
    };
    assert_eq!(bare.call("GET", &path, Value::Null).await.status, 401);
    let token = exchange(&lb.sim, OTHER_API_KEY).await.text_at("/access_token");
    let foreign = Lb {
        sim: lb.sim.clone(),
        token,
    };
    assert_eq!(foreign.call("GET", &path, Value::Null).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_gets_its_address_after_a_while_and_shows_pools_beside_their_ports() {
    let lb = Lb::new(Settings::default()).await;
    let id = lb.balancer().await;
    let path = format!("loadbalancers/{id}");
    assert_eq!(lb.call("GET", &path, Value::Null).await.json["ips"], json!([]));
    let (http, https) = (lb.pool("http").await, lb.pool("https").await);
    let origin = json!({"name": "o", "target": "1.2.3.4", "port_number": 30080, "active": true, "pool_id": http});
    let origin = lb.make(&format!("loadbalancers/pools/{http}/origins"), origin).await;
    lb.make(
        &format!("{path}/ports"),
        json!({"name": "p80", "number": 80, "pool_ids": [http]}),
    )
    .await;
    let port = lb
        .make(
            &format!("{path}/ports"),
            json!({"name": "p443", "number": 443, "pool_ids": [https]}),
        )
        .await;
    lb.sim.clock().advance(std::time::Duration::from_secs(6));
    let seen = lb.call("GET", &path, Value::Null).await.json;
    assert_eq!(seen["ips"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&seen["ports"][1]["id"], &seen["pools"][1][0]["id"]),
        (&json!(port), &json!(https))
    );
    assert_eq!(seen["pools"][0][0]["origins"][0]["id"], json!(origin));
    assert_eq!(seen["location"]["id"], DALLAS);

    // A pool that goes leaves an empty slot.
    assert_eq!(
        lb.call("DELETE", &format!("loadbalancers/pools/{http}"), Value::Null)
            .await
            .status,
        204
    );
    let seen = lb.call("GET", &path, Value::Null).await.json;
    assert_eq!(seen["pools"][0], json!([]));
    assert_eq!(seen["pools"][1].as_array().unwrap().len(), 1);
    assert_eq!(
        lb.call("GET", &format!("loadbalancers/pools/origins/{origin}"), Value::Null)
            .await
            .status,
        404
    );

    // The load balancer takes its ports with it, and no pool.
    assert_eq!(lb.sim.leaks()["pools"], json!([]));
    assert_eq!(lb.call("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(lb.sim.leaks()["pools"][0]["id"], json!(https));
    assert_eq!(lb.call("DELETE", &path, Value::Null).await.status, 404);
    assert_eq!(
        lb.call("DELETE", &format!("loadbalancers/ports/{port}"), Value::Null)
            .await
            .status,
        404
    );
    assert_eq!(
        lb.call("GET", &format!("loadbalancers/pools/{https}"), Value::Null)
            .await
            .status,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let lb = Lb::new(Settings::default()).await;
    let id = lb.balancer().await;
    let pool = lb.pool("p").await;
    let (all, pools) = (
        format!("projects/{PROJECT_ID}/loadbalancers"),
        format!("projects/{PROJECT_ID}/loadbalancers/pools"),
    );
    let (ports, origins) = (
        format!("loadbalancers/{id}/ports"),
        format!("loadbalancers/pools/{pool}/origins"),
    );
    lb.make(&ports, json!({"name": "x", "number": 80, "pool_ids": [pool]}))
        .await;
    for (method, path, body, status) in [
        (
            "POST",
            &all,
            json!({"name": "", "location_id": DALLAS, "provider_id": PROVIDER}),
            422,
        ),
        (
            "POST",
            &all,
            json!({"name": "a", "location_id": "lctnloc-xx", "provider_id": PROVIDER}),
            422,
        ),
        (
            "POST",
            &all,
            json!({"name": "a", "location_id": DALLAS, "provider_id": "x"}),
            422,
        ),
        ("POST", &pools, json!({"name": "a"}), 422),
        ("POST", &pools, json!({"name": "a", "protocol": "sctp"}), 422),
        (
            "POST",
            &origins,
            json!({"name": "a", "target": "host", "port_number": 1}),
            422,
        ),
        (
            "POST",
            &origins,
            json!({"name": "a", "target": "1.1.1.1", "port_number": 0}),
            422,
        ),
        ("POST", &ports, json!({"name": "a", "number": 80, "pool_ids": []}), 409),
        (
            "POST",
            &ports,
            json!({"name": "a", "number": 81, "pool_ids": ["loadpol-x"]}),
            422,
        ),
        ("POST", &ports, json!({"name": "a", "number": 70000}), 422),
        ("GET", &"loadbalancers/loadbal-x".to_owned(), Value::Null, 404),
        ("GET", &"loadbalancers/pools/loadpol-x".to_owned(), Value::Null, 404),
    ] {
        let answer = lb.call(method, path, body.clone()).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.text);
    }
    lb.sim.set(|settings| settings.duplicate_port = 422);
    assert_eq!(
        lb.call("POST", &ports, json!({"name": "a", "number": 80})).await.status,
        422
    );
}

#[tokio::test(start_paused = true)]
async fn changes_are_made_by_patch() {
    let lb = Lb::new(Settings::default()).await;
    let id = lb.balancer().await;
    let (a, b) = (lb.pool("a").await, lb.pool("b").await);
    let port = lb
        .make(
            &format!("loadbalancers/{id}/ports"),
            json!({"name": "x", "number": 80, "pool_ids": [a]}),
        )
        .await;
    let patched = lb
        .call(
            "PATCH",
            &format!("loadbalancers/ports/{port}"),
            json!({"add_pool_ids": [b], "remove_pool_ids": [a]}),
        )
        .await;
    assert_eq!((patched.status, &patched.json["pool_ids"]), (200, &json!([b])));
    let pools = format!("loadbalancers/pools/{a}");
    assert_eq!(
        lb.call("PATCH", &pools, json!({"add_port_ids": [port], "protocol": "udp"}))
            .await
            .json["protocol"],
        "udp"
    );
    assert_eq!(
        lb.call("GET", &format!("loadbalancers/{id}/ports/80"), Value::Null)
            .await
            .json["pool_ids"],
        json!([b, a])
    );
    let origin = lb
        .make(
            &format!("{pools}/origins"),
            json!({"name": "o", "target": "1.2.3.4", "port_number": 1}),
        )
        .await;
    let path = format!("loadbalancers/pools/origins/{origin}");
    assert_eq!(
        lb.call("PATCH", &path, json!({"port_number": 9, "active": false}))
            .await
            .json["port_number"],
        9
    );
    assert_eq!(
        lb.call("GET", &format!("{pools}/origins"), Value::Null)
            .await
            .len_at("/origins"),
        1
    );
    assert_eq!(lb.call("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(
        lb.call(
            "PATCH",
            &format!("loadbalancers/{id}"),
            json!({"name": "b", "clear_ports": true})
        )
        .await
        .status,
        200
    );
    let seen = lb.call("GET", &format!("loadbalancers/{id}"), Value::Null).await.json;
    assert_eq!((&seen["name"], &seen["ports"]), (&json!("b"), &json!([])));
}
