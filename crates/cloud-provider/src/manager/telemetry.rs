//! Traces: what is reconciled and what the cloud is asked, sent by OTLP over HTTP. Only with the feature `otel`.
//!
//! Off unless `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` is set, as every OpenTelemetry
//! program has it; `OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_TRACES_SAMPLER` are honoured, too.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

/// How long a collector may take, and how long the last traces may.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much a collector may answer.
const ANSWER: usize = 1 << 20;

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub(super) enum TelemetryError {
    /// There is nothing to trust a collector by.
    #[error("cannot set up TLS for traces")]
    Tls(#[source] std::io::Error),
    /// The endpoint cannot be used.
    #[error("cannot set up traces to {endpoint}")]
    Exporter {
        /// Where they were to go.
        endpoint: String,
        /// Why.
        #[source]
        source: ExporterBuildError,
    },
}

/// Traces on their way.
pub(super) struct Telemetry {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Where traces are to go, by what the environment says.
pub(super) fn endpoint(env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set = |name: &str| env(name).filter(|text| !text.is_empty());
    set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| {
        let base = set("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        Some(format!("{}/v1/traces", base.trim_end_matches('/')))
    })
}

impl Telemetry {
    /// Sends traces of `service` to `endpoint` from now on. To be called inside a runtime.
    pub fn start(endpoint: &str, service: &str) -> Result<Self, TelemetryError> {
        let broken = |source| TelemetryError::Exporter {
            endpoint: endpoint.to_owned(),
            source,
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new()?)
            .with_endpoint(endpoint)
            .with_timeout(PATIENCE)
            .build()
            .map_err(broken)?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(service.to_owned());
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("cloud-provider");
        Ok(Self { provider, tracer })
    }

    /// What makes traces of spans.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> impl Layer<S> + Send + Sync + 'static {
        // Those of the framework alone: the libraries below have thousands.
        let ours = Targets::new().with_target("cloud_provider", tracing::Level::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(self.tracer.clone())
            .with_filter(ours)
    }

    /// Sends what is left.
    pub async fn shutdown(self) {
        // It waits for the collector on the thread it is called on, and that one is needed.
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(PATIENCE));
        if let Ok(Err(error)) = ended.await {
            tracing::warn!(error = %error, "the last traces are lost");
        }
    }
}

type Connection = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Brings traces to their collector from whatever thread.
struct Collector {
    client: Connection,
    runtime: Handle,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl Collector {
    fn new() -> Result<Self, TelemetryError> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TelemetryError::Tls(std::io::Error::other(error)))?
            .with_native_roots()
            .map_err(TelemetryError::Tls)?
            .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            runtime: Handle::current(),
        })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // Whoever asks is on a thread without a runtime.
        let asked = self.runtime.spawn(async move {
            let answer = async {
                let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
                let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(parts, body))
            };
            tokio::time::timeout(PATIENCE, answer).await?
        });
        asked.await?
    }
}

#[cfg(test)]
mod tests;
