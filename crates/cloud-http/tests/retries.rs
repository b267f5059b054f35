//! What is repeated, when, and what is not.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use cloud_http::{Client, Error, Failure, RetryPolicy, TokenBucket, Transport};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use kit::Class;
use tokio::time::Instant;

/// A client whose n-th request (from 1) is answered by `answer(n)`, and the number of requests so far.
fn client(
    policy: RetryPolicy,
    answer: impl Fn(usize) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (Client, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let service = Router::new().fallback(move || {
        let answer = answer.clone();
        let n = counter.fetch_add(1, Ordering::SeqCst) + 1;
        async move { answer(n) }
    });
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .retry(policy)
        .build()
        .unwrap();
    (client, count)
}

fn status(code: u16) -> Response<Body> {
    Response::builder().status(code).body(Body::empty()).unwrap()
}

fn ok(body: &'static str) -> Response<Body> {
    Response::new(Body::from(body))
}

async fn send(client: &Client, method: Method) -> Result<StatusCode, Error> {
    client
        .call("do it", method, "/x")
        .send()
        .await
        .map(|reply| reply.status)
}

#[tokio::test(start_paused = true)]
async fn reads_are_repeated_through_passing_faults() {
    for code in [408, 429, 500, 502, 503, 504] {
        let (client, count) = client(
            RetryPolicy::default(),
            move |n| if n < 4 { status(code) } else { ok("") },
        );
        assert_eq!(send(&client, Method::GET).await.unwrap(), 200, "{code}");
        assert_eq!(count.load(Ordering::SeqCst), 4, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_not_repeated() {
    for (code, class) in [
        (400, Class::Invalid),
        (401, Class::Unauthorized),
        (403, Class::Unauthorized),
        (404, Class::NotFound),
        (409, Class::Conflict),
        (422, Class::Invalid),
        (501, Class::Permanent),
    ] {
        let (client, count) = client(RetryPolicy::default(), move |_| status(code));
        let error = send(&client, Method::GET).await.unwrap_err();
        assert_eq!((error.class(), error.status().unwrap().as_u16()), (class, code));
        assert_eq!(count.load(Ordering::SeqCst), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_is_not_repeated_when_it_may_have_taken_effect() {
    let (client, count) = client(RetryPolicy::default(), |_| status(500));
    let error = send(&client, Method::POST).await.unwrap_err();
    assert!(error.is_ambiguous());
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_was_turned_away_is_repeated() {
    let (client, count) = client(
        RetryPolicy::default(),
        |n| if n < 3 { status(429) } else { status(201) },
    );
    assert_eq!(send(&client, Method::POST).await.unwrap(), 201);
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_post_declared_repeatable_is_repeated_and_stays_ambiguous() {
    let (client, count) = client(
        RetryPolicy::default(),
        |n| if n == 1 { status(502) } else { status(409) },
    );
    let error = client
        .call("make", Method::POST, "/x")
        .repeatable()
        .send()
        .await
        .unwrap_err();
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert_eq!(error.class(), Class::Conflict);
    assert!(error.is_ambiguous(), "the first one may have made it");
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_is_never_ambiguous() {
    let (client, _) = client(RetryPolicy::never(), |_| status(500));
    assert!(!send(&client, Method::GET).await.unwrap_err().is_ambiguous());
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_in_both_forms() {
    let clock = kit::Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
    for value in ["7", "Thu, 01 Jan 2026 00:00:07 GMT"] {
        clock.set("2026-01-01T00:00:00Z".parse().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let service = Router::new().fallback(move || {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    Response::builder()
                        .status(429)
                        .header("retry-after", value)
                        .body(Body::empty())
                        .unwrap()
                } else {
                    ok("")
                }
            }
        });
        let client = Client::builder("https://cloud.example")
            .transport(Transport::from_service(service))
            .clock(clock.clone())
            .build()
            .unwrap();
        let begun = Instant::now();
        send(&client, Method::GET).await.unwrap();
        let waited = begun.elapsed().as_secs_f64();
        assert!((6.9..7.2).contains(&waited), "{value}: {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_more_than_the_budget_is_not_waited_for() {
    let (client, count) = client(RetryPolicy::default(), |_| {
        Response::builder()
            .status(429)
            .header("retry-after", "600")
            .body(Body::empty())
            .unwrap()
    });
    let begun = Instant::now();
    let error = send(&client, Method::GET).await.unwrap_err();
    assert_eq!(
        error.class(),
        Class::Throttled {
            after: Some(Duration::from_mins(10))
        }
    );
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// A server that asks once, at the first request, to be left alone for so many seconds.
fn busy(policy: RetryPolicy, seconds: &'static str) -> (Client, Arc<AtomicUsize>) {
    client(policy, move |n| match n {
        1 => Response::builder()
            .status(429)
            .header("retry-after", seconds)
            .body(Body::empty())
            .unwrap(),
        _ => ok(""),
    })
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_again_in_the_place_of_who_was_told_to_wait() {
    let (client, count) = busy(RetryPolicy::default(), "30");
    let begun = Instant::now();
    let told = tokio::spawn({
        let client = client.clone();
        async move { send(&client, Method::GET).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
    // Another request is another matter.
    client
        .call("do it", Method::GET, "/x")
        .query("page", "2")
        .send()
        .await
        .unwrap();
    client.call("do it", Method::GET, "/y").send().await.unwrap();
    assert_eq!((count.load(Ordering::SeqCst), begun.elapsed().as_secs()), (3, 1));
    send(&client, Method::GET).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(30), "{:?}", begun.elapsed());
    told.await.unwrap().unwrap();
    let after = Instant::now();
    send(&client, Method::GET).await.unwrap();
    assert_eq!(after.elapsed(), Duration::ZERO, "the wait is over");
    assert_eq!(count.load(Ordering::SeqCst), 6);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_wait_so_long_is_told_without_asking() {
    let (client, count) = busy(RetryPolicy::default(), "600");
    send(&client, Method::POST).await.unwrap_err();
    tokio::time::sleep(Duration::from_mins(1)).await;
    let error = send(&client, Method::POST).await.unwrap_err();
    assert_eq!(
        error.class(),
        Class::Throttled {
            after: Some(Duration::from_mins(9))
        }
    );
    assert!(
        !error.is_ambiguous() && error.to_string().contains("left alone for another 9m0s"),
        "{error}"
    );
    assert_eq!((count.load(Ordering::SeqCst), error.attempts()), (1, 0));
    let (client, count) = busy(RetryPolicy::never(), "1");
    send(&client, Method::GET).await.unwrap_err();
    send(&client, Method::GET).await.unwrap_err();
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn waits_double_with_jitter_and_end_with_the_budget() {
    let policy = RetryPolicy {
        attempts: 100,
        first: Duration::from_secs(1),
        most: Duration::from_secs(8),
        budget: Duration::from_secs(30),
    };
    let (client, count) = client(policy, |_| status(503));
    let begun = Instant::now();
    let error = send(&client, Method::GET).await.unwrap_err();
    let took = begun.elapsed().as_secs_f64();
    assert!((15.0..=30.0).contains(&took), "{took}");
    let sent = count.load(Ordering::SeqCst);
    assert!((4..=7).contains(&sent), "{sent}");
    assert_eq!(error.attempts() as usize, sent);
    assert!(
        error.to_string().ends_with(&format!("after {sent} attempts")),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_leaves_waiting_fails_at_once_and_keeps_to_what_was_asked() {
    let (client, count) = client(RetryPolicy::default(), |n| match n {
        1 => Response::builder()
            .status(429)
            .header("retry-after", "5")
            .body(Body::empty())
            .unwrap(),
        _ => ok(""),
    });
    let order = async |what: &str| {
        let call = client.call("order", Method::POST, "/orders").body(&what);
        call.leave_waiting().send().await.map(|reply| reply.status)
    };
    let begun = Instant::now();
    let class = |result: Result<StatusCode, Error>| result.unwrap_err().class();
    let after = Some(Duration::from_secs(5));
    assert_eq!(class(order("a").await), Class::Throttled { after });
    assert_eq!(class(order("a").await), Class::Throttled { after });
    assert_eq!((count.load(Ordering::SeqCst), begun.elapsed()), (1, Duration::ZERO));
    // Another order at the same place is as unwelcome.
    assert_eq!(class(order("b").await), Class::Throttled { after });
    assert_eq!(count.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(order("a").await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_his_turn_does_not_ask_what_others_were_told_to_leave_alone_meanwhile() {
    let begun = Instant::now();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let service = Router::new().fallback({
        let asked = asked.clone();
        move || {
            let first = {
                let mut asked = asked.lock().unwrap();
                asked.push(begun.elapsed().as_secs());
                asked.len() == 1
            };
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if first {
                    return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "5")]).into_response();
                }
                StatusCode::OK.into_response()
            }
        }
    });
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .build()
        .unwrap();
    let one_at_a_time = tokio::sync::Semaphore::new(1);
    let ask = async || {
        let call = client.call("ask", Method::GET, "/").within(&one_at_a_time);
        call.send().await.map(|reply| reply.status)
    };
    let answers = tokio::join!(ask(), ask());
    assert_eq!(
        (answers.0.unwrap(), answers.1.unwrap()),
        (StatusCode::OK, StatusCode::OK)
    );
    assert_eq!(
        *asked.lock().unwrap(),
        [0, 6, 7],
        "the second one came to his turn after one second"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_transport_withholds_was_never_sent() {
    let service = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, _>(cloud_http::Withheld("not now".to_owned()))
    });
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .build()
        .unwrap();
    let error = send(&client, Method::POST).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::Withheld(_)) && !error.is_ambiguous());
    assert_eq!(
        error.to_string(),
        "do it: the request was not sent: not now, after 5 attempts"
    );
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_a_deadline() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let service = Router::new().fallback(move || {
        let n = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            if n < 2 {
                tokio::time::sleep(Duration::from_hours(1)).await;
            }
            "late"
        }
    });
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let begun = Instant::now();
    assert_eq!(send(&client, Method::GET).await.unwrap(), 200);
    assert!((10.0..14.0).contains(&begun.elapsed().as_secs_f64()));

    count.store(0, Ordering::SeqCst);
    let error = send(&client, Method::POST).await.unwrap_err();
    assert!(
        matches!(error.failure(), Failure::Timeout(_)) && error.is_ambiguous(),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "do it: no answer within 5s");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_proves_that_nothing_was_done() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let service = tower::service_fn(move |_: Request<Full<Bytes>>| {
        let n = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            match n {
                0 => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
                1 => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
                _ => Ok(Response::new(Full::new(Bytes::new()))),
            }
        }
    });
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .build()
        .unwrap();
    let error = send(&client, Method::POST).await.unwrap_err();
    assert_eq!(count.load(Ordering::SeqCst), 2, "refused is repeated, reset is not");
    assert!(matches!(error.failure(), Failure::Broken(_)) && error.is_ambiguous());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_makes_no_sense_is_asked_for_again() {
    let (client, count) = client(RetryPolicy::default(), |n| {
        if n < 3 { ok(r#"{"cut": "o"#) } else { ok("[1]") }
    });
    let list: Vec<u8> = client.call("list", Method::GET, "/x").json().await.unwrap();
    assert_eq!((list, count.load(Ordering::SeqCst)), (vec![1], 3));
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_the_limit_is_refused_at_once() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let service = Router::new().fallback(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async { "x".repeat(2000) }
    });
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(service))
        .max_reply(1000)
        .build()
        .unwrap();
    let error = send(&client, Method::GET).await.unwrap_err();
    assert_eq!(error.to_string(), "do it: the answer is larger than 1000 bytes");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_token_bucket_spaces_requests_and_repeats() {
    let client = Client::builder("https://cloud.example")
        .transport(Transport::from_service(Router::new().fallback(|| async { "" })))
        .limit(TokenBucket::new(1.0, 2))
        .build()
        .unwrap();
    let begun = Instant::now();
    for _ in 0..5 {
        send(&client, Method::GET).await.unwrap();
    }
    assert!((2990..3010).contains(&begun.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn every_operation_has_its_counters() {
    let (client, _) = client(
        RetryPolicy::default(),
        |n| if n < 3 { status(429) } else { status(404) },
    );
    send(&client, Method::GET).await.unwrap_err();
    client.call("other", Method::GET, "/y").send().await.unwrap_err();
    let counters = client.metrics().snapshot();
    assert_eq!(counters.keys().copied().collect::<Vec<_>>(), ["do it", "other"]);
    let it = counters["do it"];
    assert_eq!((it.calls, it.errors, it.attempts, it.throttled), (1, 1, 3, 2));
    assert!(it.longest >= Duration::from_millis(1500) && it.total == it.longest);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_stops_it() {
    let (client, count) = client(RetryPolicy::default(), |_| status(503));
    let call = send(&client, Method::GET);
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
}
