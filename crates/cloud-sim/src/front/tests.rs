use std::time::Duration;

use axum::routing::get;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;

/// The smallest cloud: one number that can be read and raised.
struct Counter {
    clock: Clock,
    count: Arc<Mutex<u64>>,
}

fn api(count: Arc<Mutex<u64>>) -> Router {
    let raise = count.clone();
    let read = get(move || {
        let count = *count.lock().unwrap();
        async move { format!("count is {count}") }
    });
    Router::new().route(
        "/count",
        read.post(move || {
            let mut count = raise.lock().unwrap();
            *count += 1;
            let now = *count;
            async move { now.to_string() }
        }),
    )
}

impl Cloud for Counter {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn seed(&self) -> u64 {
        1
    }

    fn state(&self) -> Value {
        json!({ "count": *self.count.lock().unwrap() })
    }

    fn replace(&self, state: Value) -> Result<(), BadState> {
        let count = state
            .get("count")
            .and_then(Value::as_u64)
            .ok_or_else(|| BadState::new("count must be a number"))?;
        *self.count.lock().unwrap() = count;
        Ok(())
    }

    fn reset(&self) {
        *self.count.lock().unwrap() = 0;
    }

    fn frozen(&self) -> Option<Router> {
        Some(api(Arc::new(Mutex::new(*self.count.lock().unwrap()))))
    }
}

struct Hosted {
    front: Front,
    router: Router,
    clock: Clock,
}

fn hosted() -> Hosted {
    let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
    let cloud = Counter {
        clock: clock.clone(),
        count: Arc::default(),
    };
    let api = api(cloud.count.clone());
    let front = Front::new(Arc::new(cloud));
    Hosted {
        router: front.router(api),
        front,
        clock,
    }
}

