use std::sync::Arc;

use kube_sim::KubeSim;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::options::Phase;
use crate::wire::DriverOptions;
use crate::{DriverSource, Engine, FileStore, Force, Watch};

/// A cluster on a real socket with TLS, and its kubeconfig.
async fn cluster_on_tls() -> (KubeSim, String, DropGuard) {
    let sim = KubeSim::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kubeconfig = sim.kubeconfig(&format!("https://{}", listener.local_addr().unwrap()));
    let stop = CancellationToken::new();
    tokio::spawn(kube_sim::serve::tls(sim.clone(), listener, stop.clone()));
    (sim, kubeconfig, stop.drop_guard())
}

fn given(key: &str, value: &str) -> DriverOptions {
    DriverOptions {
        string_options: [(key.to_owned(), value.to_owned())].into(),
        ..DriverOptions::default()
    }
}

fn driver() -> ImportDriver {
    ImportDriver::new(Clock::system())
}

async fn created(options: DriverOptions) -> Result<ClusterInfo, String> {
    let driver = driver();
    let options = driver.options().parse(&options, Phase::Create).unwrap();
    let created = driver.create(&Call::detached(), &options, None).await;
    created.map_err(|failed| failed.error.text())
}

#[tokio::test]
async fn a_cluster_with_a_bearer_token_is_imported_and_gets_a_token_of_its_own() {
    let (sim, kubeconfig, _running) = cluster_on_tls().await;
    let home = tempfile::tempdir().unwrap();
    let engine = Engine::new(
        Arc::new(FileStore::in_home(home.path(), Clock::system())),
        Clock::system(),
    );
    let source = DriverSource::BuiltIn(Arc::new(driver()));
    let watch = Watch::nobody();
    let cluster = engine
        .create(&source, "mine", given("kubeConfig", &kubeconfig), &watch)
        .await
        .unwrap();
    assert_eq!(STANDARD.decode(&cluster.root_ca_cert).unwrap(), sim.ca_pem().as_bytes());
    assert!(cluster.version.starts_with('v'), "{}", cluster.version);
    assert_ne!(cluster.service_account_token, sim.admin_token());
    assert!(
        sim.get("serviceaccounts", Some("cattle-system"), "kontainer-engine")
            .is_some()
    );

    // The engine's own token is good for the next look.
    engine
        .update(&source, "mine", DriverOptions::default(), &watch)
        .await
        .unwrap();
    engine
        .remove_legacy_service_account(&source, "mine", &watch)
        .await
        .unwrap();
    engine.remove(&source, "mine", Force::No, &watch).await.unwrap();
    assert!(
        sim.get("serviceaccounts", Some("cattle-system"), "kontainer-engine")
            .is_some(),
        "left as it is"
    );
}

#[tokio::test]
async fn the_first_cluster_and_user_count_and_a_file_wins_over_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    std::fs::write(dir.path().join("key.pem"), "KEY").unwrap();
    std::fs::write(
        &path,
        "clusters: [{name: a, cluster: {server: 'https://a', certificate-authority-data: Q0E=}}, {name: b, cluster: {server: 'https://b'}}]
users: [{name: u, user: {client-certificate-data: Qw==, client-key: key.pem}}]
contexts: [{name: b, context: {cluster: b, user: u}}]
current-context: b",
    )
    .unwrap();
    let mut options = given("kube-config-path", path.to_str().unwrap());
    options.string_options.insert("kubeConfig".into(), "nonsense".into());
    let info = created(options).await.unwrap();
    assert_eq!(
        (info.endpoint.as_str(), info.root_ca_certificate.as_str()),
        ("https://a", "Q0E=")
    );
    assert_eq!(info.client_key, "S0VZ");
    assert_eq!(info.metadata["Endpoint"], "https://a");
}

#[tokio::test]
async fn what_can_not_be_imported_is_told() {
    let no_users = "clusters: [{name: a, cluster: {server: 'https://a'}}]";
    let with_program = format!("{no_users}\nusers: [{{name: u, user: {{exec: {{command: aws}}}}}}]");
    for (key, value, problem) in [
        ("kubeConfig", "", "one of kubeConfig and kubeConfigPath is required"),
        (
            "kubeConfigPath",
            "/no/such/file",
            "failed to open kubeconfig file /no/such/file",
        ),
        ("kubeConfig", "[1]", "error unmarshalling kubeconfig"),
        ("kubeConfig", "users: []", "has no cluster"),
        ("kubeConfig", no_users, "has no user"),
        ("kubeConfig", &with_program, "another program"),
    ] {
        let error = created(given(key, value)).await.unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}
