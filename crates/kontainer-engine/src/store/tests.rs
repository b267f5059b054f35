use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kit::Clock;
use kube_kit::kubeconfig::{Kubeconfig, load};
use secrecy::ExposeSecret as _;

use super::*;
use crate::record::status;

fn store(dir: &Path) -> FileStore {
    FileStore::in_home(dir, Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0))
}

fn demo() -> Cluster {
    Cluster {
        driver_name: "fake".into(),
        name: "demo".into(),
        status: status::RUNNING.into(),
        endpoint: "192.0.2.1:6443".into(),
        service_account_token: "token-1".into(),
        root_ca_cert: "Q0E=".into(),
        client_certificate: "Q0VSVA==".into(),
        ..Cluster::default()
    }
}

fn access(config: &Kubeconfig, name: &str) -> kube_kit::kubeconfig::Access {
    config.access(Some(name), Path::new("/")).unwrap()
}

#[tokio::test]
async fn a_published_cluster_lies_where_the_go_program_looks_and_is_private() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    store.publish(&demo()).await.unwrap();
    let dir = home.path().join(".kontainer/clusters/demo");
    assert_eq!(fs::read_to_string(dir.join("ca.pem")).unwrap(), "CA");
    assert_eq!(fs::read_to_string(dir.join("cert.pem")).unwrap(), "CERT");
    assert!(!dir.join("key.pem").exists(), "there is no key");
    for file in [dir.join("config.json"), dir.join("ca.pem"), store.kubeconfig()] {
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let config = load(&store.kubeconfig()).unwrap();
    assert_eq!(config.current_context(), None, "only `env` chooses a context");
    let access = access(&config, "demo");
    assert_eq!(
        (access.server.as_str(), access.ca.as_deref()),
        ("https://192.0.2.1:6443", Some(&b"CA"[..]))
    );
    assert_eq!(store.get("demo").await.unwrap().unwrap(), demo());
}

#[tokio::test]
async fn a_rotated_token_and_a_dropped_certificate_reach_the_files() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    store.publish(&demo()).await.unwrap();
    let rotated = Cluster {
        service_account_token: "token-2".into(),
        client_certificate: String::new(),
        ..demo()
    };
    store.publish(&rotated).await.unwrap();
    let config = load(&store.kubeconfig()).unwrap();
    assert_eq!(access(&config, "demo").token.unwrap().expose_secret(), "token-2");
    assert!(!home.path().join(".kontainer/clusters/demo/cert.pem").exists());
}

#[tokio::test]
async fn a_password_without_a_user_name_is_not_for_the_api_server() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let with_secret = Cluster {
        password: "refresh-token".into(),
        ..demo()
    };
    store.publish(&with_secret).await.unwrap();
    let text = fs::read_to_string(store.kubeconfig()).unwrap();
    assert!(text.contains("token-1") && !text.contains("refresh-token"));
}

#[tokio::test]
async fn removing_takes_the_entries_and_the_directory_and_may_be_repeated() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    store.remove("demo").await.unwrap();
    store.publish(&demo()).await.unwrap();
    store.set_current("demo").await.unwrap();
    store.remove("demo").await.unwrap();
    store.remove("demo").await.unwrap();
    assert_eq!(store.get("demo").await.unwrap(), None);
    let config = load(&store.kubeconfig()).unwrap();
    assert_eq!((config.contexts().len(), config.current_context()), (0, None));
}

#[tokio::test]
async fn a_damaged_record_is_named_and_hides_no_other() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    for name in ["b", "a"] {
        store
            .save(&Cluster {
                name: name.into(),
                ..demo()
            })
            .await
            .unwrap();
    }
    let clusters = home.path().join(".kontainer/clusters");
    fs::create_dir(clusters.join("broken")).unwrap();
    fs::write(clusters.join("broken/config.json"), "{\"name\":\"bro").unwrap();
    fs::create_dir(clusters.join(".hidden")).unwrap();
    fs::write(clusters.join("notes.txt"), "").unwrap();
    let (found, damaged) = store.list().await.unwrap();
    assert_eq!(
        found.iter().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(damaged.len(), 1);
    assert!(damaged[0].to_string().contains("broken/config.json"), "{}", damaged[0]);
    assert!(matches!(store.get("broken").await, Err(StoreError::Parse { .. })));
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    for name in ["", ".", "..", "../x", "a/b", ".hidden", "a\0b", "-flag", "ä"] {
        assert!(matches!(store.get(name).await, Err(StoreError::Name(_))), "{name:?}");
        assert!(matches!(store.claim(name).await, Err(StoreError::Name(_))), "{name:?}");
    }
    assert_eq!(store.list().await.unwrap().0.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_one_at_a_time_works_on_a_cluster() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let claim = store.claim("demo").await.unwrap();
    assert!(store.claim("other").await.is_ok());
    let busy = store.claim("demo").await.err().unwrap();
    assert_eq!(busy.class(), Class::Conflict);
    drop(claim);
    assert!(store.claim("demo").await.is_ok());
}

#[tokio::test]
async fn what_is_not_base64_is_told_without_showing_it_and_the_record_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let wrong = Cluster {
        client_key: "not base64!".into(),
        ..demo()
    };
    let error = store.publish(&wrong).await.unwrap_err();
    assert_eq!(error.to_string(), "the client key of cluster demo is not base64");
    assert_eq!(store.get("demo").await.unwrap().unwrap(), wrong);
}
