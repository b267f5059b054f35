use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use kit::Clock;
use secrecy::ExposeSecret as _;

use super::*;

const EXISTING: &str = r#"apiVersion: v1
kind: Config
preferences: {colors: true}
extensions:
- name: mine
  extension: {keep: "1.20"}
clusters:
- name: other
  cluster:
    server: https://other:6443
    certificate-authority: /etc/other-ca.pem
    extensions:
    - name: minikube
      extension: {version: v1.38.0}
- name: demo
  cluster:
    server: https://old:6443
    certificate-authority: old.pem
    proxy-url: http://proxy:3128
users:
- name: other
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: aws
      args: [eks, get-token]
- name: demo
  user:
    username: admin
    password: "0123"
contexts:
- name: other
  context: {cluster: other, user: other, namespace: kube-system}
- name: demo
  context: {cluster: old, user: old, namespace: mine}
current-context: other
"#;

fn demo(config: &mut Kubeconfig) {
    config.set_cluster(
        "demo",
        &Cluster {
            server: "https://new:6443".into(),
            certificate_authority_data: Some("Q0E=".into()),
            insecure_skip_tls_verify: false,
        },
    );
    config.set_user("demo", &User::Token("token-1".into()));
    config.set_context("demo", "demo", "demo");
}

#[test]
fn our_entries_are_replaced_and_all_others_stay() {
    let before = Kubeconfig::parse(EXISTING).unwrap();
    let mut after = before.clone();
    demo(&mut after);
    let after = Kubeconfig::parse(&after.to_yaml()).unwrap();
    for key in ["preferences", "extensions", "current-context"] {
        assert_eq!(after.root[key], before.root[key], "{key}");
    }
    for list in List::ALL {
        assert_eq!(after.root[list.key()][0], before.root[list.key()][0]);
        assert_eq!(after.root[list.key()].as_array().unwrap().len(), 2);
    }
    assert_eq!(
        after.root["clusters"][1]["cluster"],
        json!({"proxy-url": "http://proxy:3128", "server": "https://new:6443", "certificate-authority-data": "Q0E="})
    );
    assert_eq!(after.root["users"][1]["user"], json!({"token": "token-1"}));
    assert_eq!(
        after.root["contexts"][1]["context"],
        json!({"cluster": "demo", "user": "demo", "namespace": "mine"})
    );
}

#[test]
fn texts_that_look_like_other_types_stay_texts() {
    let mut config = Kubeconfig::default();
    for name in ["1.20", "true", "null", "0x1f", "a: b", "line\nbreak", "yes", ""] {
        config.set_user(name, &User::Token(name.into()));
    }
    for block in 0..0x100u32 {
        let letters: String = (block * 64..(block + 1) * 64).filter_map(char::from_u32).collect();
        config.set_user(&format!("block {block}"), &User::Token(letters.into()));
    }
    config.set_user("long", &User::Token("x y ".repeat(100).into()));
    assert_eq!(Kubeconfig::parse(&config.to_yaml()).unwrap(), config);
}

#[test]
fn removing_takes_all_three_entries_and_the_current_context_if_it_was_that() {
    let mut config = Kubeconfig::parse(EXISTING).unwrap();
    config.remove("demo");
    assert_eq!(
        (config.contexts(), config.current_context()),
        (vec!["other"], Some("other"))
    );
    config.remove("other");
    assert_eq!((config.contexts().len(), config.current_context()), (0, None));
    assert!(config.entries(List::Clusters).next().is_none());
    assert!(config.entries(List::Users).next().is_none());
}

#[test]
fn a_context_of_another_kubeconfig_is_taken_over_under_a_new_name() {
    let other = Kubeconfig::parse(EXISTING).unwrap();
    let mut config = Kubeconfig::default();
    assert!(config.adopt(&other, "other", "taken"));
    assert!(
        !config.adopt(&other, "demo", "broken"),
        "its cluster and user do not exist"
    );
    assert!(!config.adopt(&other, "none", "none"));
    assert_eq!(config.contexts(), ["taken"]);
    assert!(
        config.access(Some("taken"), Path::new("/none")).is_err(),
        "its CA file does not exist"
    );
    assert_eq!(config.inner(List::Users, "taken").unwrap()["exec"]["command"], "aws");
}

