use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;

/// A simulation on a real socket.
struct Hosted {
    url: String,
    cancel: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn hosted(sim: &SpotSim) -> Hosted {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cancel = CancellationToken::new();
    tokio::spawn(sim.live(cancel.clone()));
    let server = tokio::spawn(cloud_sim::serve(sim.router(), listener, cancel.clone()));
    Hosted { url, cancel, server }
}

impl Hosted {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = HttpClient::builder(TokioExecutor::new()).build_http::<Body>();
        let response = client
            .request(request.body(Body::from(body.to_owned())).unwrap())
            .await
            .unwrap();
        answer(response.map(Body::new)).await
    }

    async fn id_token(&self) -> String {
        let form = format!("grant_type=refresh_token&client_id={CLIENT_ID}&refresh_token={ACME_TOKEN}");
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let login = self.ask("POST", "/oauth/token", &kind, &form).await;
        login.json["id_token"].as_str().unwrap().to_owned()
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.server.await.unwrap().unwrap();
    }
}

/// Asks an API server whose certificate must be signed by `ca`.
async fn by_tls(address: &str, ca: &str, path: &str, auth: &str) -> Answer {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", address)
        .header("authorization", auth)
        .body(Body::empty());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    let answer = answer(response.map(Body::new)).await;
    drop(sender);
    let _ = connection.await;
    answer
}

/// Waits for something that other tasks do.
async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .expect("it happens in good time")
}

#[tokio::test]
async fn people_steer_it_over_a_socket_and_reach_its_clusters_by_tls() {
    let sim = start(Settings::default());
    let hosted = hosted(&sim).await;
    let auth = format!("Bearer {}", hosted.id_token().await);
    let headers = [("authorization", auth.as_str()), ("content-type", "application/json")];
    let path = format!("/apis/ngpc.rxt.io/v1/namespaces/{ACME_NAMESPACE}/cloudspaces");
    let body = json!({
        "apiVersion": "ngpc.rxt.io/v1", "kind": "CloudSpace", "metadata": {"name": "c"},
        "spec": {"region": "us-east-iad-1", "kubernetesVersion": "1.33.0"},
    });
    assert_eq!(hosted.ask("POST", &path, &headers, &body.to_string()).await.status, 201);
    let faster = r#"{"settings":{"no_pool_ready":1}}"#;
    assert_eq!(hosted.ask("PATCH", "/_sim/state", &[], faster).await.status, 204);
    assert_eq!(
        hosted
            .ask("POST", "/_sim/advance", &[], r#"{"seconds":100}"#)
            .await
            .status,
        200
    );
    let object = hosted.ask("GET", &format!("{path}/c"), &headers, "").await.json;
    assert_eq!(object["status"]["phase"], "Ready");
    let endpoint = object["status"]["APIServerEndpoint"].as_str().unwrap();
    assert!(endpoint.starts_with("127.0.0.1:"), "{endpoint}");
    let ca = sim.kube("c").unwrap().ca_pem().to_owned();
    let version = by_tls(endpoint, &ca, "/version", &auth).await;
    assert_eq!(version.json["gitVersion"], "v1.33.0");
    assert_eq!(by_tls(endpoint, &ca, "/api/v1/namespaces", &auth).await.status, 200);
    assert_eq!(
        by_tls(endpoint, &ca, "/api/v1/namespaces", "Bearer other").await.status,
        401
    );

    let requests = hosted.ask("GET", "/_sim/requests?since=1", &[], "").await.json;
    let told: Vec<_> = requests
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["method"].as_str(), r["status"].as_u64()))
        .collect();
    assert_eq!(told, [(Some("POST"), Some(201)), (Some("GET"), Some(200))]);

    let fault = r#"{"match":{"method":"GET","path":"cloudspaces"},"times":1,"action":{"kind":"status","status":429}}"#;
    assert_eq!(hosted.ask("POST", "/_sim/faults", &[], fault).await.status, 201);
    assert_eq!(hosted.ask("GET", &path, &headers, "").await.status, 429);
    assert_eq!(hosted.ask("GET", &path, &headers, "").await.status, 200);
    assert_eq!(hosted.ask("POST", "/_sim/reset", &[], "").await.status, 204);
    assert_eq!(hosted.ask("GET", &path, &headers, "").await.json["items"], json!([]));
    hosted.stop().await;
}

