//! What happens, as it happens: for people on standard error, for machines as lines of JSON on standard output.

use std::sync::{Mutex, PoisonError};

use kit::Progress;
use local_cluster::{Error, Event};
use serde_json::{Value, json};

use super::args::Output;
use crate::console;

/// Tells events in the form that was asked for.
pub(super) struct Teller {
    jsonl: bool,
    progress: Progress,
    /// The result of a dry run, and no progress there.
    dry_run: bool,
    commands: Mutex<Vec<String>>,
}

impl Teller {
    pub(super) fn new(output: Output, title: &str, dry_run: bool) -> Self {
        let jsonl = output == Output::Jsonl;
        Self {
            jsonl,
            dry_run,
            commands: Mutex::default(),
            progress: if jsonl {
                Progress::silent()
            } else {
                Progress::new(title)
            },
        }
    }

    pub(super) fn tell(&self, event: &Event) {
        if let Event::Command { line } = event {
            self.commands
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line.clone());
        }
        if self.jsonl {
            // That nobody reads any more is no reason to stop working.
            let _ = serde_json::to_value(event).map(|event| console::line(event.to_string()));
            return;
        }
        match event {
            Event::Phase { message } => self.progress.step(message.clone()),
            Event::Detail { message } => self.progress.detail(message),
            Event::Warning { message } => self.progress.warn(message),
            Event::Command { .. } if self.dry_run => {}
            Event::Command { line } => self.progress.detail(&format!("$ {line}")),
        }
    }

    /// Something to know that is no part of the work.
    pub(super) fn note(&self, text: &str) {
        self.tell(&Event::Detail {
            message: text.to_owned(),
        });
    }

    /// The commands so far that change something.
    pub(super) fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn done(&self, text: &str) {
        self.progress.done(text);
    }

    pub(super) fn failed(&self, error: &Error) {
        self.progress.failed();
        if self.jsonl {
            let differences = match error {
                Error::ConfigMismatch(differences) => json!(differences),
                _ => Value::Null,
            };
            let event = json!({
                "event": "error",
                "kind": format!("{:?}", error.kind()),
                "message": kit::chain(error),
                "advice": error.advice(),
                "differences": differences,
            });
            let _ = console::line(event.to_string());
        }
    }
}
