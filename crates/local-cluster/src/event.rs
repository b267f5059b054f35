//! What happens while a cluster is started, stopped or destroyed.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// One thing that happened. The same for all drivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A phase of the work begins; the one before it has ended.
    Phase {
        /// What is being done.
        message: String,
    },
    /// Something within the phase, usually a line the tool wrote.
    Detail {
        /// What it is.
        message: String,
    },
    /// Something that did not stop the work but should be known.
    Warning {
        /// What it is.
        message: String,
    },
    /// A command that changes something: what a dry run tells instead of running it.
    Command {
        /// The command line, each word quoted where a shell needs it.
        line: String,
    },
}

/// Where events go.
#[derive(Clone, Default)]
pub struct Events(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Events(..)" } else { "Events(none)" })
    }
}

impl Events {
    /// Calls `tell` for each event.
    pub fn to(tell: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, event: Event) {
        if let Some(tell) = &self.0 {
            tell(event);
        }
    }

    pub(crate) fn phase(&self, message: impl Into<String>) {
        self.tell(Event::Phase {
            message: message.into(),
        });
    }

    pub(crate) fn detail(&self, message: impl Into<String>) {
        self.tell(Event::Detail {
            message: message.into(),
        });
    }

    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.tell(Event::Warning {
            message: message.into(),
        });
    }
}
