//! The Equinix Metal API: endpoints, plain data, typed errors.
//!
//! Mirrors `metalv1` of the official Go SDK as far as the cloud provider needs it. Numbers, texts and lists that the API
//! leaves out or answers as `null` are zero, empty and empty; what it says beyond that is ignored; words it may add to an
//! enumeration are kept as they came.

mod bgp;
mod devices;
pub mod emlb;
mod errors;
mod exchange;
mod guard;
mod ips;
mod lately;
mod pages;
mod types;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloud_http::{Client, Metrics, RetryPolicy, Secrets, StaticHeader, Tokens, Transport, TransportOptions};
use cloud_provider::meter::Meter;
use futures::future::BoxFuture;
use http::HeaderName;
use kit::Clock;
use kube_kit::Fence;
use kube_kit::metrics::Registry;
use secrecy::SecretString;
use tokio::sync::Semaphore;

pub use bgp::BgpRequest;
pub use emlb::EmlbClient;
pub use errors::{MetalError, MetalResult};
pub use ips::{Assignments, ReservationRequest};
pub use types::{
    BgpConfig, BgpNeighbor, BgpSession, Device, Href, IpAddress, ParentBlock, Place, Plan, Reservation, last_segment,
};

use exchange::Exchange;
use guard::Guard;
use lately::Lately;

/// Waits for a call and counts it under its operation. A call is a large thing, so whoever waits for it holds a pointer.
fn timed<'a, T: Send + 'a>(
    meter: &'a Meter,
    operation: &'static str,
    call: impl Future<Output = Result<T, cloud_http::Error>> + Send + 'a,
) -> BoxFuture<'a, MetalResult<T>> {
    Box::pin(async move { Ok(meter.time(operation, cloud_http::Error::class, call).await?) })
}

/// How many items a page is asked to have: the most the API gives.
const PAGE: u32 = 1000;

/// What a client needs to know.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The API, such as `https://api.equinix.com/metal/v1`.
    pub base_url: String,
    /// The load balancer API, such as `https://lb.metalctrl.io`.
    pub emlb_url: String,
    /// Where an API key is exchanged for a token of the load balancer API: a whole URL.
    pub exchange_url: String,
    /// The API key.
    pub api_key: SecretString,
    /// The project.
    pub project: String,
    /// What carries the requests. Default: the network.
    pub transport: Option<Transport>,
    /// The time.
    pub clock: Clock,
}

/// One project, as an API key sees it. Clones share everything.
#[derive(Clone)]
pub struct MetalClient(Arc<Inner>);

/// How many requests about the BGP of single devices are under way at once.
const BY_DEVICE: usize = 16;

struct Inner {
    api: Client,
    project: String,
    emlb: EmlbClient,
    meter: Meter,
    guard: Guard,
    lately: Lately,
    /// For requests about the BGP of single devices, of which there may be thousands.
    by_device: Semaphore,
}

impl fmt::Debug for MetalClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetalClient({}, project {})", self.0.api.base(), self.0.project)
    }
}

impl MetalClient {
    /// A client. Sends nothing yet.
    pub fn new(settings: &ClientSettings) -> MetalResult<Self> {
        let (secrets, metrics, meter, guard) = (Secrets::new(), Metrics::new(), Meter::default(), Guard::default());
        secrets.add(&settings.api_key);
        // One attempt may take half a minute, but whoever asks waits for two minutes at most.
        let retry = RetryPolicy {
            most: Duration::from_secs(30),
            budget: Duration::from_secs(75),
            ..RetryPolicy::default()
        };
        let transport = match &settings.transport {
            Some(transport) => transport.clone(),
            None => Transport::network(&TransportOptions::default())
                .map_err(|error| MetalError::setup(&kit::chain(&error)))?,
        };
        let guarded = guard.before(transport.clone());
        let builder = |url: &str, transport: &Transport| {
            let clock = settings.clock.clone();
            Client::builder(url)
                .transport(transport.clone())
                .classify(move |refusal| errors::read(refusal, &clock))
                .retry(retry.clone())
                .secrets(secrets.clone())
                .metrics(metrics.clone())
                .clock(settings.clock.clone())
                .user_agent(concat!("cloud-provider-equinix-metal/", env!("CARGO_PKG_VERSION")))
                // A thousand devices with all that belongs to them.
                .max_reply(64 * 1024 * 1024)
        };
        let header = StaticHeader::new(HeaderName::from_static("x-auth-token"), &settings.api_key)
            .ok_or_else(|| MetalError::setup("the API key has characters that cannot stand in a header"))?;
        let setup = |error: cloud_http::SetupError| MetalError::setup(&kit::chain(&error));
        let api = builder(&settings.base_url, &guarded)
            .authenticator(header)
            .build()
            .map_err(setup)?;
        let exchange = Exchange::new(
            // A token is no change.
            builder(&settings.exchange_url, &transport).build().map_err(setup)?,
            settings.api_key.clone(),
            settings.clock.clone(),
            meter.clone(),
        );
        let tokens = Tokens::new(exchange, settings.clock.clone(), secrets.clone());
        let emlb = builder(&settings.emlb_url, &guarded)
            .authenticator(tokens)
            .build()
            .map_err(setup)?;
        let emlb = EmlbClient::new(emlb, settings.project.clone(), meter.clone());
        Ok(Self(Arc::new(Inner {
            api,
            project: settings.project.clone(),
            emlb,
            meter,
            guard,
            lately: Lately::default(),
            by_device: Semaphore::new(BY_DEVICE),
        })))
    }

    /// The project's ID.
    pub fn project(&self) -> &str {
        &self.0.project
    }

    /// The load balancer API of the same project.
    pub fn emlb(&self) -> &EmlbClient {
        &self.0.emlb
    }

    /// From now on counts each call in `cloud_provider_calls_total` and times it in
    /// `cloud_provider_call_duration_seconds`, under its operation's name.
    pub fn measure(&self, metrics: &Registry) {
        self.0.meter.start(metrics);
    }

    /// From now on lets only reads through while this fence is closed.
    pub fn guard(&self, fence: &Fence) {
        self.0.guard.set(fence);
    }

    /// The secrets that no text may show. A secret that an answer brings, such as a BGP password, is added by the call.
    pub fn secrets(&self) -> &Secrets {
        self.0.api.secrets()
    }
}
