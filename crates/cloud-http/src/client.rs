//! Sending calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use kit::{Class, Clock};
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::error::Failure;
use crate::patience::Patience;
use crate::refusal::{self, Classify};
use crate::retry::retry_after;
use crate::transport::{at_proxy, never_connected, untrusted, withheld};
use crate::{
    Authenticator, BoxError, Call, Error, Metrics, Refusal, Refused, Reply, RetryPolicy, Secrets, TokenBucket,
    Transport, TransportError, TransportOptions,
};

/// Why a client cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The base URL is not one.
    #[error("the base URL {0:?} is not a http or https URL")]
    BaseUrl(String),
    /// The user agent cannot stand in a header.
    #[error("the user agent {0:?} cannot stand in a header")]
    UserAgent(String),
    /// The default transport cannot be set up.
    #[error("set up the connection to the provider")]
    Transport(#[from] TransportError),
}

/// Puts a [`Client`] together.
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    base: String,
    transport: Option<Transport>,
    authenticator: Option<Arc<dyn Authenticator>>,
    classify: Classify,
    retry: RetryPolicy,
    timeout: Duration,
    limit: Option<TokenBucket>,
    max_reply: usize,
    user_agent: String,
    secrets: Secrets,
    metrics: Metrics,
    clock: Clock,
}

impl Builder {
    /// What carries the requests. Default: the network, with [`TransportOptions::default`].
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// What gives requests their credential. Default: none.
    pub fn authenticator(mut self, authenticator: impl Authenticator + 'static) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// How the provider's error answers are read. Default: [`crate::by_status`] and no reason.
    pub fn classify(mut self, classify: impl Fn(&Refusal<'_>) -> Refused + Send + Sync + 'static) -> Self {
        self.classify = Arc::new(classify);
        self
    }

    /// When calls are repeated.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// How long one attempt may take, answer included. Default 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many requests per second. Default: no limit.
    pub fn limit(mut self, limit: TokenBucket) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How large an answer may be, in bytes. Default 16 MiB.
    pub fn max_reply(mut self, bytes: usize) -> Self {
        self.max_reply = bytes;
        self
    }

    /// The `User-Agent` header. Default `roadstead/VERSION`.
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.user_agent = text.into();
        self
    }

    /// The list of secrets to keep out of texts, when it is shared with an authenticator.
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// The counters to write to, when they are shared with other clients.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// The clock that dates in `Retry-After` are compared with. Default: the wall clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The client.
    pub fn build(self) -> Result<Client, SetupError> {
        let base = self.base.trim_end_matches('/').to_owned();
        let valid = base.parse::<Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
        });
        if !valid {
            return Err(SetupError::BaseUrl(self.base));
        }
        let user_agent =
            HeaderValue::from_str(&self.user_agent).map_err(|_| SetupError::UserAgent(self.user_agent.clone()))?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => Transport::network(&TransportOptions::default())?,
        };
        Ok(Client(Arc::new(Inner {
            base,
            transport,
            authenticator: self.authenticator,
            classify: self.classify,
            retry: self.retry,
            timeout: self.timeout,
            limit: self.limit,
            patience: Patience::default(),
            max_reply: self.max_reply,
            user_agent,
            secrets: self.secrets,
            metrics: self.metrics,
            clock: self.clock,
        })))
    }
}

/// A provider's API at one base URL. Clones share everything.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    base: String,
    transport: Transport,
    authenticator: Option<Arc<dyn Authenticator>>,
    classify: Classify,
    retry: RetryPolicy,
    timeout: Duration,
    limit: Option<TokenBucket>,
    patience: Patience,
    max_reply: usize,
    user_agent: HeaderValue,
    secrets: Secrets,
    metrics: Metrics,
    clock: Clock,
}

/// An attempt that failed.
struct Attempt {
    error: Error,
    /// How long the server asks to stay away.
    after: Option<Duration>,
    /// The failure proves that nothing was done.
    harmless: bool,
    /// Somebody else has already tried often enough.
    settled: bool,
    /// The credential that was refused.
    refused: Option<HeaderValue>,
    /// It was not sent: somebody was told to wait while this one waited for his turn.
    held: bool,
}

impl Attempt {
    fn failed(call: &Call<'_>, class: Class, failure: Failure, harmless: bool) -> Self {
        // Too large an answer will be as large again, and a certificate does not change while we wait.
        let class = match failure {
            Failure::TooLarge(_) | Failure::Untrusted(_) => Class::Permanent,
            _ => class,
        };
        Self {
            error: Error::of(call.operation, class, failure).ambiguous(!harmless && !call.method.is_safe()),
            after: None,
            harmless,
            settled: false,
            refused: None,
            held: false,
        }
    }
}

