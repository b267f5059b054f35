//! The Bare Metal Cloud APIs: endpoints, plain data, typed errors.
//!
//! Mirrors `bmcapi`, `ipapi`, `tagapi` and `networkapi` of the official Go SDK as far as the cloud provider needs them.
//! Texts and lists that the APIs leave out or answer as `null` are empty; what they say beyond that is ignored; words they
//! may add to an enumeration are kept as they came.

mod blocks;
mod errors;
mod login;
mod networks;
mod servers;
mod tags;
mod types;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloud_http::{Call, Client, Metrics, Reply, RetryPolicy, Secrets, SetupError, Tokens, Transport};
use cloud_provider::meter::Meter;
use http::Method;
use kit::Clock;
use kube_kit::metrics::Registry;
use secrecy::SecretString;
use serde::de::DeserializeOwned;

pub use blocks::IpBlockRequest;
pub use errors::{PnapError, PnapResult};
pub use networks::Removal;
pub use types::{
    BlockStatus, IpBlock, Member, NetworkBlock, PrivateNetwork, PublicNetwork, Server, ServerStatus, Tag, TagValue,
};

use login::Login;

/// Where the APIs are.
pub const BASE_URL: &str = "https://api.phoenixnap.com";
/// Where tokens are given.
pub const TOKEN_URL: &str = "https://auth.phoenixnap.com/auth/realms/BMC/protocol/openid-connect/token";

/// What a client needs to know.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Below which all APIs are, such as [`BASE_URL`].
    pub base_url: String,
    /// Where tokens are given: a whole URL, such as [`TOKEN_URL`].
    pub token_url: String,
    /// Who logs in.
    pub client_id: String,
    /// With what.
    pub client_secret: SecretString,
    /// What carries the requests. Default: the network.
    pub transport: Option<Transport>,
    /// The time.
    pub clock: Clock,
}

/// One account, as a credential sees it. Clones share everything, the token among it.
#[derive(Clone)]
pub struct PnapClient {
    inner: Arc<Inner>,
    leaves_waiting: bool,
}

struct Inner {
    api: Client,
    meter: Meter,
}

impl fmt::Debug for PnapClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PnapClient({})", self.inner.api.base())
    }
}

impl PnapClient {
    /// A client. Sends nothing yet.
    pub fn new(settings: &ClientSettings) -> PnapResult<Self> {
        let (secrets, metrics) = (Secrets::new(), Metrics::new());
        // One attempt may take half a minute, but whoever asks waits for two minutes at most.
        let retry = RetryPolicy {
            most: Duration::from_secs(30),
            budget: Duration::from_secs(75),
            ..RetryPolicy::default()
        };
        let builder = |url: &str| {
            let builder = Client::builder(url)
                .retry(retry.clone())
                .secrets(secrets.clone())
                .metrics(metrics.clone())
                .clock(settings.clock.clone())
                .user_agent(format!("cloud-provider-phoenixnap/{}", crate::VERSION))
                // Thousands of servers come in one list.
                .max_reply(64 * 1024 * 1024);
            match &settings.transport {
                Some(transport) => builder.transport(transport.clone()),
                None => builder,
            }
        };
        let setup = |error: SetupError| PnapError::setup(&kit::chain(&error));
        let auth = builder(&settings.token_url)
            .classify(errors::login)
            .build()
            .map_err(setup)?;
        let login = Login::new(
            auth,
            &settings.client_id,
            &settings.client_secret,
            settings.clock.clone(),
        );
        let tokens = Tokens::new(login, settings.clock.clone(), secrets.clone());
        let api = builder(&settings.base_url)
            .classify(errors::api)
            .authenticator(tokens)
            .build()
            .map_err(setup)?;
        let inner = Arc::new(Inner {
            api,
            meter: Meter::default(),
        });
        Ok(Self {
            inner,
            leaves_waiting: false,
        })
    }

    /// The same client, for callers with something else to do: where the API asks to be left alone for a while, a call fails
    /// at once, as throttled.
    #[must_use]
    pub fn leave_waiting(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            leaves_waiting: true,
        }
    }

    /// Whether calls fail at once where the API asks to be left alone.
    pub fn leaves_waiting(&self) -> bool {
        self.leaves_waiting
    }

    /// From now on counts each call in `cloud_provider_calls_total` and times it in
    /// `cloud_provider_call_duration_seconds`, under its operation's name.
    pub fn measure(&self, metrics: &Registry) {
        self.inner.meter.start(metrics);
    }

    /// What was sent so far, by operation.
    pub fn metrics(&self) -> &Metrics {
        self.inner.api.metrics()
    }

    /// The secrets that no text may show.
    pub fn secrets(&self) -> &Secrets {
        self.inner.api.secrets()
    }

    fn call(&self, operation: &'static str, method: Method, path: String) -> Counted<'_> {
        let call = self.inner.api.call(operation, method, path);
        Counted {
            call: if self.leaves_waiting {
                call.leave_waiting()
            } else {
                call
            },
            operation,
            meter: &self.inner.meter,
        }
    }
}

/// A call that is counted when it is sent.
struct Counted<'a> {
    call: Call<'a>,
    operation: &'static str,
    meter: &'a Meter,
}

impl<'a> Counted<'a> {
    fn with(self, add: impl FnOnce(Call<'a>) -> Call<'a>) -> Self {
        Self {
            call: add(self.call),
            ..self
        }
    }

    /// The answer's JSON.
    async fn json<T: DeserializeOwned>(self) -> PnapResult<T> {
        let answer = self
            .meter
            .time(self.operation, cloud_http::Error::class, Box::pin(self.call.json()));
        Ok(answer.await?)
    }

    /// A list, which some answers give as `null`.
    async fn list<T: DeserializeOwned>(self) -> PnapResult<Vec<T>> {
        Ok(self.json::<Option<Vec<T>>>().await?.unwrap_or_default())
    }

    /// Whatever is answered: nothing, an object, or a bare text.
    async fn send(self) -> PnapResult<Reply> {
        let answer = self
            .meter
            .time(self.operation, cloud_http::Error::class, Box::pin(self.call.send()));
        Ok(answer.await?)
    }
}
