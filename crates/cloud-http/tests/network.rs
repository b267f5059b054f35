//! The transport that real programs use, over loopback sockets.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use cloud_http::{Client, Failure, Proxy, RetryPolicy, Roots, Transport, TransportError, TransportOptions};
use http::{Method, Uri};
use kit::Class;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn client(options: &TransportOptions, url: String) -> Client {
    Client::builder(url)
        .transport(Transport::network(options).unwrap())
        .retry(RetryPolicy::never())
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_request_goes_over_a_socket_and_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/x", get(|| async { "[1,2]" }));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let client = client(&TransportOptions::default(), url);
    for _ in 0..3 {
        let list: Vec<u8> = client.call("list", Method::GET, "/x").json().await.unwrap();
        assert_eq!(list, [1, 2]);
    }
    server.abort();
}

#[tokio::test]
async fn a_closed_port_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&TransportOptions::default(), url)
        .call("make", Method::POST, "/x")
        .send()
        .await
        .unwrap_err();
    assert!(matches!(error.failure(), Failure::Connect(_)), "{error:?}");
    assert!(!error.is_ambiguous());
}

#[test]
fn certificates_that_are_none_are_refused() {
    let with = |pem: &[u8]| {
        Transport::network(&TransportOptions {
            roots: Roots::Pem(pem.to_vec()),
            ..TransportOptions::default()
        })
    };
    assert!(matches!(with(b"").unwrap_err(), TransportError::NoRoots));
    assert!(matches!(with(b"hello").unwrap_err(), TransportError::NoRoots));
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(with(broken).unwrap_err(), TransportError::Tls(_)));
}

#[tokio::test]
async fn a_lazy_transport_is_made_once_for_the_first_request() {
    let made = Arc::new(AtomicUsize::new(0));
    let lazy = |works: bool| {
        let made = Arc::clone(&made);
        Transport::lazy(move || {
            made.fetch_add(1, Ordering::Relaxed);
            if works {
                Ok(Transport::from_service(Router::new().fallback(|| async { "[]" })))
            } else {
                Err(TransportError::NoRoots)
            }
        })
    };
    let ask = async |transport: &Transport| {
        let client = Client::builder("http://cloud.example").transport(transport.clone());
        let client = client.build().unwrap();
        client.call("list", Method::GET, "/x").json::<Vec<String>>().await
    };
    let transport = lazy(true);
    assert_eq!(made.load(Ordering::Relaxed), 0);
    for _ in 0..2 {
        ask(&transport).await.unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
    let broken = lazy(false);
    for _ in 0..2 {
        let text = kit::chain(&ask(&broken).await.unwrap_err());
        assert!(
            text.contains("no certificate among the trusted certificates given"),
            "{text}"
        );
    }
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

fn proxied(address: std::net::SocketAddr, no: &str) -> TransportOptions {
    let proxy = format!("http://{address}");
    TransportOptions {
        proxy: Proxy::Fixed {
            https: proxy.clone(),
            http: proxy,
            no: no.to_owned(),
        },
        ..TransportOptions::default()
    }
}

#[tokio::test]
async fn plain_requests_name_the_whole_url_to_a_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(|uri: Uri| async move { format!("[{:?}]", uri.to_string()) });
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let through = client(&proxied(address, ""), "http://cloud.example".to_owned());
    let seen: Vec<String> = through.call("list", Method::GET, "/x").json().await.unwrap();
    assert_eq!(seen, ["http://cloud.example/x"]);
    let direct = client(&proxied(address, ""), format!("http://{address}"));
    let seen: Vec<String> = direct.call("list", Method::GET, "/x").json().await.unwrap();
    assert_eq!(seen, ["/x"], "what runs on this machine is asked directly");
    server.abort();
}

#[tokio::test]
async fn secure_requests_ask_a_proxy_for_a_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut line = String::new();
        BufReader::new(&mut stream).read_line(&mut line).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        line
    });
    let client = client(&proxied(address, ""), "https://cloud.example".to_owned());
    let error = client.call("make", Method::POST, "/x").send().await.unwrap_err();
    assert!(
        matches!(error.failure(), Failure::Proxy { proxy, .. } if *proxy == format!("http://{address}")),
        "{error:?}"
    );
    assert!(!error.is_ambiguous());
    assert_eq!(proxy.await.unwrap().trim_end(), "CONNECT cloud.example:443 HTTP/1.1");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_not_spoken_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for scheme in ["http", "https", "socks5"] {
        let options = TransportOptions {
            proxy: Proxy::Fixed {
                https: format!("{scheme}://me:s3cr3t-password@{address}"),
                http: String::new(),
                no: String::new(),
            },
            ..TransportOptions::default()
        };
        let error = client(&options, "https://cloud.example".to_owned())
            .call("list", Method::GET, "/x")
            .send()
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("the proxy {scheme}://{address}: ")), "{text}");
        assert!(!format!("{text}{error:?}").contains("s3cr3t"), "{text}");
    }
}

#[tokio::test]
async fn only_a_certificate_that_is_trusted_is_accepted() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut bytes = [0; 1024];
            let _ = stream.read(&mut bytes).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]")
                .await;
            let _ = stream.shutdown().await;
        }
    });
    let ask = async |roots: Roots| {
        let options = TransportOptions {
            roots,
            ..TransportOptions::default()
        };
        client(&options, url.clone())
            .call("list", Method::GET, "/x")
            .json::<Vec<u8>>()
            .await
    };
    ask(Roots::Pem(cert.pem().into_bytes())).await.unwrap();
    ask(Roots::Anybody).await.unwrap();
    let error = ask(Roots::System).await.unwrap_err();
    assert!(
        matches!(error.failure(), Failure::Untrusted(_)) && error.to_string().contains("certificate"),
        "{error}"
    );
    assert_eq!(
        (error.class(), error.attempts()),
        (Class::Permanent, 1),
        "it was tried again in vain"
    );
    server.abort();
}
