use kontainer_engine::wire::STATE_KEY;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::*;

fn info(state: &Value, password: &str) -> ClusterInfo {
    let mut info = ClusterInfo::default();
    info.metadata.insert(STATE_KEY.to_owned(), state.to_string());
    password.clone_into(&mut info.password);
    info
}

fn token(info: &ClusterInfo) -> Option<String> {
    let state = State::of(info).unwrap().unwrap();
    state.refresh_token.map(|token| token.expose_secret().to_owned())
}

fn full() -> State {
    State {
        refresh_token: Some(SecretString::from("refresh-token")),
        organization: "acme".to_owned(),
        cloudspace: "c-w467n".to_owned(),
        region: "us-east-iad-1".to_owned(),
        version: "1.33.0".to_owned(),
        cni: "calico".to_owned(),
        webhook: Some("https://hook.example".to_owned()),
        pools: vec![
            Pool {
                name: "a".to_owned(),
                class: "gp.vs1.medium-iad".to_owned(),
                count: 3,
                bid: "0.01".to_owned(),
                labels: Some([("team".to_owned(), "a".to_owned())].into()),
                ..Pool::default()
            },
            Pool {
                name: "b".to_owned(),
                autoscaling: Autoscaling {
                    enabled: true,
                    min_nodes: 2,
                    max_nodes: 8,
                },
                ..Pool::default()
            },
            Pool {
                kind: Kind::OnDemand,
                name: "c".to_owned(),
                count: 1,
                ..Pool::default()
            },
            Pool {
                kind: Kind::OnDemand,
                name: "d".to_owned(),
                count: 2,
                taints: Some(vec![]),
                ..Pool::default()
            },
        ],
        extra: Extra {
            owned: Some(true),
            ha: Some(true),
            first_on_demand: true,
            nodes_ready: NodesReady::All,
            ..Extra::default()
        },
        ..State::default()
    }
}

#[test]
fn the_refresh_token_is_kept_in_the_password_and_nowhere_else() {
    let mut info = ClusterInfo::default();
    full().save(&mut info).unwrap();
    assert_eq!(info.password, "refresh-token");
    assert!(!info.metadata[STATE_KEY].contains("refresh-token"));
    assert_eq!(info.node_count, 6);
}

#[test]
fn everything_is_read_back() {
    let mut info = ClusterInfo::default();
    let state = full();
    state.save(&mut info).unwrap();
    let read = State::of(&info).unwrap().unwrap();
    assert_eq!(read.pools, state.pools);
    assert_eq!(read.extra, state.extra);
    assert_eq!(read.webhook, state.webhook);
    let mut again = ClusterInfo::default();
    read.save(&mut again).unwrap();
    assert_eq!(again, info);
}

#[test]
fn a_token_in_old_state_is_found_and_wins() {
    assert_eq!(
        token(&info(&json!({"refreshToken": "legacy-token"}), "")).as_deref(),
        Some("legacy-token")
    );
    assert_eq!(
        token(&info(&json!({"refreshToken": "legacy-token"}), "other")).as_deref(),
        Some("legacy-token")
    );
    assert_eq!(
        token(&info(&json!({"organization": "acme"}), "stored-token")).as_deref(),
        Some("stored-token")
    );
    assert_eq!(token(&info(&json!({}), "")), None);
}

#[test]
fn saving_without_a_token_leaves_the_one_that_is_there() {
    let mut info = ClusterInfo {
        password: "pre-existing-token".to_owned(),
        ..ClusterInfo::default()
    };
    State::default().save(&mut info).unwrap();
    assert_eq!(info.password, "pre-existing-token");
}

#[test]
fn the_state_of_the_go_driver_is_read() {
    let state = json!({
        "organization": "acme", "cloudspaceName": "c-w467n", "region": "us-east-iad-1", "kubernetesVersion": "1.33.0",
        "cni": "calico", "gpuEnabled": false, "spotPoolName": "u-1", "spotServerClass": "gp.vs1.medium-iad",
        "spotNodeCount": 3, "spotBidPrice": "0.01", "spotAutoscaling": true, "spotMinNodes": 1, "spotMaxNodes": 5,
        "additionalSpotPools": [{"name": "u-2", "serverClass": "ch.vs1.large-iad", "nodeCount": 2, "bidPrice": "0.02",
            "autoscaling": false}],
        "onDemandEnabled": true, "onDemandPoolName": "u-3", "onDemandServerClass": "gp.vs1.large-iad",
        "onDemandNodeCount": 1, "onDemandPricePerHour": "0.5"
    });
    let state = State::of(&info(&state, "t")).unwrap().unwrap();
    assert_eq!(state.pool_names().collect::<Vec<_>>(), ["u-1", "u-2", "u-3"]);
    assert_eq!(state.extra.owned, None);
    assert!(state.pools[0].autoscaling.enabled);
    assert_eq!(state.node_count(), 6);
}

#[test]
fn state_that_is_no_state_is_an_error_without_its_content() {
    let mut broken = ClusterInfo::default();
    broken
        .metadata
        .insert(STATE_KEY.to_owned(), r#"{"refreshToken": "t0ken", "#.to_owned());
    let error = State::of(&broken).unwrap_err().text();
    assert!(
        error.starts_with("failed to deserialize cluster state") && !error.contains("t0ken"),
        "{error}"
    );
    assert!(State::of(&ClusterInfo::default()).unwrap().is_none());
}
