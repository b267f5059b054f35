//! How requests get their credential, and what happens when it is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use cloud_http::{Client, Error, Secrets, StaticHeader, Token, TokenSource, Tokens, Transport};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use kit::{Class, Clock};

/// Gives out `token-1`, `token-2`, …, each after a second, or fails.
struct Source {
    fetched: Arc<AtomicUsize>,
    life: Duration,
    broken: bool,
    clock: Clock,
}

#[async_trait]
impl TokenSource for Source {
    async fn fetch(&self) -> Result<Token, Error> {
        let n = self.fetched.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if self.broken {
            return Err(Error::new(
                "fetch a token",
                Class::Unauthorized,
                "the refresh token was refused",
            ));
        }
        Ok(Token {
            secret: format!("token-{n}").into(),
            expires: Some(self.clock.now() + self.life),
        })
    }
}

struct Setup {
    client: Client,
    fetched: Arc<AtomicUsize>,
    served: Arc<AtomicUsize>,
}

/// A server that refuses every token below `oldest`.
fn setup(oldest: usize, life: Duration, broken: bool) -> Setup {
    let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
    let fetched = Arc::new(AtomicUsize::new(0));
    let served = Arc::new(AtomicUsize::new(0));
    let counter = served.clone();
    let service = Router::new().fallback(move |headers: HeaderMap| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let token = headers
                .get("authorization")
                .and_then(|it| it.to_str().ok())
                .unwrap_or_default();
            let number = token
                .strip_prefix("Bearer token-")
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            if number >= oldest {
                StatusCode::OK
            } else {
                StatusCode::UNAUTHORIZED
            }
        }
    });
    let secrets = Secrets::new();
    let source = Source {
        fetched: fetched.clone(),
        life,
        broken,
        clock: clock.clone(),
    };
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .authenticator(Tokens::new(source, clock, secrets.clone()))
        .secrets(secrets)
        .build()
        .unwrap();
    Setup {
        client,
        fetched,
        served,
    }
}

async fn get(client: &Client) -> Result<(), Error> {
    client.call("get", Method::GET, "/x").send().await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_once_and_again_a_minute_before_its_end() {
    let it = setup(1, Duration::from_mins(10), false);
    get(&it.client).await.unwrap();
    tokio::time::sleep(Duration::from_secs(538)).await;
    get(&it.client).await.unwrap();
    assert_eq!(it.fetched.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    get(&it.client).await.unwrap();
    assert_eq!(it.fetched.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_short_lived_token_serves_half_its_life() {
    let it = setup(1, Duration::from_mins(1), false);
    for _ in 0..20 {
        get(&it.client).await.unwrap();
    }
    assert_eq!(it.fetched.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(31)).await;
    get(&it.client).await.unwrap();
    assert_eq!(it.fetched.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn many_callers_wait_for_one_fetch() {
    let it = setup(1, Duration::from_hours(1), false);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let client = it.client.clone();
            tokio::spawn(async move { get(&client).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(it.fetched.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once_however_many_were_refused() {
    let it = setup(2, Duration::from_hours(1), false);
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let client = it.client.clone();
            tokio::spawn(async move { get(&client).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(it.fetched.load(Ordering::SeqCst), 2);
    assert_eq!(it.served.load(Ordering::SeqCst), 10);
}

#[tokio::test(start_paused = true)]
async fn a_post_is_replayed_after_a_401_because_nothing_was_done() {
    let it = setup(2, Duration::from_hours(1), false);
    it.client.call("make", Method::POST, "/x").send().await.unwrap();
    assert_eq!(it.served.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_stays_refused_is_replayed_only_once() {
    let it = setup(99, Duration::from_hours(1), false);
    let error = get(&it.client).await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized);
    assert_eq!(it.served.load(Ordering::SeqCst), 2);
    assert_eq!(it.fetched.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_token_that_looks_like_the_old_one_is_tried_too() {
    struct Same;
    #[async_trait]
    impl TokenSource for Same {
        async fn fetch(&self) -> Result<Token, Error> {
            Ok(Token {
                secret: "always-the-same".into(),
                expires: None,
            })
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let service = Router::new().fallback(move || {
        let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                StatusCode::UNAUTHORIZED
            } else {
                StatusCode::OK
            }
        }
    });
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .authenticator(Tokens::new(Same, Clock::system(), Secrets::new()))
        .build()
        .unwrap();
    get(&client).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn callers_who_waited_for_a_failing_fetch_share_its_error() {
    let it = setup(1, Duration::from_hours(1), true);
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let client = it.client.clone();
            tokio::spawn(async move { get(&client).await })
        })
        .collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "fetch a token: the refresh token was refused");
        assert!(!error.is_ambiguous());
    }
    assert_eq!(it.fetched.load(Ordering::SeqCst), 1);
    assert_eq!(it.served.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_key_is_sent_as_it_is_and_not_replayed() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let service = Router::new().fallback(move |headers: HeaderMap| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            assert_eq!(headers["x-auth-token"], "key-123456");
            StatusCode::UNAUTHORIZED
        }
    });
    let key = StaticHeader::new(HeaderName::from_static("x-auth-token"), &"key-123456".into()).unwrap();
    assert!(!format!("{key:?}").contains("key-123456"));
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .authenticator(key)
        .build()
        .unwrap();
    get(&client).await.unwrap_err();
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_anonymous_call_carries_no_credential() {
    let it = setup(0, Duration::from_hours(1), false);
    it.client
        .call("public", Method::GET, "/x")
        .anonymous()
        .send()
        .await
        .unwrap();
    assert_eq!(it.fetched.load(Ordering::SeqCst), 0);
}
