//! The Kubernetes clients of a manager.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kube_kit::Fence;
use kube_kit::client::{ClientConfig, ClientError, RateLimit, Requests};
use kube_kit::metrics::Registry;

use super::flags::Parsed;

/// What a client is for.
#[derive(Clone, Debug)]
pub struct Purpose {
    /// The last part of its user agent.
    pub name: &'static str,
    /// How long a request may take; watches may take any time.
    pub timeout: Option<Duration>,
    /// What stands before its writes.
    pub fence: Fence,
    /// Another kubeconfig than the manager's.
    pub kubeconfig: Option<PathBuf>,
}

impl Purpose {
    /// A client that may always write and whose requests may take any time.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            timeout: None,
            fence: Fence::open(),
            kubeconfig: None,
        }
    }

    /// The same, with this fence before its writes.
    #[must_use]
    pub fn behind(self, fence: &Fence) -> Self {
        let fence = fence.clone();
        Self { fence, ..self }
    }
}

type Make = dyn Fn(Purpose) -> BoxFuture<'static, Result<kube::Client, ClientError>> + Send + Sync;

/// Makes clients. Clones make the same ones.
#[derive(Clone)]
pub struct Clients {
    make: Arc<Make>,
    metrics: Registry,
}

impl Clients {
    /// Makes them with this function, for processes without a network.
    pub fn new(
        make: impl Fn(Purpose) -> BoxFuture<'static, Result<kube::Client, ClientError>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Arc::new(make),
            metrics: Registry::new(),
        }
    }

    /// Makes them as the flags say. There is no rate limit unless one is asked for: the API server has its own.
    pub(super) fn from_flags(parsed: &Parsed, command: &str, version: &str) -> Self {
        let metrics = Registry::new();
        let limited = parsed
            .is_given("kube-api-qps")
            .then(|| (parsed.number("kube-api-qps"), parsed.number("kube-api-burst")));
        let config = ClientConfig {
            kubeconfig: parsed.optional("kubeconfig").map(PathBuf::from),
            master: parsed.optional("master"),
            rate: None,
            requests: Some(Requests::new(&metrics)),
            pod: None,
        };
        let agent = format!("{command}/{version}");
        let make = move |purpose: Purpose| -> BoxFuture<'static, _> {
            let mut config = config.clone();
            if purpose.kubeconfig.is_some() {
                (config.kubeconfig, config.master) = (purpose.kubeconfig, None);
            }
            // Each client has a bucket of its own, as upstream.
            config.rate = limited.map(|(qps, burst)| RateLimit::new(qps, burst));
            let agent = format!("{agent}/{}", purpose.name);
            Box::pin(async move { config.client(&agent, purpose.timeout, &purpose.fence).await })
        };
        Self {
            make: Arc::new(make),
            metrics,
        }
    }

    /// Makes one.
    pub async fn make(&self, purpose: Purpose) -> Result<kube::Client, ClientError> {
        (self.make)(purpose).await
    }

    /// Where their requests are counted.
    pub fn metrics(&self) -> &Registry {
        &self.metrics
    }
}
