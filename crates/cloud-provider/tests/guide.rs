//! Whoever follows `docs/guides/write-a-cloud-provider.md` sees a provider of theirs initialise a node.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

use std::path::Path;
use std::time::Duration;

use kube_sim::{Controllers, KubeSim};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[allow(dead_code, reason = "its main is this test's")]
#[path = "../examples/shed.rs"]
mod shed;

const GUIDE: &str = include_str!("../../../docs/guides/write-a-cloud-provider.md");
const EXAMPLE: &str = include_str!("../examples/shed.rs");

/// The code blocks of the guide in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let after = GUIDE.split(begin.as_str()).skip(1);
    after.map(|text| text.split_once("```").unwrap().0).collect()
}

#[test]
fn the_guide_shows_the_example_to_the_letter() {
    let (_, shown) = EXAMPLE.split_once("\n\n").unwrap();
    assert_eq!(blocks("rust,no_run"), [shown]);
}

/// The flags that the guide starts the provider with, but for the kubeconfig's place. Nothing is served: the port may be taken.
fn flags(kubeconfig: &Path) -> Vec<String> {
    let command = "cargo run -p cloud-provider --example shed -- ";
    let mut lines = blocks("sh").into_iter().flat_map(str::lines);
    let given = lines.find_map(|line| line.strip_prefix(command)).unwrap();
    let ours = format!("--kubeconfig={}", kubeconfig.display());
    let mut flags: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
    let place = flags.iter_mut().find(|flag| *flag == "--kubeconfig=shed.kubeconfig");
    *place.expect("the guide names the kubeconfig") = ours;
    flags.push("--secure-port=0".to_owned());
    flags
}

#[tokio::test]
async fn whoever_follows_the_guide_sees_a_node_initialised() {
    let dir = tempfile::tempdir().unwrap();
    let controllers: Controllers = "none".parse().unwrap();
    let sim = KubeSim::builder().controllers(controllers).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(kube_sim::serve::tls(sim.clone(), listener, stop.clone()));
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, sim.kubeconfig(&url)).unwrap();
    let node: Value = serde_saphyr::from_str(blocks("yaml")[0]).unwrap();
    let created = sim.create(node).unwrap();
    let uninitialized = "node.cloudprovider.kubernetes.io/uninitialized";
    assert_eq!(created["spec"]["taints"][0]["key"], uninitialized);

    let manager = shed::manager();
    let ran = manager.run(flags(&kubeconfig));
    let initialised = async {
        loop {
            let node = sim.get("nodes", None, "anvil").unwrap();
            let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
            if !taints.iter().any(|taint| taint["key"] == uninitialized) {
                return node;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let node = tokio::select! {
        code = ran => panic!("it ended with {code}"),
        node = tokio::time::timeout(Duration::from_secs(30), initialised) => node.expect("it is initialised in time"),
    };
    assert_eq!(node["spec"]["providerID"], "shed://1");
    assert_eq!(
        node["status"]["addresses"],
        json!([{"type": "InternalIP", "address": "192.0.2.1"}])
    );
    assert_eq!(node["metadata"]["labels"]["topology.kubernetes.io/zone"], "back");
    stop.cancel();
}
