//! What the doctor finds, on a healthy machine and on sick ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::{Home, Sim};
use serde_json::Value;

#[test]
fn the_doctor_finds_an_empty_home_healthy() {
    let home = Home::new("http://127.0.0.1:9");
    let done = home.run(&["doctor", "--offline", "--output", "json"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let findings: Value = serde_json::from_str(&done.out).unwrap();
    let checks: Vec<&str> = findings
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| finding["check"].as_str())
        .collect();
    for check in [
        "home directory",
        "cluster store",
        "loopback",
        "drivers",
        "rackspace spot token",
    ] {
        assert!(checks.contains(&check), "{check} is not looked at: {checks:?}");
    }
}

#[test]
fn the_doctor_names_what_is_wrong_and_what_to_do() {
    let home = Home::new("http://127.0.0.1:9");
    let dir = home.path().join(".kontainer/clusters/broken");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.json"), "{half").unwrap();
    let done = home.run(&["doctor"]);
    assert_eq!(done.code, 1);
    assert!(done.out.contains("broken/config.json is damaged"), "{}", done.out);
    assert!(done.out.contains("→ repair or remove the file"), "{}", done.out);
}

const LOGIN: &str = "rackspace spot login";
const API: &str = "rackspace spot API";
const TOKEN: &str = "rackspace spot token";

/// What the doctor says of one thing: its verdict, and all that is told.
fn found(findings: &Value, check: &str) -> (String, String) {
    let finding = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["check"] == check)
        .unwrap_or_else(|| panic!("{check} is not looked at: {findings}"));
    let text = |member: &str| finding[member].as_str().unwrap_or_default().to_owned();
    (text("verdict"), format!("{} → {}", text("found"), text("advice")))
}

fn examine(home: &Home, code: i32) -> Value {
    let done = home.run(&["doctor", "--output=json"]);
    assert_eq!(done.code, code, "{}{}", done.out, done.err);
    serde_json::from_str(&done.out).unwrap()
}

fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Answers every connection with these bytes, or with silence.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if answer.is_empty() {
                kept.push(stream);
            } else {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
            }
        }
    });
    format!("http://{address}")
}

#[test]
fn a_provider_that_works_is_found_to_work_with_the_credential() {
    let sim = Sim::start(&["rackspace-spot"]);
    let findings = examine(&Home::new(sim.text("url")), 0);
    for check in [LOGIN, API] {
        let (verdict, text) = found(&findings, check);
        assert_eq!(verdict, "ok", "{text}");
        assert!(text.starts_with(&format!("answers at {}", sim.text("url"))), "{text}");
    }
    let (verdict, text) = found(&findings, TOKEN);
    assert_eq!(verdict, "ok", "{text}");
    assert!(
        text.contains("ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN is accepted"),
        "{text}"
    );
    assert!(text.contains("organization acme"), "{text}");
}

#[test]
fn a_credential_that_is_refused_is_a_problem_of_its_own() {
    const WRONG: &str = "a-token-that-nobody-gave";
    let sim = Sim::start(&["rackspace-spot"]);
    let home = Home::new(sim.text("url")).with("ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN", WRONG);
    let findings = examine(&home, 1);
    assert_eq!(found(&findings, LOGIN).0, "ok");
    let (verdict, text) = found(&findings, TOKEN);
    assert_eq!(verdict, "problem", "{text}");
    assert!(text.contains("is refused") && text.contains("Get New Token"), "{text}");
    assert!(!findings.to_string().contains(WRONG), "the token is printed");
}

#[test]
fn without_a_credential_a_provider_that_is_away_is_only_a_warning() {
    let home = Home::new(&format!("http://{}", closed_port())).with("ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN", "");
    let findings = examine(&home, 0);
    let (verdict, text) = found(&findings, API);
    assert_eq!(verdict, "warning", "{text}");
    assert!(text.contains("no connection") && text.contains("firewall"), "{text}");
    assert_eq!(found(&findings, TOKEN).0, "note");
}

#[test]
fn a_proxy_is_gone_through_and_named_when_it_fails() {
    // The simulator takes whole URLs, as a proxy does.
    let sim = Sim::start(&["rackspace-spot"]);
    let home = Home::new("http://spot.test").with("HTTP_PROXY", sim.text("url"));
    let findings = examine(&home, 0);
    let (_, text) = found(&findings, API);
    assert!(
        text.starts_with(&format!(
            "answers at http://spot.test through the proxy {}",
            sim.text("url")
        )),
        "{text}"
    );
    assert_eq!(found(&findings, TOKEN).0, "ok");

    let proxy = closed_port();
    let password = "pr0xy-passw0rd";
    cloud_sim::evidence::plant(password);
    let home = Home::new("https://spot.test").with("HTTPS_PROXY", &format!("http://me:{password}@{proxy}"));
    let findings = examine(&home, 1);
    for check in [LOGIN, API] {
        let (verdict, text) = found(&findings, check);
        assert_eq!(verdict, "problem", "{text}");
        assert!(text.contains(&format!("through the proxy http://{proxy}: ")), "{text}");
        assert!(
            text.contains("correct HTTPS_PROXY") && text.contains("spot.test in NO_PROXY"),
            "{text}"
        );
    }
    let (verdict, text) = found(&findings, TOKEN);
    assert!(verdict == "note" && text.contains("first mend the way"), "{text}");
    assert!(
        !findings.to_string().contains(password),
        "the proxy's password is printed"
    );

    for (value, says) in [
        ("http://", "not the address of a proxy"),
        ("socks5://h:1", "a kind that is not spoken"),
    ] {
        let home = Home::new("http://127.0.0.1:9").with("HTTPS_PROXY", value);
        let findings = examine(&home, 1);
        let (verdict, text) = found(&findings, "proxy");
        assert!(verdict == "problem" && text.contains(says), "{text}");
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_from_a_connection_that_fails() {
    let sim = Sim::start(&["rackspace-spot", "--tls"]);
    let findings = examine(&Home::new(sim.text("url")), 1);
    let (verdict, text) = found(&findings, API);
    assert_eq!(verdict, "problem", "{text}");
    assert!(
        text.contains("is reached, but not trusted") && text.contains("SSL_CERT_FILE"),
        "{text}"
    );

    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, sim.text("ca")).unwrap();
    let known = Home::new(sim.text("url")).with("SSL_CERT_FILE", ca.to_str().unwrap());
    assert_eq!(found(&examine(&known, 0), TOKEN).0, "ok");
}

#[test]
fn a_server_that_says_nothing_costs_a_few_seconds() {
    let begun = Instant::now();
    let findings = examine(&Home::new(&server(b"")), 1);
    let (_, text) = found(&findings, LOGIN);
    assert!(
        text.contains("no answer within 4s") && text.contains("firewall"),
        "{text}"
    );
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_login_page_of_the_network_is_not_taken_for_the_provider() {
    let page = server(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 15\r\n\r\n<html>hi</html>");
    let (verdict, text) = found(&examine(&Home::new(&page), 1), LOGIN);
    assert_eq!(verdict, "problem");
    assert!(
        text.contains("not this service") && text.contains("RXTSPOT_OAUTH_URL"),
        "{text}"
    );
}

#[test]
fn an_address_that_is_none_is_told_with_its_variable() {
    let (verdict, text) = found(&examine(&Home::new("spot.rackspace.com"), 1), API);
    assert_eq!(verdict, "problem");
    assert!(
        text.contains("is not a URL") && text.contains("correct RXTSPOT_BASE_URL"),
        "{text}"
    );
}