impl Client {
    /// Begins a client for the API below `base`, such as `https://api.example.com/v1`.
    pub fn builder(base: impl Into<String>) -> Builder {
        Builder {
            base: base.into(),
            transport: None,
            authenticator: None,
            classify: refusal::default(),
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(30),
            limit: None,
            max_reply: 16 * 1024 * 1024,
            user_agent: concat!("roadstead/", env!("CARGO_PKG_VERSION")).to_owned(),
            secrets: Secrets::new(),
            metrics: Metrics::new(),
            clock: Clock::system(),
        }
    }

    /// Describes a request. `operation` names it in errors, logs and counters, as a verb phrase such as `list servers`;
    /// `path` begins with `/`, is escaped ([`crate::path`]) and is appended to the base URL.
    pub fn call(&self, operation: &'static str, method: Method, path: impl Into<String>) -> Call<'_> {
        Call::new(self, operation, method, path.into())
    }

    /// The secrets kept out of texts.
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The base URL, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.0.base
    }

    pub(crate) async fn run<T>(&self, call: &Call<'_>, read: impl Fn(Reply) -> Result<T, Failure>) -> Result<T, Error> {
        let begun = Instant::now();
        let outcome = self.repeat(call, read, begun).await;
        let took = begun.elapsed();
        self.0.metrics.record(call.operation, |operation| {
            operation.calls += 1;
            operation.errors += u64::from(outcome.is_err());
            operation.total += took;
            operation.longest = operation.longest.max(took);
        });
        outcome
    }

