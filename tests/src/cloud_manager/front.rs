//! What stands before a simulated cloud: it takes its time, counts, and throttles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};

/// How long every answer of the cloud takes.
pub const DELAY: Duration = Duration::from_millis(20);
/// How long an answer is on its way, and read, before nobody asks any more who could know.
const TOLD: Duration = Duration::from_millis(5);
/// What throttled callers are told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A simulated cloud on a socket. Clones share it.
#[derive(Clone)]
pub struct CloudFront {
    url: String,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    requests: Vec<String>,
    /// Every how-manieth request is throttled; none when zero.
    throttle: usize,
    throttled: usize,
    /// What was throttled: when that was told and read, and until when it is not to be asked again.
    patience: HashMap<String, (Instant, Instant)>,
    /// For how long each of these was not to be asked, in all.
    closed: HashMap<String, Duration>,
    too_early: Vec<String>,
}

/// What came of throttling.
pub struct Throttled {
    /// How many requests were.
    pub count: usize,
    /// Those that were asked again too early.
    pub too_early: Vec<String>,
    /// The longest that one of them was not to be asked, in all: nobody can be done sooner who asks for that.
    pub closed: Duration,
}

impl CloudFront {
    /// Serves `cloud` on a free port, for as long as the process lives.
    pub async fn serve(cloud: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            log: Arc::default(),
        };
        let router = cloud.layer(from_fn_with_state(front.clone(), pass));
        tokio::spawn(async move { axum::serve(listener, router).await });
        front
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.log().requests.len()
    }

    /// The requests so far: method and path.
    pub fn requests(&self) -> Vec<String> {
        self.log().requests.clone()
    }

    /// From now on every `nth` request is answered 429 with `Retry-After: 1`; none when zero.
    pub fn throttle(&self, nth: usize) {
        self.log().throttle = nth;
    }

    /// What came of throttling so far.
    pub fn throttled(&self) -> Throttled {
        let log = self.log();
        Throttled {
            count: log.throttled,
            too_early: log.too_early.clone(),
            closed: log.closed.values().max().copied().unwrap_or_default(),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a request. Whether it is throttled.
    fn note(&self, line: &str) -> bool {
        let mut log = self.log();
        let now = Instant::now();
        log.requests.push(line.to_owned());
        // Who asks while another one has not been told yet cannot know.
        if log
            .patience
            .get(line)
            .is_some_and(|(told, until)| (*told..*until).contains(&now))
        {
            log.too_early.push(line.to_owned());
        }
        log.throttle > 0 && log.requests.len().is_multiple_of(log.throttle)
    }

    /// Takes note of what is told now to whoever asked for this.
    fn tell(&self, line: String) {
        let mut log = self.log();
        log.throttled += 1;
        let now = Instant::now();
        let (told, until) = (now + TOLD, now + RETRY_AFTER);
        let before = log.patience.insert(line.clone(), (told, until));
        let since = before.map_or(told, |(_, closed)| closed.max(told));
        *log.closed.entry(line).or_default() += until - since;
    }
}

async fn pass(State(front): State<CloudFront>, request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let throttled = front.note(&line);
    tokio::time::sleep(DELAY).await;
    if throttled {
        front.tell(line);
        let after = [("retry-after", RETRY_AFTER.as_secs().to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, after, "{}").into_response();
    }
    next.run(request).await
}
