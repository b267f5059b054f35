//! The service as its clients see it.

mod api;
mod clusters;
mod crash;
mod hosted;

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use kit::Clock;
use serde_json::{Value, json};

use crate::token::CLIENT_ID;
use crate::{ACME_NAMESPACE, ACME_TOKEN, Settings, SpotSim};

const POOL: &str = "5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11";

/// A client on the simulation's own internet.
struct Client {
    sim: SpotSim,
    token: String,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    json: Value,
    text: String,
}

async fn answer(response: Response<Body>) -> Answer {
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer {
        status,
        json: serde_json::from_slice(&bytes).unwrap_or_default(),
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

fn start(settings: Settings) -> SpotSim {
    SpotSim::new(Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0), settings)
}

/// Logs in with a refresh token.
async fn login(sim: &SpotSim, refresh_token: &str) -> Answer {
    let form = format!("grant_type=refresh_token&client_id={CLIENT_ID}&refresh_token={refresh_token}");
    let request = Request::post("https://login.spot.sim/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form));
    answer(sim.network().send(request.unwrap()).await.unwrap()).await
}

impl Client {
    async fn new(settings: Settings) -> Self {
        let sim = start(settings);
        let token = login(&sim, ACME_TOKEN).await.json["id_token"]
            .as_str()
            .unwrap()
            .to_owned();
        Self { sim, token }
    }

    async fn send(&self, method: &str, url: &str, kind: &str, body: String) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind)
            .body(Body::from(body));
        answer(self.sim.network().send(request.unwrap()).await.unwrap()).await
    }

    /// A call of the API for objects of acme.
    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let kind = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(method, &format!("{}/{path}", objects()), kind, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null).await
    }

    async fn create_cloudspace(&self, name: &str) -> Answer {
        let body = json!({
            "apiVersion": "ngpc.rxt.io/v1", "kind": "CloudSpace", "metadata": {"name": name},
            "spec": {"region": "us-east-iad-1", "kubernetesVersion": "1.32.9", "cni": "calico"},
        });
        self.call("POST", "cloudspaces", body).await
    }

    async fn create_pool(&self, name: &str, cloudspace: &str, desired: u64) -> Answer {
        let body = json!({
            "apiVersion": "ngpc.rxt.io/v1", "kind": "SpotNodePool", "metadata": {"name": name},
            "spec": {
                "serverClass": "gp.vs1.medium-iad", "desired": desired, "bidPrice": "0.01", "cloudSpace": cloudspace,
                "customLabels": {"team": "a"},
            },
        });
        self.call("POST", "spotnodepools", body).await
    }

    async fn wait(&self, seconds: u64) {
        self.sim.clock().sleep(std::time::Duration::from_secs(seconds)).await;
    }
}

/// Where acme's objects are.
fn objects() -> String {
    format!("https://spot.sim/apis/ngpc.rxt.io/v1/namespaces/{ACME_NAMESPACE}")
}
