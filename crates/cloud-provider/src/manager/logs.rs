//! Structured logs on standard error; `--v` as far as it means anything here.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::flags::Parsed;

/// What klog's verbosity means here.
pub(super) fn level(verbosity: i32) -> &'static str {
    match verbosity {
        i32::MIN..=1 => "info",
        2..=4 => "info,cloud_provider=debug,kube_kit=debug",
        5..=8 => "debug",
        _ => "trace",
    }
}

/// The traces that go with the logs, if there are any.
#[derive(Default)]
pub(super) struct Traces {
    #[cfg(feature = "otel")]
    telemetry: Option<super::telemetry::Telemetry>,
}

impl Traces {
    /// Sends what is left of them.
    #[cfg_attr(
        not(feature = "otel"),
        allow(clippy::unused_async, reason = "there is nothing to send")
    )]
    pub async fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(telemetry) = self.telemetry {
            telemetry.shutdown().await;
        }
    }
}

/// Starts logging, and traces of the program of this name. `RUST_LOG` wins over `--v`. Does nothing when somebody else
/// logs already.
#[cfg_attr(
    not(feature = "otel"),
    allow(unused_variables, reason = "only traces bear the program's name")
)]
pub(super) fn init(parsed: &Parsed, program: &str) -> Traces {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level(parsed.number("v"))));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let lines = if parsed.text("logging-format") == "json" {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_filter(filter).boxed()
    };
    let subscriber = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otel")]
    if let Some(endpoint) = super::telemetry::endpoint(|name| std::env::var(name).ok()) {
        match super::telemetry::Telemetry::start(&endpoint, program) {
            Ok(telemetry) => {
                let _ = subscriber.with(telemetry.layer()).try_init();
                return Traces {
                    telemetry: Some(telemetry),
                };
            }
            // Nobody should be without nodes because there are no traces.
            Err(error) => {
                let _ = subscriber.try_init();
                tracing::warn!(error = %kit::chain(&error), "there are no traces");
                return Traces::default();
            }
        }
    }
    let _ = subscriber.try_init();
    Traces::default()
}