#[tokio::test]
async fn a_seeded_state_gets_its_clusters_on_loopback_whether_it_came_before_or_over_the_socket() {
    let state = json!({
        "settings": {"cp_delay": 0},
        "cloudspaces": {format!("{ACME_NAMESPACE}/seeded"): {
            "metadata": {"name": "seeded", "namespace": ACME_NAMESPACE},
            "spec": {"region": "uk-lon-1", "kubernetesVersion": "1.33.0"},
        }},
    });
    for before in [true, false] {
        let sim = start(Settings::default());
        if before {
            sim.replace(state.clone()).unwrap();
            assert!(sim.kube("seeded").is_some());
        }
        let hosted = hosted(&sim).await;
        if !before {
            assert_eq!(
                hosted.ask("PUT", "/_sim/state", &[], &state.to_string()).await.status,
                204
            );
        }
        let found = async || {
            let state = hosted.ask("GET", "/_sim/state", &[], "").await.json;
            let object = &state["cloudspaces"][format!("{ACME_NAMESPACE}/seeded")];
            let endpoint = object["status"]["APIServerEndpoint"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            endpoint.starts_with("127.0.0.1:").then_some(endpoint)
        };
        let endpoint = eventually(found).await;
        TcpStream::connect(&endpoint).await.unwrap();
        hosted.stop().await;
        eventually(async || TcpStream::connect(&endpoint).await.err()).await;
    }
}

#[tokio::test]
async fn an_api_server_on_loopback_follows_an_upgrade_and_can_have_a_public_certificate() {
    for public in [false, true] {
        let sim = start(Settings {
            public_certificates: public,
            ..Settings::default()
        });
        let hosted = hosted(&sim).await;
        let auth = format!("Bearer {}", hosted.id_token().await);
        let headers = [("authorization", auth.as_str()), ("content-type", "application/json")];
        let path = format!("/apis/ngpc.rxt.io/v1/namespaces/{ACME_NAMESPACE}/cloudspaces");
        let body = json!({
            "apiVersion": "ngpc.rxt.io/v1", "kind": "CloudSpace", "metadata": {"name": "c"},
            "spec": {"region": "us-east-iad-1", "kubernetesVersion": "1.32.9"},
        });
        hosted.ask("POST", &path, &headers, &body.to_string()).await;
        let later = async || hosted.ask("POST", "/_sim/advance", &[], r#"{"seconds":200}"#).await;
        later().await;
        let object = hosted.ask("GET", &format!("{path}/c"), &headers, "").await.json;
        let endpoint = object["status"]["APIServerEndpoint"].as_str().unwrap().to_owned();
        let own = sim.kube("c").unwrap().ca_pem().to_owned();
        let ca = if public { sim.public_ca_pem() } else { &own };
        let version = async || by_tls(&endpoint, ca, "/version", &auth).await.json;
        assert_eq!(version().await["gitVersion"], "v1.32.9");
        let patch = [
            ("authorization", auth.as_str()),
            ("content-type", "application/merge-patch+json"),
        ];
        let wanted = r#"{"spec":{"kubernetesVersion":"1.33.0"}}"#;
        hosted.ask("PATCH", &format!("{path}/c"), &patch, wanted).await;
        later().await;
        hosted.ask("GET", &format!("{path}/c"), &headers, "").await;
        let told = version().await;
        assert_eq!((&told["gitVersion"], &told["minor"]), (&json!("v1.33.0"), &json!("33")));
        hosted.stop().await;
    }
}

#[tokio::test]
async fn a_notice_of_preemption_is_posted_to_a_webhook_on_this_machine() {
    let (notices, mut posted) = mpsc::unbounded_channel();
    let hook = Router::new().route("/hook", post(async move |body: String| notices.send(body).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let cancel = CancellationToken::new();
    let server = tokio::spawn(cloud_sim::serve(hook, listener, cancel.clone()));

    let client = Client::new(Settings::default()).await;
    client.create_cloudspace("c").await;
    client
        .call("PATCH", "cloudspaces/c", json!({"spec": {"webhook": url}}))
        .await;
    client.create_pool(POOL, "c", 2).await;
    client.sim.clock().advance(Duration::from_mins(1));
    client.get("cloudspaces/c").await;
    client.sim.set_market("*", "1");
    client.sim.clock().advance(Duration::from_secs(30));
    client.get("cloudspaces/c").await;
    let notice = tokio::time::timeout(Duration::from_secs(20), posted.recv())
        .await
        .unwrap()
        .unwrap();
    let notice: Value = serde_json::from_str(&notice).unwrap();
    assert_eq!(
        (&notice["event"], &notice["nodePool"]),
        (&json!("preemption"), &json!(POOL))
    );
    assert_eq!(notice["nodes"].as_array().unwrap().len(), 2);
    cancel.cancel();
    server.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_objects_can_be_put_there_without_a_request() {
    let sim = start(Settings::default());
    let mut object = json!({
        "apiVersion": "ngpc.rxt.io/v1", "kind": "CloudSpace",
        "metadata": {"name": "theirs", "namespace": ACME_NAMESPACE},
        "spec": {"region": "us-east-iad-1", "kubernetesVersion": "1.33.0"},
    });
    assert_eq!(sim.create(&object).unwrap()["metadata"]["generation"], 1);
    assert_eq!(sim.create(&object).unwrap_err()["reason"], "AlreadyExists");
    object["kind"] = "Planet".into();
    assert_eq!(sim.create(&object).unwrap_err()["code"], 404);
    assert_eq!(sim.objects("cloudspaces").len(), 1);
    assert!(sim.object("cloudspaces", ACME_NAMESPACE, "theirs").is_some());
    assert!(sim.object("regions", "", "uk-lon-1").is_some());
    assert!(sim.objects("planets").is_empty());
    assert!(sim.front().requests().is_empty());
}

/// A day in the life of a client.
async fn story() -> Value {
    let client = Client::new(Settings::default()).await;
    client.create_cloudspace("c").await;
    client.create_pool(POOL, "c", 3).await;
    client.wait(200).await;
    client.sim.set_market("*", "0.02");
    client.wait(100).await;
    client
        .call(
            "PATCH",
            &format!("spotnodepools/{POOL}"),
            json!({"spec": {"bidPrice": "0.03"}}),
        )
        .await;
    client.wait(400).await;
    client.create_cloudspace("d").await;
    client.call("DELETE", "cloudspaces/c", Value::Null).await;
    client.wait(30).await;
    client.sim.state()
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_the_same_requests_give_the_same_state() {
    let (first, second) = (story().await, story().await);
    assert_eq!(first, second);
    assert_eq!(first["notices"].as_array().unwrap().len(), 1, "much has happened");
}
