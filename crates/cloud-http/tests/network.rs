//! The transport that real programs use, over loopback sockets.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use cloud_http::{Client, Failure, RetryPolicy, Roots, Transport, TransportError, TransportOptions};
use http::Method;
use tokio::net::TcpListener;

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
