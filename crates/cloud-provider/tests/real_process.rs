//! A whole manager on real sockets: flags, kubeconfig, TLS to the API server, the secure port, SIGTERM. One test, because
//! the signal goes to the whole process.

use std::sync::Arc;
use std::time::Duration;

use cloud_provider::Manager;
use cloud_provider::memory::{Instance, MemoryCloud};
use kube_sim::KubeSim;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// One request over TLS, trusting the certificate at `trusted`. With a body it puts, else it gets.
async fn send(
    port: u16,
    path: &str,
    body: Option<&str>,
    token: Option<&str>,
    trusted: &std::path::Path,
) -> Option<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_file_iter(trusted).ok()?.flatten());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(ServerName::try_from("localhost").ok()?, stream)
        .await
        .ok()?;
    let bearer = token
        .map(|token| format!("authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let (method, body) = body.map_or(("GET", ""), |body| ("PUT", body));
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{bearer}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    Some(text)
}

/// Looks again and again, for half a minute of real time at most.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.expect(what)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_lives_and_dies_on_real_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let sim = KubeSim::builder().build();
    let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}", api.local_addr().unwrap().port());
    let end = CancellationToken::new();
    tokio::spawn(kube_sim::serve::tls(sim.clone(), api, end.clone()));
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, sim.kubeconfig(&url)).unwrap();
    let taint =
        json!({"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"});
    sim.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"taints": [taint]}}))
        .unwrap();

    let cloud = MemoryCloud::new("fake");
    cloud.add(Instance::new("1", "n1").internal("10.0.0.1"));
    let config = dir.path().join("cloud.conf");
    std::fs::write(&config, "zone = 7").unwrap();
    let manager = Manager::new("ccm-fake", "v1.2.3").cloud("fake", move |config| {
        assert_eq!(config.as_deref(), Some(&b"zone = 7"[..]));
        Ok(Arc::new(cloud.clone()))
    });
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let args = [
        "--cloud-provider=fake".to_owned(),
        format!("--cloud-config={}", config.display()),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--cert-dir={}", dir.path().display()),
        "--authentication-tolerate-lookup-failure".to_owned(),
        "--leader-elect-retry-period=500ms".to_owned(),
    ];
    let ended = tokio::spawn(manager.unwrap().run(args));

    eventually("the node is initialized", || async {
        let node = sim.get("nodes", None, "n1")?;
        (node["spec"]["providerID"] == "fake://1").then_some(())
    })
    .await;
    let trusted = dir.path().join("cloud-controller-manager.crt");
    let asked = |path: &'static str, token: Option<String>| {
        let trusted = trusted.clone();
        async move {
            let answer = send(port, path, None, token.as_deref(), &trusted).await;
            answer.unwrap_or_default()
        }
    };
    let admin = Some(sim.admin_token().to_owned());
    for probe in ["/healthz", "/livez", "/readyz", "/healthz/leaderElection"] {
        let answer = asked(probe, if probe.len() > 8 { admin.clone() } else { None }).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok"),
            "{probe}: {answer}"
        );
    }
    assert!(asked("/metrics", None).await.starts_with("HTTP/1.1 403"));
    let metrics = asked("/metrics", admin.clone()).await;
    cloud_sim::evidence::leave("metrics", &metrics);
    for line in [
        "node_controller_initial_node_sync_delay_seconds_count 1",
        "rest_client_requests_total{code=\"200\",method=\"PATCH\"",
        "cloud_provider_calls_total{operation=\"look_up\",result=\"success\"}",
        "leader_election_master_status{name=\"cloud-controller-manager\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let state = asked("/debug/state", admin.clone()).await;
    assert!(
        state.contains("\"leading\":true") && state.contains("cloud-node-controller"),
        "{state}"
    );
    for page in ["/", "/debug/state", "/debug/flags/v"] {
        assert!(asked(page, None).await.starts_with("HTTP/1.1 403"), "{page}");
    }
    let page = asked("/", admin.clone()).await;
    cloud_sim::evidence::leave("page", &page);
    for text in [
        "content-type: text/html",
        "content-security-policy: default-src 'none'",
        "<td>n1<td>initialized<td><td>fake://1<td>InternalIP 10.0.0.1",
        "<td>look_up<td>",
        "<td>Synced<td>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // Where what is logged is kept for a search, the log is not the manager's to change.
    let kept = std::env::var_os("ROADSTEAD_EVIDENCE").is_some();
    for (token, level, answer) in [
        (None, "2", "HTTP/1.1 403"),
        (admin.as_deref(), "many", "HTTP/1.1 400"),
        (
            admin.as_deref(),
            "2",
            if kept { "HTTP/1.1 400" } else { "HTTP/1.1 200" },
        ),
    ] {
        let put = send(port, "/debug/flags/v", Some(level), token, &trusted)
            .await
            .unwrap();
        assert!(put.starts_with(answer), "{level}: {put}");
    }
    assert!(
        asked("/configz", admin)
            .await
            .contains("CloudControllerManagerConfiguration")
    );

    let signalled = std::process::Command::new("kill")
        .args(["-TERM", &std::process::id().to_string()])
        .status();
    assert!(signalled.unwrap().success());
    let code = tokio::time::timeout(Duration::from_secs(10), ended)
        .await
        .expect("it ends in time")
        .unwrap();
    assert_eq!(code, 0);
    let lease = sim
        .get(
            "leases.coordination.k8s.io",
            Some("kube-system"),
            "cloud-controller-manager",
        )
        .unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "", "the lease is given back");
    end.cancel();
}
