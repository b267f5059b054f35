//! What is told of an operation while it goes on.

use std::sync::Arc;
use std::time::Duration;

use kit::Clock;

use crate::logstream::{Level, LogLine};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The cluster's status changed to this one.
    Status(String),
    /// The driver said something. A line of a driver process is taken apart where it has the form that drivers use
    /// (`level=info msg="…"`), else it stands as it came.
    Driver(LogLine),
    /// The engine has something to say.
    Engine(LogLine),
}

/// Gets to know what happens in an operation. Called from the operation itself: must not block.
pub trait Observer: Send + Sync {
    /// `elapsed` is the time since the operation began.
    fn observe(&self, elapsed: Duration, event: &Event);
}

impl<F: Fn(Duration, &Event) + Send + Sync> Observer for F {
    fn observe(&self, elapsed: Duration, event: &Event) {
        self(elapsed, event);
    }
}

/// An observer and when the operation began.
#[derive(Clone)]
pub(crate) struct Reporter {
    observer: Arc<dyn Observer>,
    clock: Clock,
    begun: jiff::Timestamp,
}

impl Reporter {
    pub(crate) fn new(observer: Arc<dyn Observer>, clock: &Clock) -> Self {
        Self {
            observer,
            clock: clock.clone(),
            begun: clock.now(),
        }
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.observer.observe(self.clock.since(self.begun), event);
    }

    pub(crate) fn status(&self, status: &str) {
        self.tell(&Event::Status(status.to_owned()));
    }

    pub(crate) fn info(&self, message: impl Into<String>) {
        let (level, message) = (Level::Info, message.into());
        self.tell(&Event::Engine(LogLine { level, message }));
    }

    pub(crate) fn warn(&self, message: impl Into<String>) {
        let (level, message) = (Level::Warn, message.into());
        self.tell(&Event::Engine(LogLine { level, message }));
    }
}

/// Reads a line that a driver wrote, in the form of drivers written in Go and of ours (`time="…" level=info msg="…"`). Any
/// other line is a message of its own.
pub fn parse_line(line: &str) -> LogLine {
    let whole = || LogLine {
        level: Level::Info,
        message: line.to_owned(),
    };
    if !line.contains("level=") || !line.contains("msg=") {
        return whole();
    }
    let mut level = Level::Info;
    let mut step = false;
    let mut message = None;
    let mut rest = line.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let Some((value, after)) = value(after) else {
            return whole();
        };
        match key.trim() {
            "level" => {
                level = match value.as_str() {
                    "debug" | "trace" => Level::Debug,
                    "info" => Level::Info,
                    _ => Level::Warn,
                };
            }
            "msg" => message = Some(value),
            "step" => step = value == "true",
            _ => {}
        }
        rest = after;
    }
    match message {
        Some(message) => LogLine {
            level: if step { Level::Step } else { level },
            message,
        },
        None => whole(),
    }
}

/// One value, plain or in quotes, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_drivers_are_taken_apart() {
        for (line, level, message) in [
            (
                r#"time="2026-01-01T00:00:00Z" level=info msg="hello \"you\"\nthere""#,
                Level::Info,
                "hello \"you\"\nthere",
            ),
            ("time=\"x\" level=warning msg=short", Level::Warn, "short"),
            ("level=error msg=\"x\" extra=1", Level::Warn, "x"),
            ("level=debug msg=\"x=y\"", Level::Debug, "x=y"),
            ("level=info msg=\"making nodes\" step=true", Level::Step, "making nodes"),
            ("plain text", Level::Info, "plain text"),
            (
                "panic: level=info msg=\"half",
                Level::Info,
                "panic: level=info msg=\"half",
            ),
            ("", Level::Info, ""),
        ] {
            let parsed = parse_line(line);
            assert_eq!((parsed.level, parsed.message.as_str()), (level, message), "{line}");
        }
    }
}
