use cloud_sim::secrets::Capture;
use secrecy::ExposeSecret as _;
use tracing::subscriber::with_default;

use super::*;

type Env<'a> = &'a [(&'a str, &'a str)];

const KEYS: Env<'_> = &[("METAL_API_KEY", "the-api-key"), ("METAL_PROJECT_ID", "the-project")];

/// What is read, and what is warned of.
fn read_all(file: Option<&str>, env: Env<'_>) -> (Result<Config, ConfigError>, Vec<String>) {
    let look = |name: &str| {
        env.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let log = Capture::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false);
    let read = with_default(subscriber.finish(), || Config::read(file.map(str::as_bytes), &look));
    (read, log.text().lines().map(str::to_owned).collect())
}

fn read(file: &str, env: Env<'_>) -> Result<Config, ConfigError> {
    read_all(Some(file), env).0
}

fn problems(file: &str, env: Env<'_>) -> Vec<String> {
    read(file, env).unwrap_err().0
}

/// The cases of `Test_getMetalConfig` in `metal/config_test.go`.
#[test]
fn the_upstream_cases_hold() {
    let mut cases = 0;
    for (file, env, works) in [
        (None, KEYS, true),
        (Some(""), KEYS, false),
        (Some("{}"), &[][..], false),
        (Some("{}"), KEYS, true),
        (Some(r#"{"apiKey":"the-api-key","projectId":"the-project"}"#), &[], true),
        (Some(r#"{"apiKey":"the-api-key",}"#), &[], false),
        (Some("{]"), &[], false),
    ] {
        cases += 1;
        let (read, warnings) = read_all(file, env);
        assert_eq!(read.is_ok(), works, "{file:?}");
        let Ok(config) = read else { continue };
        assert_eq!(
            (
                config.api_key.expose_secret(),
                config.project.as_str(),
                config.local_asn
            ),
            ("the-api-key", "the-project", 65000)
        );
        assert_eq!(
            config.annotations,
            Annotations {
                local_asn: "metal.equinix.com/bgp-peers-{{n}}-node-asn".to_owned(),
                peer_asn: "metal.equinix.com/bgp-peers-{{n}}-peer-asn".to_owned(),
                peer_ip: "metal.equinix.com/bgp-peers-{{n}}-peer-ip".to_owned(),
                src_ip: "metal.equinix.com/bgp-peers-{{n}}-src-ip".to_owned(),
                bgp_pass: "metal.equinix.com/bgp-peers-{{n}}-bgp-pass".to_owned(),
                network_ipv4_private: "metal.equinix.com/network-4-private".to_owned(),
                eip_metro: "metal.equinix.com/eip-metro".to_owned(),
                eip_facility: "metal.equinix.com/eip-facility".to_owned(),
            }
        );
        assert!(config.back_end.is_none() && warnings.is_empty());
        assert_eq!(config.base_url, "https://api.equinix.com/metal/v1");
    }
    println!("upstream configuration cases: {cases}");
}

#[test]
fn keys_are_found_whatever_their_case() {
    let config = read(
        r#"{"APIKEY":"k","ProjectID":"p","BASE-URL":"http://127.0.0.1:1/metal/v1/","LocalAsn":64512,"apiserverport":6443,
            "EIPHEALTHCHECKUSEHOSTIP":true,"Metro":"da"}"#,
        &[],
    )
    .unwrap();
    assert_eq!((config.project.as_str(), config.local_asn), ("p", 64512));
    assert_eq!(config.base_url, "http://127.0.0.1:1/metal/v1");
    assert_eq!((config.api_server_port, config.check_host_ip), (Some(6443), true));
    assert_eq!(config.metro.as_deref(), Some("da"));
}

#[test]
fn the_environment_wins_unless_it_is_empty() {
    let env: Vec<(&str, &str)> = [
        KEYS,
        &[
            ("METAL_METRO_NAME", "sv"),
            ("METAL_FACILITY_NAME", ""),
            ("METAL_API_SERVER_PORT", "0"),
        ],
    ]
    .concat();
    let file = r#"{"metro":"da","facility":"da11","apiServerPort":6443,"localASN":null}"#;
    let config = read(file, &env).unwrap();
    assert_eq!(
        (config.metro.as_deref(), config.facility.as_deref()),
        (Some("sv"), Some("da11"))
    );
    assert_eq!(config.api_server_port, None, "a zero in the environment is a value");
    assert_eq!(config.local_asn, 65000);
}

#[test]
fn every_problem_is_told_at_once_and_by_name() {
    let file = r#"{"localASN":4294967296,"loadbalancer":"haproxy://x","eipTag":"t","loadBalancerID":"l","metro":["da"],
        "base-url":"ftp://x","bgpNodeSelector":"a b"}"#;
    let env = [
        ("METAL_API_SERVER_PORT", "65536"),
        ("METAL_EIP_HEALTH_CHECK_USE_HOST_IP", "maybe"),
    ];
    let told = problems(file, &env);
    for name in [
        "apiKey",
        "projectID",
        "localASN",
        "loadbalancer",
        "eipTag",
        "loadBalancerID",
        "metro",
        "base-url",
        "bgpNodeSelector",
        "METAL_API_SERVER_PORT",
        "METAL_EIP_HEALTH_CHECK_USE_HOST_IP",
    ] {
        assert!(told.iter().any(|problem| problem.contains(name)), "{name}: {told:#?}");
    }
    assert!(
        told.iter()
            .any(|problem| problem.contains("emlb, empty, kube-vip and metallb")),
        "{told:#?}"
    );
    assert_eq!(told.len(), 11, "{told:#?}");
}

#[test]
fn unknown_keys_are_warned_of_and_change_nothing() {
    let (read, warnings) = read_all(Some(r#"{"annotationPeerASNs":"x","apiKey":"k"}"#), KEYS);
    assert!(read.is_ok());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("annotationPeerASNs"), "{warnings:?}");
}

#[test]
fn the_siblings_of_another_api_are_looked_for_on_its_host() {
    let config = read(r#"{"base-url":"http://127.0.0.1:9/metal/v1"}"#, KEYS).unwrap();
    assert_eq!(config.emlb_url, "http://127.0.0.1:9");
    assert_eq!(config.exchange_url, "http://127.0.0.1:9/api-keys/exchange");
    let env = [
        KEYS,
        &[
            ("METAL_BASE_URL", "https://a.example/v1"),
            ("METAL_EMLB_BASE_URL", "https://b.example"),
        ],
    ]
    .concat();
    let config = read("{}", &env).unwrap();
    assert_eq!(config.emlb_url, "https://b.example");
    assert_eq!(config.exchange_url, "https://a.example/api-keys/exchange");
    let config = read("{}", KEYS).unwrap();
    assert_eq!(config.emlb_url, "https://lb.metalctrl.io");
    assert_eq!(config.exchange_url, "https://iam.metalctrl.io/api-keys/exchange");
}

#[test]
fn a_key_that_would_go_over_the_network_in_the_clear_is_warned_of() {
    let (_, warnings) = read_all(Some(r#"{"base-url":"http://metal.example/metal/v1"}"#), KEYS);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let (_, warnings) = read_all(Some(r#"{"base-url":"http://127.0.0.1:9"}"#), KEYS);
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn a_variable_of_the_original_that_does_nothing_is_warned_of() {
    let (read, warnings) = read_all(None, &[KEYS, &[("PACKNGO_DEBUG", "")]].concat());
    assert!(read.is_ok());
    assert!(warnings.len() == 1 && warnings[0].contains("--v=5"), "{warnings:?}");
}

#[test]
fn no_secret_stands_in_any_text() {
    let file = r#"{"apiKey":"planted-key-1","bgpPass":"planted-pass","loadbalancer":"nope"}"#;
    let error = read(file, &[]).unwrap_err().to_string();
    let (config, warnings) = read_all(Some(&file.replace("nope", "empty://")), KEYS);
    let texts = format!("{error} {:?} {warnings:?}", config.unwrap());
    assert!(!texts.contains("planted"), "{texts}");
    assert_eq!(warnings.len(), 1);
}

#[test]
fn no_input_makes_it_panic() {
    for file in [
        "null",
        "[]",
        "5",
        "{\"apiKey\":{}}",
        "{\"loadbalancer\":\"metallb:///%zz?a&b=&crdConfiguration\"}",
        "\u{feff}{}",
    ] {
        let _ = read(file, KEYS);
    }
}