#[test]
fn texts_that_are_no_kubeconfig_are_refused_without_showing_them() {
    for text in [
        "[1, 2]",
        "clusters: 3",
        "users: [{user: {token: hunter2}}]",
        "a: b: c",
        "contexts: [hunter2]",
    ] {
        let error = Kubeconfig::parse(text).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert_eq!(Kubeconfig::parse("").unwrap(), Kubeconfig::default());
    assert!(Kubeconfig::parse("clusters: null\n").is_ok());
}

#[test]
fn a_context_says_how_to_reach_its_cluster() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ca.pem"), "CA").unwrap();
    fs::write(dir.path().join("token"), "from-file\n").unwrap();
    let config = Kubeconfig::parse(
        "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority: ca.pem, tls-server-name: internal}}]
users:
- {name: t, user: {tokenFile: token}}
- {name: k, user: {client-certificate-data: 'Q0\n VSVA==', client-key-data: S0VZ}}
contexts:
- {name: x, context: {cluster: c, user: t, namespace: ns}}
- {name: w, context: {cluster: c, user: k}}
- {name: z, context: {cluster: c, user: gone}}
current-context: x",
    )
    .unwrap();
    let access = config.access(None, dir.path()).unwrap();
    assert_eq!(
        (access.server.as_str(), access.ca.as_deref()),
        ("https://h", Some(&b"CA"[..]))
    );
    assert_eq!(access.token.as_ref().unwrap().expose_secret(), "from-file");
    assert_eq!(
        (access.namespace.as_deref(), access.tls_server_name.as_deref()),
        (Some("ns"), Some("internal"))
    );
    assert!(!format!("{access:?}").contains("from-file"));
    let certificate = config.access(Some("w"), dir.path()).unwrap();
    assert_eq!(certificate.client_certificate.as_deref(), Some(&b"CERT"[..]));
    assert_eq!(certificate.client_key.unwrap().expose_secret(), "KEY");
    let missing = config.access(Some("z"), dir.path()).unwrap_err();
    assert_eq!(missing.to_string(), "the kubeconfig has no user \"gone\"");
    assert_eq!(config.first_access(dir.path()).unwrap().server, "https://h");
    let none = Kubeconfig::default().access(None, dir.path()).unwrap_err();
    assert!(matches!(none, AccessError::NoCurrentContext));
}

#[tokio::test]
async fn a_file_is_made_private_and_keeps_what_stood_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/kube/config");
    edit(&path, &Clock::system(), demo).await.unwrap();
    assert_eq!(load(&path).unwrap().contexts(), ["demo"]);
    fs::write(&path, EXISTING).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    edit(&path, &Clock::system(), demo).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(load(&path).unwrap().contexts(), ["other", "demo"]);
    assert_eq!(
        fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "no lock, no temporary file"
    );
}

#[tokio::test]
async fn a_file_that_is_no_kubeconfig_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    fs::write(&path, "{half").unwrap();
    let error = edit(&path, &Clock::system(), demo).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} is not a kubeconfig", path.display()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{half");
    assert!(!dir.path().join("config.lock").exists());
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_waited_for_and_then_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let lock = dir.path().join("config.lock");
    File::create(&lock).unwrap();
    let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
    let error = edit(&path, &clock, demo).await.unwrap_err();
    assert!(error.to_string().contains(lock.to_str().unwrap()), "{error}");
    assert!(lock.exists() && !path.exists());

    let released = async {
        clock.sleep(Duration::from_secs(1)).await;
        fs::remove_file(&lock).unwrap();
    };
    let (edited, ()) = tokio::join!(edit(&path, &clock, demo), released);
    edited.unwrap();
}

/// Whether its program still runs cannot be told, however old it is.
#[tokio::test(start_paused = true)]
async fn an_old_lock_of_another_program_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let lock = dir.path().join("config.lock");
    let left = File::create(&lock).unwrap();
    left.set_modified(SystemTime::now() - Duration::from_hours(24)).unwrap();
    let error = edit(&path, &Clock::system(), demo).await.unwrap_err();
    assert!(kit::chain(&error).contains("if none is running, delete"), "{error}");
    assert!(lock.exists() && !path.exists());
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_lock_of_ours_whose_process_was_killed_is_removed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let lock = dir.path().join("config.lock");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let space = fs::read_link("/proc/self/ns/pid").unwrap();
    fs::write(
        &lock,
        format!("roadstead 999999999 {} {}", boot.trim(), space.display()),
    )
    .unwrap();
    edit(&path, &Clock::system(), demo).await.unwrap();
    assert!(!lock.exists());
}

#[tokio::test]
async fn many_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let path = path.clone();
        tasks.spawn(async move {
            let name = format!("c{n}");
            edit(&path, &Clock::system(), |config| {
                config.set_context(&name, &name, &name);
            })
            .await
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(load(&path).unwrap().contexts().len(), 20);
}

#[test]
fn the_file_to_change_is_chosen_as_kubectl_chooses_it() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let list = std::env::join_paths([&a, &b]).unwrap();
    let home = Some(Path::new("/home/me"));
    assert_eq!(default_file(Some(&list), home), Some(b.clone()));
    fs::write(&a, "").unwrap();
    assert_eq!(default_file(Some(&list), home), Some(a));
    assert_eq!(default_file(None, home), Some("/home/me/.kube/config".into()));
    assert_eq!(default_file(Some(OsStr::new("")), None), None);
}
