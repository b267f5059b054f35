//! The programs that stay: etcd, kube-apiserver and the simulator.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::Client;
use crate::play::Play;
use crate::serve::{acceptor, certificate, reply, serve};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

async fn terminated() {
    signal(SignalKind::terminate()).unwrap().recv().await;
}

fn file(play: &Play, flag: &str) -> String {
    std::fs::read_to_string(play.flag(&[flag]).unwrap()).unwrap()
}

/// Binds, or complains the way Go programs do.
async fn listen(address: &str) -> Option<TcpListener> {
    let listener = TcpListener::bind(address).await.ok();
    if listener.is_none() {
        eprintln!("listen tcp {address}: bind: address already in use");
    }
    listener
}

pub fn etcd(play: &Play) -> i32 {
    let url = play.flag(&["--listen-client-urls"]).unwrap();
    let tls = acceptor(
        &file(play, "--cert-file"),
        &file(play, "--key-file"),
        Some(&file(play, "--trusted-ca-file")),
    );
    let data = PathBuf::from(play.flag(&["--data-dir"]).unwrap()).join("member");
    std::fs::create_dir_all(&data).unwrap();
    block_on(async {
        let Some(listener) = listen(url.strip_prefix("https://").unwrap()).await else {
            return 1;
        };
        let server = serve(listener, tls, move |request| {
            let data = data.clone();
            async move { Some(store(&data, request).await) }
        });
        tokio::select! { () = server => 1, () = terminated() => 0 }
    })
}

/// Keeps what is put, in a file each.
async fn store(data: &Path, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let file = data.join(path.trim_start_matches('/').replace('/', "."));
    match method {
        _ if path == "/health" => reply(200, r#"{"health":"true"}"#),
        Method::PUT => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            std::fs::write(file, body).unwrap();
            reply(200, "")
        }
        _ => std::fs::read(file).map_or_else(|_| reply(404, ""), |body| reply(200, body)),
    }
}

pub fn api_server(play: &Play) -> i32 {
    if play.has("--version") {
        println!("Kubernetes v1.35.0");
        return 0;
    }
    file(play, "--service-account-key-file");
    let tls = acceptor(
        &file(play, "--tls-cert-file"),
        &file(play, "--tls-private-key-file"),
        Some(&file(play, "--client-ca-file")),
    );
    let etcd = Client {
        address: play.flag(&["--etcd-servers"]).unwrap().replace("https://", ""),
        ca: file(play, "--etcd-cafile"),
        certificate: file(play, "--etcd-certfile"),
        key: file(play, "--etcd-keyfile"),
    };
    let address = format!("127.0.0.1:{}", play.flag(&["--secure-port"]).unwrap());
    block_on(async {
        let Some(listener) = listen(&address).await else {
            return 1;
        };
        let server = serve(listener, tls, move |request| {
            let etcd = etcd.clone();
            async move { Some(api(&etcd, request).await) }
        });
        tokio::select! { () = server => 1, () = terminated() => 0 }
    })
}

/// Ready as long as its etcd is; every object is kept there.
async fn api(etcd: &Client, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let unavailable = || reply(500, "[+]ping ok\n[-]etcd failed: reason withheld\n");
    match path.as_str() {
        "/readyz" => match etcd.call("GET", "/health", "").await {
            Some((200, _)) => reply(200, "ok"),
            _ => unavailable(),
        },
        "/version" => reply(200, r#"{"gitVersion":"v1.35.0"}"#),
        "/api/v1/nodes" => reply(200, r#"{"items":[]}"#),
        _ => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let answer = etcd.call(method.as_str(), &path, &String::from_utf8_lossy(&body)).await;
            answer.map_or_else(unavailable, |(status, body)| reply(status, body))
        }
    }
}

/// The simulator's: it has no etcd.
fn plain(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/readyz" => reply(200, "ok"),
        "/version" => reply(200, r#"{"gitVersion":"v1.35.0"}"#),
        "/api/v1/nodes" => reply(200, r#"{"items":[]}"#),
        _ => reply(404, "{}"),
    }
}

pub fn idle() -> i32 {
    block_on(async {
        terminated().await;
        0
    })
}

pub fn sim(play: &Play) -> i32 {
    let state = play.flag(&["--state"]).unwrap();
    let starts = std::fs::read_to_string(&state)
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok())
        .unwrap_or(0)
        + 1;
    let (pem, key) = certificate();
    let tls = acceptor(&pem, &key, None);
    let address = play.flag(&["--listen"]).unwrap();
    block_on(async {
        let Some(listener) = listen(&address).await else {
            return 1;
        };
        let config = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: s, cluster: {{server: 'https://{address}', certificate-authority-data: {}}}}}]\nusers: [{{name: s, user: {{token: t}}}}]\ncontexts: [{{name: s, context: {{cluster: s, user: s}}}}]\n",
            STANDARD.encode(&pem)
        );
        std::fs::write(play.flag(&["--kubeconfig"]).unwrap(), config).unwrap();
        println!("{}", json!({"sim": "kubernetes", "url": address}));
        tokio::select! { () = serve(listener, tls, |request| async move { Some(plain(&request)) }) => {}, () = terminated() => {} }
        std::fs::write(state, starts.to_string()).unwrap();
        0
    })
}
