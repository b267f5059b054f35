//! What is logged. A test binary of its own: other tests, running at the same time without a subscriber, would switch log
//! lines off for the whole process.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use cloud_http::{Client, RetryPolicy, Secrets, StaticHeader, Transport};
use http::{Method, StatusCode, header};
use secrecy::SecretString;
use tracing_subscriber::fmt::MakeWriter;

const SECRET: &str = "s3cr3t-refresh-token";
const KEY: &str = "k3y-of-the-account";

/// Everything logged while it lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn logs_and_debug_texts_hold_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let service = Router::new().fallback(|| async {
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "you sent s3cr3t-refresh-token and k3y-of-the-account",
        )
    });
    let secrets = Secrets::new();
    secrets.add(&SecretString::from(KEY));
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .authenticator(StaticHeader::new(header::AUTHORIZATION, &SecretString::from(KEY)).unwrap())
        .secrets(secrets)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let call = client
        .call("log in", Method::POST, "/oauth/token")
        .form(&[("refresh_token", SECRET)])
        .secret(&SecretString::from(SECRET));
    let debug = format!("{call:?} {client:?}");
    let error = call.send().await.unwrap_err();
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("log in") && logged.contains("status=500"), "{logged}");
    for text in [logged, debug, error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(SECRET) && !text.contains(KEY), "{text}");
    }
}
