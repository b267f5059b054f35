use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;

use super::*;

fn read(file: Option<&str>, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    Config::read(file.map(str::as_bytes), |name| {
        env.get(name).map(|text| (*text).to_owned())
    })
}

const CREDENTIALS: [(&str, &str); 2] = [("PNAP_CLIENT_ID", "id"), ("PNAP_CLIENT_SECRET", "s3cret")];

fn with(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    read(None, &[&CREDENTIALS[..], more].concat())
}

#[test]
fn the_environment_alone_is_enough() {
    let config = with(&[]).unwrap();
    assert_eq!(
        (config.client_id.as_str(), config.client_secret.expose_secret()),
        ("id", "s3cret")
    );
    assert_eq!(
        (config.base_url.as_str(), config.token_url.as_str()),
        (BASE_URL, TOKEN_URL)
    );
    assert_eq!((config.load_balancer, config.location), (None, None));
    assert_eq!(config.annotation_ip_location, "phoenixnap.com/ip-location");
    assert!(config.service_node_selector.is_empty());
}

#[test]
fn every_documented_key_of_the_file_is_applied() {
    let file = r#"{
        "clientID": "id", "clientSecret": "s3cret", "loadbalancer": "kube-vip://63fd", "location": "ash",
        "base-url": "http://127.0.0.1:1/", "token-url": "http://127.0.0.1:1/token", "apiServerPort": 6443,
        "annotationIPLocation": "example.com/where", "serviceNodeSelector": "role=edge,!spot",
    }"#;
    let config = read(Some(file), &[]).unwrap();
    assert_eq!(config.load_balancer.unwrap().network, "63fd");
    assert_eq!(config.location.as_deref(), Some("ASH"));
    assert_eq!(
        (config.base_url.as_str(), config.token_url.as_str()),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/token")
    );
    assert_eq!(
        (config.api_server_port, config.annotation_ip_location.as_str()),
        (6443, "example.com/where")
    );
    assert_eq!(config.service_node_selector, "role=edge,!spot".parse().unwrap());
}

#[test]
fn every_variable_wins_over_the_file_unless_it_is_empty() {
    let file = r#"{"clientID": "a", "clientSecret": "a", "loadbalancer": "a", "location": "AAA", "base-url": "a",
        "token-url": "a", "apiServerPort": "a", "annotationIPLocation": "a", "serviceNodeSelector": "a b"}"#;
    let config = read(
        Some(file),
        &[
            ("PNAP_CLIENT_ID", "id"),
            ("PNAP_CLIENT_SECRET", "s3cret"),
            ("PNAP_LOAD_BALANCER", "kube-vip://63fd/path"),
            ("PNAP_LOCATION", "PHX"),
            ("PNAP_BASE_URL", "https://api.example"),
            ("PNAP_TOKEN_URL", "https://login.example/token"),
            ("PNAP_API_SERVER_PORT", "443"),
            ("PNAP_ANNOTATION_IP_LOCATION", "b"),
            ("PNAP_SERVICE_NODE_SELECTOR", "c"),
        ],
    )
    .unwrap();
    assert_eq!(
        (config.client_id.as_str(), config.client_secret.expose_secret()),
        ("id", "s3cret")
    );
    assert_eq!(config.load_balancer.unwrap().to_string(), "kube-vip://63fd");
    assert_eq!(
        (config.location.as_deref(), config.base_url.as_str()),
        (Some("PHX"), "https://api.example")
    );
    assert_eq!(
        (config.token_url.as_str(), config.api_server_port),
        ("https://login.example/token", 443)
    );
    assert_eq!(
        (config.annotation_ip_location.as_str(), config.service_node_selector),
        ("b", "c".parse().unwrap())
    );
    let config = read(
        Some(r#"{"clientID": "a", "clientSecret": "b"}"#),
        &[("PNAP_CLIENT_ID", "")],
    )
    .unwrap();
    assert_eq!(config.client_id, "a");
}

#[test]
fn the_secret_template_of_the_original_is_taken_as_it_was_published() {
    let config = read(
        Some("{\n  \"clientID\": \"abc123\",\n  \"clientSecret\": \"def456\",\n}\n"),
        &[],
    )
    .unwrap();
    assert_eq!(config.client_secret.expose_secret(), "def456");
}

#[test]
fn every_problem_is_told_at_once() {
    let env = [
        ("PNAP_LOAD_BALANCER", "emlb:///x"),
        ("PNAP_LOCATION", "Ashburn"),
        ("PNAP_BASE_URL", "api.example"),
        ("PNAP_API_SERVER_PORT", "65536"),
        ("PNAP_SERVICE_NODE_SELECTOR", "a b"),
    ];
    let ConfigError(problems) = read(None, &env).unwrap_err();
    assert_eq!(
        problems,
        [
            "environment variable \"PNAP_CLIENT_ID\" is required, or clientID in the configuration file",
            "environment variable \"PNAP_CLIENT_SECRET\" is required, or clientSecret in the configuration file",
            "invalid config: there is no load balancer \"emlb\"; known are kube-vip and metallb",
            "location \"ASHBURN\" is no location, such as PHX, ASH, SGP, NLD, CHI, SEA, AUS",
            "base-url \"api.example\" is not a http or https URL",
            "env var PNAP_API_SERVER_PORT must be a number, was 65536: number too large to fit in target type",
            "serviceNodeSelector \"a b\" makes no sense: unable to parse requirement \"a b\": the key is no label's",
        ]
    );
}

#[test]
fn a_load_balancer_needs_a_known_scheme_and_a_network() {
    for (text, told) in [
        ("kube-vip://", "invalid config: no public network provided"),
        ("kube-vip:///63fd", "invalid config: no public network provided"),
        (
            "kube-vip",
            "invalid config: loadbalancer \"kube-vip\" is no URL such as kube-vip://<public network id>",
        ),
        (
            "kube-vip://a b",
            "invalid config: loadbalancer \"kube-vip://a b\" is no URL such as kube-vip://<public network id>",
        ),
        (
            "pnap-l2://63fd",
            "invalid config: there is no load balancer \"pnap-l2\"; known are kube-vip and metallb",
        ),
    ] {
        assert_eq!(with(&[("PNAP_LOAD_BALANCER", text)]).unwrap_err().0, [told], "{text}");
    }
}

#[test]
fn nothing_that_is_told_shows_the_secret() {
    let config = with(&[]).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn only_what_leaves_the_machine_without_tls_can_be_read_by_others() {
    for (url, expected) in [
        ("https://api.phoenixnap.com", false),
        ("http://127.0.0.1:8080", false),
        ("http://localhost", false),
        ("http://[::1]:80/token", false),
        ("http://api.example", true),
        ("http://10.0.0.1", true),
    ] {
        assert_eq!(is_readable(url), expected, "{url}");
    }
}

#[test]
fn metallb_is_given_no_selector_that_it_cannot_have() {
    let selector = ("PNAP_SERVICE_NODE_SELECTOR", "slots>4");
    assert!(with(&[selector, ("PNAP_LOAD_BALANCER", "kube-vip://63fd")]).is_ok());
    let ConfigError(problems) = with(&[selector, ("PNAP_LOAD_BALANCER", "metallb://63fd")]).unwrap_err();
    assert!(
        problems[0].starts_with("serviceNodeSelector compares numbers"),
        "{problems:?}"
    );
}
