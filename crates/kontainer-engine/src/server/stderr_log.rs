//! A driver's log: one line per event on stderr, in the form that drivers written in Go use
//! (`time="…" level=info msg="…"`), so that whatever reads their lines reads ours. Small and quick to set up, which a
//! program that lives for one call should be.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use kit::Clock;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

/// The libraries whose own debug lines help nobody who debugs a driver.
const NOISY: [&str; 7] = ["h2", "hyper", "hyper_util", "rustls", "tokio", "tonic", "tower"];

struct StderrLog {
    least: Level,
    clock: Clock,
}

/// Sends events to stderr, from info on; `RUST_LOG` may name another level. Does nothing when a log is already set up.
pub(super) fn install() {
    let least = std::env::var("RUST_LOG").ok().and_then(|level| level.parse().ok());
    let log = StderrLog {
        least: least.unwrap_or(Level::INFO),
        clock: Clock::system(),
    };
    let _ = tracing::subscriber::set_global_default(log);
}

impl Subscriber for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let krate = metadata.target().split("::").next().unwrap_or_default();
        metadata.is_event()
            && *metadata.level() <= self.least
            && (*metadata.level() <= Level::WARN || !NOISY.contains(&krate))
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.least.into())
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let line = format!(
            "time=\"{:.0}\" level={level} msg={:?}{}\n",
            self.clock.now(),
            fields.message,
            fields.rest
        );
        // Nobody is there to be told when stderr is closed.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.rest, " {}={value:?}", field.name())
        };
    }
}
