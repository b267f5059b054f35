//! `roadstead sim equinix-metal`, asked over a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod common;

use common::{Home, Sim};
use serde_json::{Value, json};

/// HTTP over a plain socket, so that the test needs no client: the status and the body.
fn ask(sim: &Sim, method: &str, path: &str, body: &Value) -> (u16, Value) {
    use std::io::{Read as _, Write as _};
    let url = format!("{}{path}", sim.text("url"));
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let key = sim.ready["config"]["apiKey"].as_str().unwrap();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut stream = std::net::TcpStream::connect(authority).unwrap();
    let head = format!("{method} /{path} HTTP/1.0\r\nHost: {authority}\r\nX-Auth-Token: {key}");
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn a_device_is_ordered_and_comes_up_as_fast_as_the_clock_runs() {
    let sim = Sim::start(&["equinix-metal", "--speed", "1000"]);
    let project = sim.ready["config"]["projectID"].as_str().unwrap().to_owned();
    assert_eq!(sim.ready["sim"], "equinix-metal");
    assert_eq!(sim.ready["config"]["base-url"], format!("{}/metal/v1", sim.text("url")));
    assert!(sim.ready.get("ca").is_none());

    let devices = format!("/metal/v1/projects/{project}/devices");
    let wanted = json!({"hostname": "n1", "metro": "da", "plan": "c3.small.x86", "operating_system": "ubuntu_24_04"});
    let (status, made) = ask(&sim, "POST", &devices, &wanted);
    assert_eq!((status, &made["state"]), (201, &json!("queued")));
    let (status, _) = ask(&sim, "POST", "/_sim/advance", &json!({"seconds": 11}));
    assert_eq!(status, 200);
    let (_, list) = ask(&sim, "GET", &devices, &Value::Null);
    assert_eq!(list["devices"][0]["state"], "active");
    let (_, log) = ask(&sim, "GET", "/_sim/requests", &Value::Null);
    assert_eq!(log[0]["method"], "POST");
    assert_eq!(
        ask(&sim, "GET", "/_sim/leaks", &Value::Null).1["reservations"],
        json!([])
    );
}

#[test]
fn it_starts_from_a_state_and_refuses_one_that_makes_no_sense() {
    let home = Home::new("http://127.0.0.1:9");
    let file = home.path().join("state.json");
    std::fs::write(&file, r#"{"devices": [{"hostname": "n1"}], "keys": {}}"#).unwrap();
    let state = format!("--state={}", file.display());
    let sim = Sim::start(&["equinix-metal", &state]);
    let project = sim.ready["config"]["projectID"].as_str().unwrap();
    let (_, list) = ask(&sim, "GET", &format!("/projects/{project}/devices"), &Value::Null);
    assert_eq!(list["devices"][0]["hostname"], "n1");

    std::fs::write(&file, r#"{"devices": [{"metro": "xx"}]}"#).unwrap();
    let done = home.run(&["sim", "equinix-metal", &state]);
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(done.err.contains("there is no metro xx"), "{}", done.err);
}

#[test]
fn over_tls_the_ready_line_has_what_to_trust() {
    let sim = Sim::start(&["equinix-metal", "--tls"]);
    assert!(sim.text("url").starts_with("https://127.0.0.1:"));
    assert!(sim.text("ca").starts_with("-----BEGIN CERTIFICATE-----"));
}

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let guide = include_str!("../../../docs/guides/equinix-metal/simulator.md");
    let (_, block) = guide.split_once("```sh\n").unwrap();
    let (script, _) = block.split_once("```").unwrap();
    let sim = Sim::start(&["equinix-metal"]);
    let config = |key: &str| sim.ready["config"][key].as_str().unwrap().to_owned();
    let done = std::process::Command::new("sh")
        .args(["-ec", script])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("SIM", sim.text("url"))
        .env("KEY", config("apiKey"))
        .env("PROJECT", config("projectID"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let state = ask(&sim, "GET", "/_sim/state", &Value::Null).1;
    assert_eq!(state["reservations"][0]["tags"], json!(["web"]));
}
