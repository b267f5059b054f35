//! The program itself, as a process, over real sockets.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use cloud_provider::names::TAINT_UNINITIALIZED;
use kit::Clock;
use kube_sim::KubeSim;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::provider::Provider;

/// How long it may take until something that happens in a moment has happened.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, with nothing of the environment that runs the tests.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Demands that this content of `--cloud-config` ends the program with one line that has all these words, and shows nothing
/// that was planted.
pub fn refuses<P: Provider>(program: &str, config: &str, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cloud-sa.json");
    std::fs::write(&path, config).unwrap();
    let output = command(program)
        .arg(format!("--cloud-config={}", path.display()))
        .output()
        .unwrap();
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{config}: {told}");
    let line = told
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_default();
    let failed = format!("could not init cloud provider \"{}\"", P::NAME);
    for word in words.iter().chain([&failed.as_str()]) {
        assert!(line.contains(word), "{config}: {word} in {told}");
    }
    assert!(!told.contains("planted") && !told.contains("panicked"), "{told}");
}

fn said(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    cloud_sim::evidence::leave("output", &told);
    told
}

/// A file that is no JSON.
pub fn a_configuration_that_is_none_ends_it<P: Provider>(program: &str) {
    refuses::<P>(program, "{]", &["failed to process json of configuration file"]);
}

/// They are asked for by people who have no cluster yet.
pub fn help_and_version_need_no_configuration(program: &str) {
    let name = Path::new(program).file_name().unwrap().to_str().unwrap();
    for flag in ["--help", "--version"] {
        let output = command(program).arg(flag).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains(name));
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

/// No configuration file at all: the environment is enough, and the URLs in it are honoured. SIGTERM ends it without error.
pub async fn it_brings_a_node_up_over_real_sockets_until_it_is_told_to_end<P: Provider>(program: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (kube, end) = (KubeSim::builder().build(), CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(kube_sim::serve::tls(kube.clone(), listener, end.clone()));
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, kube.kubeconfig(&url)).unwrap();
    let sim = P::simulate(&Clock::system(), P::Settings::default(), 1);
    let id = P::add_machine(&sim, "n1");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cloud = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(cloud_sim::serve(P::router(&sim), listener, end.clone()));
    let taint = json!({"key": TAINT_UNINITIALIZED, "value": "true", "effect": "NoSchedule"});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"taints": [taint]}});
    kube.create(node).unwrap();
    let child = command(program)
        .envs(P::environment(&cloud))
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
        assert!(began.elapsed() < PATIENCE, "{node}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(node["spec"]["providerID"], P::provider_id(&id));
    let term = Command::new("kill").arg(running.0.id().to_string()).status().unwrap();
    assert!(term.success());
    assert!(running.0.wait().unwrap().success());
    end.cancel();
}
