//! What errors, logs and requests say, and what they never say.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use axum::Router;
use axum::extract::RawQuery;
use cloud_http::{Client, Refused, RetryPolicy, Secrets, StaticHeader, Transport, by_status};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use kit::Class;
use secrecy::SecretString;

const SECRET: &str = "s3cr3t-refresh-token";
const KEY: &str = "k3y-of-the-account";

fn answering(status: u16, body: &'static str) -> Client {
    let service = Router::new().fallback(move || async move { (StatusCode::from_u16(status).unwrap(), body) });
    let secrets = Secrets::new();
    secrets.add(&SecretString::from(KEY));
    Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .authenticator(StaticHeader::new(header::AUTHORIZATION, &SecretString::from(KEY)).unwrap())
        .secrets(secrets)
        .retry(RetryPolicy::never())
        .classify(|refusal| {
            let body: serde_json::Value = serde_json::from_slice(refusal.body).unwrap_or_default();
            Refused {
                class: if body["why"] == "busy" {
                    Class::Transient
                } else {
                    by_status(refusal.status)
                },
                reason: body["message"].as_str().map(str::to_owned),
            }
        })
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_provider_decides_what_an_error_body_means() {
    let client = answering(418, r#"{"why":"busy","message":"try later, k3y-of-the-account"}"#);
    let error = client.call("brew tea", Method::GET, "/x").send().await.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
    assert_eq!(error.to_string(), "brew tea: try later, [redacted] (status 418)");
    assert_eq!(error.reason(), "try later, [redacted]");
}

#[tokio::test(start_paused = true)]
async fn a_body_nobody_can_read_is_shown_short() {
    let client = answering(502, "<html><body><h1>502 Bad Gateway</h1>\n<hr>nginx</body></html>");
    let error = client.call("list", Method::GET, "/x").send().await.unwrap_err();
    assert_eq!(error.to_string(), "list: 502 Bad Gateway nginx (status 502)");
    let error = answering(500, "")
        .call("list", Method::GET, "/x")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "list: 500 Internal Server Error");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_sensitive_body_is_shown() {
    for (status, body) in [
        (502, "grant for s0mething-else failed"),
        (200, r#"{"id_token": "s0mething-else"}"#),
        (200, "s0mething-else"),
    ] {
        let client = answering(status, body);
        let error = client
            .call("log in", Method::POST, "/oauth/token")
            .form(&[("refresh_token", SECRET)])
            .sensitive()
            .json::<Vec<u8>>()
            .await
            .unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("s0mething") && !text.contains(SECRET), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_say_what_they_should() {
    let service = Router::new().fallback(
        |uri: Uri, RawQuery(query): RawQuery, headers: HeaderMap, body: String| async move {
            let of = |name: &str| {
                headers
                    .get(name)
                    .and_then(|it| it.to_str().ok())
                    .unwrap_or("-")
                    .to_owned()
            };
            format!(
                "{} {} {} {} {} {body}",
                uri.path(),
                query.unwrap_or_default(),
                of("accept"),
                of("content-type"),
                of("user-agent")
            )
        },
    );
    let client = Client::builder("https://cloud.example/base/")
        .transport(Transport::from_service(service))
        .user_agent("tester/1")
        .build()
        .unwrap();
    let text = async |call: cloud_http::Call<'_>| String::from_utf8(call.send().await.unwrap().body.to_vec()).unwrap();
    assert_eq!(
        text(
            client
                .call("patch", Method::PATCH, cloud_http::path(&["a b", "x/y"]))
                .query("labelSelector", "a/b=c&d")
                .body_as("application/merge-patch+json", &serde_json::json!({"n": 1}))
        )
        .await,
        r#"/base/a%20b/x%2Fy labelSelector=a%2Fb%3Dc%26d application/json application/merge-patch+json tester/1 {"n":1}"#
    );
    assert_eq!(
        text(
            client
                .call("form", Method::POST, "/t")
                .form(&[("a", "1 2"), ("b", "&")])
        )
        .await,
        "/base/t  application/json application/x-www-form-urlencoded tester/1 a=1+2&b=%26"
    );
}

#[test]
fn a_base_url_that_is_none_is_refused() {
    for url in [
        "",
        "cloud.example",
        "ftp://x",
        "https://",
        "https://x/?q=1",
        "not a url",
    ] {
        let built = Client::builder(url)
            .transport(Transport::from_service(Router::new()))
            .build();
        assert!(built.is_err(), "{url:?}");
    }
}