    async fn repeat<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(Reply) -> Result<T, Failure>,
        begun: Instant,
    ) -> Result<T, Error> {
        let mut waits = self.0.retry.waits();
        let mut attempts = 0;
        let mut renewed = false;
        // Once a repeatable write may have taken effect, a later refusal does not prove that nothing was done.
        let mut ambiguous = false;
        let request = call.request();
        loop {
            if let Some(left) = self.0.patience.left(&request) {
                let class = Class::Throttled { after: Some(left) };
                if self.0.retry.attempts <= 1 || call.leaves_waiting || begun.elapsed() + left > self.0.retry.budget {
                    let error = Error::of(call.operation, class, Failure::Held(left));
                    return Err(error.ambiguous(ambiguous).after(attempts));
                }
                tokio::time::sleep(left).await;
                // Somebody else may have been told to wait meanwhile.
                continue;
            }
            let failed = match self.attempt(call, &request).await {
                Ok(reply) => match read(reply) {
                    Ok(value) => return Ok(value),
                    Err(failure) => Attempt::failed(call, Class::Transient, failure, false),
                },
                Err(failed) => failed,
            };
            if failed.held {
                continue;
            }
            attempts += 1;
            ambiguous |= failed.error.is_ambiguous();
            let error = failed.error.ambiguous(ambiguous).after(attempts);
            tracing::debug!(operation = call.operation, attempts, %error, "attempt failed");
            if let (Some(sent), Some(authenticator), false) = (&failed.refused, &self.0.authenticator, renewed) {
                renewed = true;
                if authenticator.refused(sent).await? {
                    continue;
                }
            }
            let may_repeat = !failed.settled && error.class().is_temporary() && (call.repeatable || failed.harmless);
            let left_to_caller = call.leaves_waiting && failed.after.is_some();
            if !may_repeat || left_to_caller || attempts >= self.0.retry.attempts {
                return Err(error);
            }
            let wait = waits.next().unwrap_or_default().max(failed.after.unwrap_or_default());
            if begun.elapsed() + wait > self.0.retry.budget {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, call: &Call<'_>, name: &str) -> Result<Reply, Attempt> {
        // First: a credential could end while its bearer waits for his turn.
        let _permit = match call.permits {
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        if let Some(limit) = &self.0.limit {
            limit.take().await;
        }
        let (request, credential) = self.request(call).await?;
        if let Some(left) = self.0.patience.left(name) {
            let class = Class::Throttled { after: Some(left) };
            return Err(Attempt {
                held: true,
                ..Attempt::failed(call, class, Failure::Held(left), true)
            });
        }
        self.0
            .metrics
            .record(call.operation, |operation| operation.attempts += 1);
        let begun = Instant::now();
        let timeout = call.timeout.unwrap_or(self.0.timeout);
        let reply = match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(failure)) => {
                let harmless = matches!(
                    failure,
                    Failure::Connect(_) | Failure::Proxy { .. } | Failure::Untrusted(_) | Failure::Withheld(_)
                );
                return Err(Attempt::failed(call, Class::Transient, failure, harmless));
            }
            Err(_) => {
                return Err(Attempt::failed(
                    call,
                    Class::Transient,
                    Failure::Timeout(timeout),
                    false,
                ));
            }
        };
        tracing::debug!(
            operation = call.operation,
            method = %call.method,
            path = call.path,
            status = reply.status.as_u16(),
            took = ?begun.elapsed(),
            "answer"
        );
        if reply.status.is_success() {
            return Ok(reply);
        }
        Err(self.refused(call, &reply, credential))
    }

    async fn request(&self, call: &Call<'_>) -> Result<(Request<Full<Bytes>>, Option<HeaderValue>), Attempt> {
        let inner = &*self.0;
        let credential = match &inner.authenticator {
            Some(authenticator) if !call.anonymous => Some(authenticator.header().await.map_err(|error| Attempt {
                error,
                after: None,
                harmless: true,
                settled: true,
                refused: None,
                held: false,
            })?),
            _ => None,
        };
        let broken =
            |text: String| Attempt::failed(call, Class::Invalid, Failure::Request(inner.secrets.tidy(&text)), true);
        if let Some(text) = &call.broken {
            return Err(broken(text.clone()));
        }
        let mut url = format!("{}{}", inner.base, call.path);
        if !call.query.is_empty() {
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&call.query)
                .finish();
            url = format!("{url}?{query}");
        }
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(url)
            .body(Full::new(call.body.clone()))
            .map_err(|error| broken(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, inner.user_agent.clone());
        headers.extend(call.headers.clone());
        let mut sent = None;
        if let Some((name, value)) = credential {
            sent = Some(value.clone());
            headers.insert(name, value);
        }
        Ok((request, sent))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, Failure> {
        let inner = &*self.0;
        let told = |error: &BoxError| inner.secrets.tidy(&kit::chain(&**error));
        let response = inner.transport.clone().oneshot(request).await.map_err(|error| {
            if let Some((proxy, why)) = at_proxy(&*error) {
                Failure::Proxy {
                    proxy: proxy.to_owned(),
                    reason: told(why),
                }
            } else if withheld(&*error) {
                Failure::Withheld(told(&error))
            } else if untrusted(&*error) {
                Failure::Untrusted(told(&error))
            } else if never_connected(&*error) {
                Failure::Connect(told(&error))
            } else {
                Failure::Broken(told(&error))
            }
        })?;
        let (parts, mut body) = response.into_parts();
        // As long as it says it is: growing by and by would leave holes in memory that nothing fits.
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let length: Option<usize> = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let mut bytes = BytesMut::with_capacity(length.unwrap_or_default().min(inner.max_reply));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::Broken(told(&error)))?;
            bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            if bytes.len() > inner.max_reply {
                return Err(Failure::TooLarge(inner.max_reply));
            }
        }
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            body: bytes.freeze(),
        })
    }

    fn refused(&self, call: &Call<'_>, reply: &Reply, credential: Option<HeaderValue>) -> Attempt {
        let inner = &*self.0;
        let Refused { mut class, reason } = (inner.classify)(&Refusal {
            status: reply.status,
            headers: &reply.headers,
            body: &reply.body,
        });
        let reason = match reason {
            Some(reason) => inner.secrets.tidy(&reason),
            None if call.sensitive => String::new(),
            None => inner.secrets.tidy(&String::from_utf8_lossy(&reply.body)),
        };
        let after = retry_after(&reply.headers, &inner.clock);
        if let Class::Throttled { after: asked } = &mut class {
            *asked = asked.or(after);
            inner
                .metrics
                .record(call.operation, |operation| operation.throttled += 1);
        }
        if let (Some(after), true) = (after, class.is_temporary()) {
            inner.patience.wish(call.request(), after);
        }
        let harmless = reply.status.is_client_error();
        let failure = Failure::Status {
            status: reply.status,
            reason,
        };
        Attempt {
            after,
            refused: credential.filter(|_| reply.status == http::StatusCode::UNAUTHORIZED),
            ..Attempt::failed(call, class, failure, harmless)
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.0.base)
    }
}
