//! From what an engine tells to what a person sees.

use std::sync::Arc;
use std::time::Duration;

use kit::Progress;
use kontainer_engine::Watch;
use kontainer_engine::logstream::Level;
use kontainer_engine::observe::{Event, Observer};
use tokio_util::sync::CancellationToken;

/// Follows one operation. Statuses of the cluster and steps of the driver are steps, all else is detail.
pub(crate) struct Follow {
    progress: Arc<Progress>,
    stop: CancellationToken,
}

struct Shown(Arc<Progress>);

impl Observer for Shown {
    fn observe(&self, _elapsed: Duration, event: &Event) {
        match event {
            Event::Status(status) => self.0.step(status.as_str()),
            Event::Driver(line) | Event::Engine(line) => match line.level {
                Level::Debug => tracing::debug!("{}", line.message),
                Level::Step => self.0.step(line.message.as_str()),
                Level::Info => self.0.detail(&line.message),
                Level::Warn => self.0.warn(&line.message),
            },
        }
    }
}

impl Follow {
    pub(crate) fn new(title: &str, stop: &CancellationToken) -> Self {
        Self {
            progress: Arc::new(Progress::new(title)),
            stop: stop.clone(),
        }
    }

    /// The same under another title.
    pub(crate) fn titled(self, title: &str) -> Self {
        Self::new(title, &self.stop)
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch::new(Arc::new(Shown(self.progress.clone())), self.stop.clone())
    }

    /// For questions whose answer comes at once: nothing is shown.
    pub(crate) fn quiet(&self) -> Watch {
        Watch::new(Arc::new(Shown(Arc::new(Progress::silent()))), self.stop.clone())
    }

    pub(crate) fn done(&self) {
        self.progress.done("");
    }

    pub(crate) fn failed(&self) {
        self.progress.failed();
    }
}
