//! The service as its clients see it.

mod blocks;
mod login;
mod networks;
mod oddities;
mod servers;

use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use kit::Clock;
use serde_json::{Value, json};

use crate::{CLIENT_ID, CLIENT_SECRET, PhoenixNapSim, Settings, TOKEN_PATH};

/// A client on the simulation's own internet.
struct Client {
    sim: PhoenixNapSim,
    token: String,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    json: Value,
}

async fn answer(response: Response<Body>) -> Answer {
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer {
        status,
        json: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

fn start(settings: Settings) -> PhoenixNapSim {
    let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
    PhoenixNapSim::new(clock, settings)
}

async fn log_in(sim: &PhoenixNapSim, form: &str) -> Answer {
    let request = Request::post(format!("https://phoenixnap.sim{TOKEN_PATH}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()));
    answer(sim.network().send(request.unwrap()).await.unwrap()).await
}

async fn token(sim: &PhoenixNapSim, id: &str, secret: &str) -> String {
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let answer = log_in(sim, &form).await;
    answer.json["access_token"].as_str().unwrap().to_owned()
}

impl Client {
    async fn new(settings: Settings) -> Self {
        let sim = start(settings);
        let token = token(&sim, CLIENT_ID, CLIENT_SECRET).await;
        Self { sim, token }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://phoenixnap.sim{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = request.body(Body::from(body)).unwrap();
        answer(self.sim.network().send(request).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null).await
    }

    /// Makes tags of these names.
    async fn tags(&self, names: &[&str]) {
        for name in names {
            let made = self
                .call(
                    "POST",
                    "/tag-manager/v1/tags",
                    json!({"name": name, "isBillingTag": false}),
                )
                .await;
            assert_eq!(made.status, 201, "{made:?}");
        }
    }

    /// Buys a /29 in ASH and gives its id.
    async fn block(&self) -> String {
        let body = json!({"location": "ASH", "cidrBlockSize": "/29"});
        let made = self.call("POST", "/ips/v1/ip-blocks", body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json["id"].as_str().unwrap().to_owned()
    }

    /// Makes a public network in ASH and gives its id.
    async fn network(&self) -> String {
        let body = json!({"location": "ASH", "name": "services"});
        let made = self.call("POST", "/networks/v1/public-networks", body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json["id"].as_str().unwrap().to_owned()
    }

    async fn assign(&self, network: &str, block: &str) -> Answer {
        let path = format!("/networks/v1/public-networks/{network}/ip-blocks");
        self.call("POST", &path, json!({"id": block})).await
    }

    async fn unassign(&self, network: &str, block: &str) -> Answer {
        let path = format!("/networks/v1/public-networks/{network}/ip-blocks/{block}");
        self.call("DELETE", &path, Value::Null).await
    }

    async fn block_status(&self, block: &str) -> String {
        let read = self.get(&format!("/ips/v1/ip-blocks/{block}")).await;
        read.json["status"].as_str().unwrap_or_default().to_owned()
    }
}

async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}
