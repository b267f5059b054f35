//! On real sockets with TLS: what is tested is what happens to connections.

use std::net::SocketAddr;
use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube_sim::KubeSim;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::Fence;
use crate::client::ClientConfig;

struct Server {
    sim: KubeSim,
    address: SocketAddr,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(at: SocketAddr, seed: u64) -> Self {
        let sim = KubeSim::builder().seed(seed).build();
        let listener = TcpListener::bind(at).await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let (serving, end) = (sim.clone(), stop.clone());
        let ended = tokio::spawn(async move { kube_sim::serve::tls(serving, listener, end).await.unwrap() });
        Self {
            sim,
            address,
            stop,
            ended,
        }
    }

    async fn anywhere() -> Self {
        Self::start(([127, 0, 0, 1], 0).into(), 1).await
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    fn accept(&self, token: &str) {
        self.sim.add_token(token, token, &["system:masters"], None);
    }

    fn revoke(&self, token: &str) {
        let past = "2001-01-01T00:00:00Z".parse().unwrap();
        self.sim.add_token(token, token, &[], Some(past));
    }

    fn last_user(&self) -> String {
        self.sim.requests().last().unwrap().user.clone()
    }

    async fn stop(self) -> SocketAddr {
        self.stop.cancel();
        self.ended.await.unwrap();
        self.address
    }
}

/// A kubeconfig whose token and authority are in files.
fn kubeconfig(dir: &Path, url: &str) -> ClientConfig {
    let path = dir.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
         clusters: [{{name: a, cluster: {{server: '{url}', certificate-authority: ca.crt}}}}]\n\
         users: [{{name: a, user: {{tokenFile: token}}}}]\n\
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    ClientConfig {
        kubeconfig: Some(path),
        ..ClientConfig::default()
    }
}

async fn client(config: &ClientConfig) -> Api<Namespace> {
    Api::all(config.client("test", None, &Fence::open()).await.unwrap())
}

fn write(dir: &Path, name: &str, text: &str) {
    // As kubelet does: a new file takes the place of the old one.
    std::fs::write(dir.join("new"), text).unwrap();
    std::fs::rename(dir.join("new"), dir.join(name)).unwrap();
}

#[tokio::test]
async fn a_token_that_is_refused_is_read_again_and_the_request_repeated() {
    let (server, dir) = (Server::anywhere().await, tempfile::tempdir().unwrap());
    server.accept("one");
    write(dir.path(), "token", "one");
    write(dir.path(), "ca.crt", server.sim.ca_pem());
    let api = client(&kubeconfig(dir.path(), &server.url())).await;
    api.get("default").await.unwrap();
    assert_eq!(server.last_user(), "one");
    // The old one ends before the new one is there: an error, and no more than that.
    server.revoke("one");
    assert!(matches!(api.get("default").await, Err(kube::Error::Api(status)) if status.code == 401));
    server.accept("two");
    write(dir.path(), "token", "two\n");
    let patch = kube::api::Patch::Merge(serde_json::json!({"metadata": {"labels": {"a": "b"}}}));
    api.patch("default", &kube::api::PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(
        server.last_user(),
        "two",
        "a write, body and all, is sent again with the new token"
    );
}

#[tokio::test]
async fn a_token_that_is_replaced_while_it_is_still_good_is_used_after_ten_seconds() {
    let (server, dir) = (Server::anywhere().await, tempfile::tempdir().unwrap());
    for token in ["one", "two"] {
        server.accept(token);
    }
    write(dir.path(), "token", "one");
    write(dir.path(), "ca.crt", server.sim.ca_pem());
    let api = client(&kubeconfig(dir.path(), &server.url())).await;
    api.get("default").await.unwrap();
    write(dir.path(), "token", "two");
    api.get("default").await.unwrap();
    assert_eq!(server.last_user(), "one", "the files are not read for each request");
    tokio::time::pause();
    tokio::time::advance(LOOK).await;
    tokio::time::resume();
    api.get("default").await.unwrap();
    assert_eq!(server.last_user(), "two");
}

#[tokio::test]
async fn a_server_with_a_new_authority_is_trusted_once_the_file_says_so() {
    let (server, dir) = (Server::anywhere().await, tempfile::tempdir().unwrap());
    server.accept("one");
    write(dir.path(), "token", "one");
    write(dir.path(), "ca.crt", server.sim.ca_pem());
    let api = client(&kubeconfig(dir.path(), &server.url())).await;
    api.get("default").await.unwrap();
    let old = server.sim.ca_pem().to_owned();
    let server = Server::start(server.stop().await, 2).await;
    server.accept("one");
    assert_ne!(server.sim.ca_pem(), old);
    assert!(api.get("default").await.is_err(), "whoever this is, it is not trusted");
    assert!(server.sim.requests().is_empty());
    // Half a file is no reason to stop working.
    write(dir.path(), "ca.crt", "-----BEGIN CERTIFICATE-----\nMIIB");
    assert!(api.get("default").await.is_err());
    write(dir.path(), "ca.crt", server.sim.ca_pem());
    api.get("default").await.unwrap();
    assert_eq!(server.last_user(), "one");
}

#[tokio::test]
async fn a_pod_uses_the_token_and_authority_that_kubelet_renews() {
    let (server, dir) = (Server::anywhere().await, tempfile::tempdir().unwrap());
    server.accept("one");
    write(dir.path(), "token", "one");
    write(dir.path(), "ca.crt", server.sim.ca_pem());
    write(dir.path(), "namespace", "kube-system");
    let config = ClientConfig {
        pod: Some(super::super::Pod {
            dir: dir.path().to_owned(),
            host: "127.0.0.1".to_owned(),
            port: server.address.port().to_string(),
        }),
        ..ClientConfig::default()
    };
    assert_eq!(config.load().await.unwrap().default_namespace, "kube-system");
    let api = client(&config).await;
    api.get("default").await.unwrap();
    server.revoke("one");
    server.accept("two");
    write(dir.path(), "token", "two");
    api.get("default").await.unwrap();
    assert_eq!(server.last_user(), "two");
    let server = Server::start(server.stop().await, 3).await;
    server.accept("two");
    write(dir.path(), "ca.crt", server.sim.ca_pem());
    api.get("default").await.unwrap();
}

/// A client whose requests are all answered with this status, and noted.
fn answering(status: u16, sent: &Arc<Mutex<Vec<Method>>>) -> Client {
    let sent = Arc::clone(sent);
    let service = tower::service_fn(move |request: Request<Body>| {
        sent.lock().unwrap().push(request.method().clone());
        async move {
            let answer = Response::builder().status(status).body(Body::empty());
            Ok::<_, BoxError>(answer.unwrap())
        }
    });
    Client::new(service, "default")
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_new_credentials_is_sent_only_by_who_still_holds_the_lease() {
    let dir = tempfile::tempdir().unwrap();
    let (fence, sent) = (Fence::open(), Arc::<Mutex<Vec<Method>>>::default());
    write(dir.path(), "token", "one");
    let (token, making, log) = (dir.path().join("token"), fence.clone(), Arc::clone(&sent));
    let make: Make = Box::new(move || {
        let renewed = !log.lock().unwrap().is_empty();
        if renewed {
            // It takes so long that another one has the lease.
            making.close();
        }
        let client = answering(if renewed { 200 } else { 401 }, &log);
        Box::pin(async move { Ok(client) })
    });
    let rotating = Rotating::new(Box::new(move || vec![token.clone()]), make, fence.clone());
    let rotating = rotating.await.unwrap();
    let send = |method: Method| {
        let request = Request::builder().method(method).uri("/api").body(Body::empty());
        rotating.clone().send(request.unwrap())
    };
    write(dir.path(), "token", "two");
    let refused = send(Method::PATCH).await.err().unwrap();
    assert!(refused.is::<crate::Fenced>(), "{refused}");
    assert_eq!(
        *sent.lock().unwrap(),
        [Method::PATCH],
        "it was sent once, with the old token"
    );
    assert_eq!(send(Method::GET).await.unwrap().status(), 200, "reading goes on");

    // The same before a first sending: the files are looked at, and the lease is lost over it.
    fence.extend(Instant::now(), 3 * LOOK);
    write(dir.path(), "token", "three");
    tokio::time::advance(LOOK).await;
    assert!(send(Method::DELETE).await.err().unwrap().is::<crate::Fenced>());
    assert_eq!(*sent.lock().unwrap(), [Method::PATCH, Method::GET]);
}
