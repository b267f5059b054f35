//! Structured logs on standard error; `--v` as far as it means anything here.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use super::flags::Parsed;

/// What klog's verbosity means here.
pub(super) fn level(verbosity: i32) -> &'static str {
    match verbosity {
        i32::MIN..=1 => "info",
        2..=4 => "info,cloud_provider=debug,kube_kit=debug",
        _ => "debug",
    }
}

/// How much is logged. Clones change the same; where somebody else logs, none changes anything.
#[derive(Clone, Default)]
pub(super) struct Verbosity(Option<Handle<EnvFilter, Registry>>);

/// Why the verbosity stays as it is. The texts are those of `logs.GlogSetter` of `k8s.io/component-base`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum VerbosityError {
    #[error("strconv.ParseUint: parsing {0:?}: invalid syntax")]
    NotANumber(String),
    #[error("failed set klog.logging.verbosity {0}: the log is not this program's")]
    NotOurs(i32),
}

impl Verbosity {
    /// A filter that can be changed, and what changes it.
    fn of(filter: EnvFilter) -> (reload::Layer<EnvFilter, Registry>, Self) {
        let (filter, handle) = reload::Layer::new(filter);
        (filter, Self(Some(handle)))
    }

    /// Changes it to this `--v`, whatever `RUST_LOG` said. Gives what to tell about it.
    pub fn set(&self, text: &str) -> Result<String, VerbosityError> {
        let verbosity = text.parse().ok().and_then(|n: u32| i32::try_from(n).ok());
        let verbosity = verbosity.ok_or_else(|| VerbosityError::NotANumber(text.to_owned()))?;
        let changed = self
            .0
            .as_ref()
            .is_some_and(|handle| handle.reload(EnvFilter::new(level(verbosity))).is_ok());
        if !changed {
            return Err(VerbosityError::NotOurs(verbosity));
        }
        Ok(format!("successfully set klog.logging.verbosity to {verbosity}"))
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
/// logs already. Gives what changes the verbosity later.
#[cfg_attr(
    not(feature = "otel"),
    allow(unused_variables, reason = "only traces bear the program's name")
)]
pub(super) fn init(parsed: &Parsed, program: &str) -> (Traces, Verbosity) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level(parsed.number("v"))));
    let (filter, verbosity) = Verbosity::of(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let lines = if parsed.text("logging-format") == "json" {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_filter(filter).boxed()
    };
    let subscriber = tracing_subscriber::registry().with(lines);
    let ours = |begun: bool| if begun { verbosity } else { Verbosity::default() };
    #[cfg(feature = "otel")]
    if let Some(endpoint) = super::telemetry::endpoint(|name| std::env::var(name).ok()) {
        match super::telemetry::Telemetry::start(&endpoint, program) {
            Ok(telemetry) => {
                let begun = subscriber.with(telemetry.layer()).try_init().is_ok();
                let traces = Traces {
                    telemetry: Some(telemetry),
                };
                return (traces, ours(begun));
            }
            // Nobody should be without nodes because there are no traces.
            Err(error) => {
                let begun = subscriber.try_init().is_ok();
                tracing::warn!(error = %kit::chain(&error), "there are no traces");
                return (Traces::default(), ours(begun));
            }
        }
    }
    let begun = subscriber.try_init().is_ok();
    (Traces::default(), ours(begun))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_verbosity_changes_while_the_process_runs() {
        let lines = Lines::default();
        let (filter, verbosity) = Verbosity::of(EnvFilter::new(level(0)));
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
        let say = |text: &str| tracing::debug!("{text}");
        tracing::subscriber::with_default(subscriber, || {
            say("before");
            let told = verbosity.set("2");
            assert_eq!(told.unwrap(), "successfully set klog.logging.verbosity to 2");
            say("meanwhile");
            verbosity.set("0").unwrap();
            say("after");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let seen = ["before", "meanwhile", "after"].map(|word| text.contains(word));
        assert_eq!(seen, [false, true, false], "{text}");
    }

    #[test]
    fn what_is_no_verbosity_is_refused_as_upstream_refuses_it() {
        let refused = |text: &str| Verbosity::default().set(text).unwrap_err().to_string();
        for text in ["", "x", "-1", "1\n"] {
            assert_eq!(
                refused(text),
                format!("strconv.ParseUint: parsing {text:?}: invalid syntax")
            );
        }
        assert!(refused("4").starts_with("failed set klog.logging.verbosity 4: "));
    }
}