impl Hosted {
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn state_can_be_read_replaced_merged_and_reset() {
    let sim = hosted();
    sim.ask("POST", "/count", "").await;
    assert_eq!(sim.ask("GET", "/_sim/state", "").await, (200, r#"{"count":1}"#.into()));
    assert_eq!(sim.ask("PUT", "/_sim/state", r#"{"count":7}"#).await.0, 204);
    assert_eq!(sim.ask("GET", "/count", "").await.1, "count is 7");
    assert_eq!(sim.ask("PATCH", "/_sim/state", r#"{"count":8}"#).await.0, 204);
    assert_eq!(sim.ask("GET", "/count", "").await.1, "count is 8");
    sim.front.inject(Fault::status(500).always()).unwrap();
    assert_eq!(sim.ask("POST", "/_sim/reset", "").await.0, 204);
    assert_eq!(sim.ask("GET", "/count", "").await, (200, "count is 0".into()));
    assert_eq!(sim.front.requests().len(), 1, "the log begins anew");
}

#[tokio::test(start_paused = true)]
async fn bad_control_calls_are_refused_with_the_reason() {
    let sim = hosted();
    for (method, path, body, status, reason) in [
        (
            "PUT",
            "/_sim/state",
            "{",
            400,
            "the body cannot be used: EOF while parsing an object at line 1 column 1",
        ),
        ("PUT", "/_sim/state", "{}", 400, "state refused: count must be a number"),
        (
            "POST",
            "/_sim/faults",
            r#"{"action":{"kind":"explode"}}"#,
            400,
            "unknown variant `explode`",
        ),
        (
            "POST",
            "/_sim/faults",
            r#"{"actoin":{"kind":"hang"}}"#,
            400,
            "unknown field `actoin`",
        ),
        (
            "POST",
            "/_sim/faults",
            r#"{"match":{"path":"("},"action":{"kind":"hang"}}"#,
            400,
            "unclosed group",
        ),
        (
            "POST",
            "/_sim/advance",
            r#"{"seconds":-1}"#,
            400,
            "time does not run backwards",
        ),
        (
            "POST",
            "/_sim/advance",
            r#"{"minutes":1}"#,
            400,
            "unknown field `minutes`",
        ),
        ("GET", "/_sim/requests?since=x", "", 400, "the only parameter is since"),
        ("GET", "/_sim/nothing", "", 404, "no such control call"),
        ("DELETE", "/_sim/state", "", 405, "not a method of this control call"),
    ] {
        let (got, text) = sim.ask(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {text}");
        assert!(text.contains(reason), "{method} {path}: {text}");
    }
    assert!(sim.front.requests().is_empty(), "control calls are not requests");
}

#[tokio::test(start_paused = true)]
async fn requests_are_logged_with_their_faults_and_without_credentials() {
    let sim = hosted();
    sim.front
        .inject(
            Fault::status(429)
                .header("retry-after", "2")
                .body("slow down")
                .on("GET", "count"),
        )
        .unwrap();
    assert_eq!(
        sim.ask("GET", "/count?token=abc&x=1", "").await,
        (429, "slow down".into())
    );
    sim.ask("GET", "/count", "").await;
    sim.ask("GET", "/nowhere", "").await;
    let (_, log) = sim.ask("GET", "/_sim/requests", "").await;
    let expected = json!([
        {"n": 1, "method": "GET", "path": "/count", "query": "token=REDACTED&x=1", "status": 429, "fault": "status"},
        {"n": 2, "method": "GET", "path": "/count", "query": "", "status": 200, "fault": null},
        {"n": 3, "method": "GET", "path": "/nowhere", "query": "", "status": 404, "fault": null},
    ]);
    assert_eq!(serde_json::from_str::<Value>(&log).unwrap(), expected);
    let (_, rest) = sim.ask("GET", "/_sim/requests?since=2", "").await;
    assert_eq!(serde_json::from_str::<Value>(&rest).unwrap(), json!([expected[2]]));
    assert_eq!(sim.ask("DELETE", "/_sim/requests", "").await.0, 204);
    assert!(sim.front.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_is_answered_from_before_the_last_write() {
    let sim = hosted();
    sim.ask("POST", "/count", "").await;
    sim.ask("POST", "/count", "").await;
    sim.front.inject(Fault::new(Action::Stale).times(2)).unwrap();
    assert_eq!(sim.ask("GET", "/count", "").await.1, "count is 1");
    assert_eq!(sim.ask("POST", "/count", "").await.1, "3", "a write is never stale");
    assert_eq!(sim.ask("GET", "/count", "").await.1, "count is 3");
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_wrong_although_the_request_was_carried_out() {
    let sim = hosted();
    sim.front
        .inject(Fault::status(503).after().on("POST", "count"))
        .unwrap();
    assert_eq!(sim.ask("POST", "/count", "").await.0, 503);
    assert_eq!(sim.ask("GET", "/count", "").await.1, "count is 1");
}

#[tokio::test(start_paused = true)]
async fn advance_moves_the_simulated_clock_and_delay_the_clients() {
    let sim = hosted();
    let (status, text) = sim.ask("POST", "/_sim/advance", r#"{"seconds":90.5}"#).await;
    assert_eq!((status, text.as_str()), (200, r#"{"now":"2026-01-01T00:01:30.5Z"}"#));
    assert_eq!(sim.clock.now().to_string(), "2026-01-01T00:01:30.5Z");
    sim.front.inject(Fault::new(Action::Delay { ms: 5000 })).unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(sim.ask("GET", "/count", "").await.0, 200);
    assert_eq!(before.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_is_ended_by_its_clients_timeout() {
    let sim = hosted();
    sim.front.inject(Fault::new(Action::Hang)).unwrap();
    let asked = tokio::time::timeout(Duration::from_secs(30), sim.ask("POST", "/count", "")).await;
    assert!(asked.is_err());
    assert_eq!(sim.front.requests()[0].status, None);
    assert_eq!(sim.ask("GET", "/count", "").await.1, "count is 0");
}

/// What a raw connection gives back for one request, until the server closes it.
async fn raw(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset gives what was received before.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn over_tcp_connections_are_really_cut() {
    let sim = hosted();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let server = tokio::spawn(crate::serve(sim.router.clone(), listener, cancel.clone()));

    let post = "POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let read = "GET /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    sim.front
        .inject(Fault::new(Action::DropBefore).on("POST", "count"))
        .unwrap();
    assert_eq!(raw(address, post).await, "");
    assert!(raw(address, read).await.ends_with("count is 0"));

    sim.front
        .inject(Fault::new(Action::DropAfter).on("POST", "count"))
        .unwrap();
    assert_eq!(raw(address, post).await, "");
    assert!(raw(address, read).await.ends_with("count is 1"));

    sim.front
        .inject(Fault::new(Action::Truncate { bytes: Some(5) }).on("GET", "count"))
        .unwrap();
    let cut = raw(address, read).await;
    assert!(
        cut.contains("content-length: 10\r\n") && cut.ends_with("\r\n\r\ncount"),
        "{cut}"
    );

    cancel.cancel();
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn in_process_a_cut_is_an_error_of_the_service() {
    let sim = hosted();
    let network = crate::Network::new();
    network.host("cloud.sim", sim.router.clone());
    sim.front.inject(Fault::new(Action::DropAfter)).unwrap();
    let request = Request::post("http://cloud.sim/count").body(Body::empty()).unwrap();
    assert_eq!(
        network.send(request).await.unwrap_err(),
        crate::NetworkError::Reset("cloud.sim".into())
    );
    sim.front.inject(Fault::new(Action::Truncate { bytes: None })).unwrap();
    let request = Request::get("http://cloud.sim/count").body(Body::empty()).unwrap();
    assert!(
        network
            .send(request)
            .await
            .unwrap()
            .into_body()
            .collect()
            .await
            .is_err()
    );
}
