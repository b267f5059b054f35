//! Structured logs on standard error; `--v` as far as it means anything here.

use tracing_subscriber::EnvFilter;

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

/// Starts logging. `RUST_LOG` wins over `--v`. Does nothing when somebody else logs already.
pub(super) fn init(parsed: &Parsed) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level(parsed.number("v"))));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let _ = if parsed.text("logging-format") == "json" {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}
