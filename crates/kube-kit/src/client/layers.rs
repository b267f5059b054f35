//! What stands between a controller and its client: a rate limit and a count of requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service, ServiceExt as _};
use tracing::info;

use crate::metrics::{Counter, Histogram, Registry};

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// From how long a wait on it is worth a line in the log.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// So many requests a second, and so many at once. Watches are not counted. Clones share the bucket.
#[derive(Clone, Debug)]
pub struct RateLimit(Option<Arc<Mutex<Bucket>>>);

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl RateLimit {
    /// `burst` requests at once, then `per_second`. No limit when that is not positive.
    pub fn new(per_second: f64, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self((per_second > 0.0).then(|| {
            Arc::new(Mutex::new(Bucket {
                per_second,
                burst,
                tokens: burst,
                at: Instant::now(),
            }))
        }))
    }

    /// No limit: the API server has its own fairness.
    pub fn none() -> Self {
        Self(None)
    }

    fn reserve(&self) -> Duration {
        let Some(bucket) = &self.0 else { return Duration::ZERO };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earned = now.duration_since(bucket.at).as_secs_f64() * bucket.per_second;
        bucket.tokens = (bucket.tokens + earned).min(bucket.burst) - 1.0;
        bucket.at = now;
        Duration::from_secs_f64((-bucket.tokens / bucket.per_second).max(0.0))
    }
}

impl<S> Layer<S> for RateLimit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Limited {
            limit: self.clone(),
            inner: Arc::new(tokio::sync::Mutex::new(inner)),
        }
    }
}

/// A service behind a [`RateLimit`].
#[derive(Debug)]
pub struct Limited<S> {
    limit: RateLimit,
    /// Shared with the requests that wait for their turn: the request is handed on only then.
    inner: Arc<tokio::sync::Mutex<S>>,
}

impl<S> Clone for Limited<S> {
    fn clone(&self) -> Self {
        Self {
            limit: self.limit.clone(),
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S, B> Service<Request<B>> for Limited<S>
where
    S: Service<Request<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Answer<S::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let watches = request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        let wait = if watches { Duration::ZERO } else { self.limit.reserve() };
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            if !wait.is_zero() {
                if wait > WORTH_TELLING {
                    info!(?wait, method = %request.method(), path = request.uri().path(), "waited because of the client-side rate limit");
                }
                tokio::time::sleep(wait).await;
            }
            let answer = inner.lock().await.ready().await.map_err(Into::into)?.call(request);
            answer.await.map_err(Into::into)
        })
    }
}

/// Counts requests as client-go does: `rest_client_requests_total`, `rest_client_request_duration_seconds`.
#[derive(Clone, Default)]
pub struct Requests(Option<Counters>);

#[derive(Clone)]
struct Counters {
    total: Counter,
    seconds: Histogram,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

const SECONDS: &[f64] = &[0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];

impl Requests {
    /// Counts in `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self(Some(Counters {
            total: registry.counter(
                "rest_client_requests_total",
                "Number of HTTP requests, partitioned by status code, method, and host.",
                &["code", "method", "host"],
            ),
            seconds: registry.histogram(
                "rest_client_request_duration_seconds",
                "Request latency in seconds. Broken down by verb, and host.",
                SECONDS,
                &["verb", "host"],
            ),
        }))
    }
}

impl<S> Layer<S> for Requests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted {
            counters: self.0.clone(),
            inner,
        }
    }
}

/// A service whose requests are counted.
#[derive(Clone)]
pub struct Counted<S> {
    counters: Option<Counters>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = Answer<Response<R>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let counters = self.counters.clone();
        let method = request.method().to_string();
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let began = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into);
            if let Some(counters) = counters {
                let code = answer
                    .as_ref()
                    .map_or_else(|_| "<error>".to_owned(), |answer| answer.status().as_str().to_owned());
                counters.total.inc(&[&code, &method, &host]);
                counters
                    .seconds
                    .observe(&[&method, &host], began.elapsed().as_secs_f64());
            }
            answer
        })
    }
}
