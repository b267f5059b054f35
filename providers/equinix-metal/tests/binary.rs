//! The program itself, as a process: what it says to a bad configuration, and that it works over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use equinix_metal_sim::{API_KEY, MetalSim, PROJECT_ID, Settings};
use kube_sim::KubeSim;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-provider-equinix-metal"));
    // Nothing of the environment that runs the tests.
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn with_config(dir: &Path, config: &str) -> Output {
    let path = dir.join("cloud-sa.json");
    std::fs::write(&path, config).unwrap();
    program()
        .arg(format!("--cloud-config={}", path.display()))
        .output()
        .unwrap()
}

#[test]
fn a_bad_configuration_is_told_whole_and_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    for (config, words) in [
        ("", &["failed to process json of configuration file"][..]),
        ("{]", &["failed to process json of configuration file"]),
        ("{}", &["METAL_API_KEY", "METAL_PROJECT_ID"]),
        (
            r#"{"apiKey":"planted-api-key-7","projectID":"p","loadbalancer":"haproxy://","localASN":"x","apiServerPort":70000}"#,
            &[
                "loadbalancer",
                "emlb, empty, kube-vip and metallb",
                "localASN",
                "apiServerPort",
            ],
        ),
    ] {
        let output = with_config(dir.path(), config);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        cloud_sim::evidence::leave("output", &told);
        assert_eq!(output.status.code(), Some(1), "{config}: {told}");
        let told = told
            .lines()
            .find(|line| line.starts_with("error: "))
            .unwrap_or_default();
        assert!(
            told.contains("could not init cloud provider \"equinixmetal\""),
            "{told}"
        );
        for word in words {
            assert!(told.contains(word), "{config}: {word} in {told}");
        }
        assert!(!told.contains("planted") && !told.contains("panicked"), "{told}");
    }
}

#[test]
fn help_and_version_need_no_configuration() {
    for flag in ["--help", "--version"] {
        let output = program().arg(flag).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("cloud-provider-equinix-metal"));
    }
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_brings_a_node_up_over_real_sockets_with_the_base_url_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let (kube, end) = (KubeSim::builder().build(), CancellationToken::new());
    let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", api.local_addr().unwrap());
    tokio::spawn(kube_sim::serve::tls(kube.clone(), api, end.clone()));
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, kube.kubeconfig(&url)).unwrap();
    let sim = MetalSim::new(kit::Clock::system(), Settings::default());
    let id = sim.add_device("n1");
    let metal = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/metal/v1", metal.local_addr().unwrap());
    let (serving, cancel) = (sim.clone(), end.clone());
    tokio::spawn(async move { serving.serve(metal, cancel).await });
    let taint = json!({"key": cloud_provider::names::TAINT_UNINITIALIZED, "value": "true", "effect": "NoSchedule"});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"taints": [taint]}});
    kube.create(node).unwrap();
    // No configuration file at all: the environment is enough.
    let child = program()
        .env("METAL_API_KEY", API_KEY)
        .env("METAL_PROJECT_ID", PROJECT_ID)
        .env("METAL_BASE_URL", base)
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .args(["--secure-port=0", "--leader-elect=false"])
        .spawn();
    let mut running = Running(child.unwrap());
    let began = Instant::now();
    let node = loop {
        let node = kube.get("nodes", None, "n1").unwrap();
        if node["spec"]["providerID"] != Value::Null {
            break node;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{node}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(node["spec"]["providerID"], format!("equinixmetal://{id}"));
    let term = Command::new("kill").arg(running.0.id().to_string()).status().unwrap();
    assert!(term.success());
    assert!(running.0.wait().unwrap().success());
    end.cancel();
}
