//! The service as its clients see it.

mod addresses;
mod balancers;
mod bgp;
mod control;
mod devices;
mod odd;
mod pages;

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use kit::Clock;
use serde_json::{Value, json};

use crate::{API_KEY, MetalSim, PROJECT_ID, Settings};

/// A client on the simulation's own internet.
struct Client {
    sim: MetalSim,
    key: String,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    json: Value,
    text: String,
}

fn start(settings: Settings) -> MetalSim {
    MetalSim::new(Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0), settings)
}

async fn send(sim: &MetalSim, method: &str, url: &str, header: (&str, &str), body: Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut request = Request::builder().method(method).uri(url);
    if !header.1.is_empty() {
        request = request.header(header.0, header.1);
    }
    let request = request
        .header("content-type", "application/json")
        .body(Body::from(body));
    let response = sim.network().send(request.unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        json: serde_json::from_slice(&bytes).unwrap_or_default(),
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

impl Client {
    fn new(settings: Settings) -> Self {
        Self::of(start(settings), API_KEY)
    }

    fn of(sim: MetalSim, key: &str) -> Self {
        Self {
            sim,
            key: key.to_owned(),
        }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let url = format!("https://metal.sim/metal/v1/{path}");
        send(&self.sim, method, &url, ("x-auth-token", &self.key), body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, body).await
    }

    /// A call below the project.
    async fn get_own(&self, path: &str) -> Answer {
        self.get(&format!("projects/{PROJECT_ID}/{path}")).await
    }

    async fn post_own(&self, path: &str, body: Value) -> Answer {
        self.post(&format!("projects/{PROJECT_ID}/{path}"), body).await
    }

    /// A control call.
    async fn control(&self, method: &str, path: &str, body: Value) -> Answer {
        let url = format!("https://metal.sim/_sim/{path}");
        send(&self.sim, method, &url, ("", ""), body).await
    }

    /// Orders a device: its id.
    async fn order(&self, more: Value) -> String {
        let mut wanted = json!({"metro": "da", "plan": "c3.small.x86", "operating_system": "ubuntu_24_04"});
        if let (Value::Object(wanted), Value::Object(more)) = (&mut wanted, more) {
            wanted.extend(more);
        }
        let made = self.post_own("devices", wanted).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.text_at("/id")
    }

    async fn wait(&self, seconds: f64) {
        self.sim.clock().sleep(Duration::from_secs_f64(seconds)).await;
    }
}

impl Answer {
    fn text_at(&self, pointer: &str) -> String {
        self.json
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    fn len_at(&self, pointer: &str) -> usize {
        self.json
            .pointer(pointer)
            .and_then(Value::as_array)
            .map_or(usize::MAX, Vec::len)
    }
}
