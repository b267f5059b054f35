//! Log lines of a call, on their way from a driver to whoever asked for the work.
//!
//! Mirrors rancher/kontainer-engine `logstream/logstream.go`: a caller makes a stream, sends its id as request metadata
//! [`LOG_ID`], and the server finds the stream by that id if both are in one process. Differs from upstream: a full
//! stream drops the oldest lines and counts them instead of blocking the driver.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::Notify;

/// The request metadata key that carries a stream's id.
pub const LOG_ID: &str = "log-id";

/// How many lines wait for a slow reader.
const CAPACITY: usize = 1000;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever debugs a driver; streams do not carry it.
    Debug,
    /// Ordinary progress.
    Info,
    /// Something is not as it should be. Upstream calls these errors.
    Warn,
    /// The driver begins another part of the work; the message names it.
    Step,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// What the line is.
    pub level: Level,
    /// The text, without a line break at the end.
    pub message: String,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<(VecDeque<LogLine>, u64)>,
    arrived: Notify,
}

/// Where a driver writes. Clones write to the same stream.
#[derive(Clone, Debug)]
pub struct LogSink(Arc<Shared>);

impl LogSink {
    /// Adds a line; never waits. Debug lines are not carried.
    pub fn send(&self, level: Level, message: impl Into<String>) {
        if level == Level::Debug {
            return;
        }
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.0.len() == CAPACITY {
            lines.0.pop_front();
            lines.1 += 1;
        }
        lines.0.push_back(LogLine {
            level,
            message: message.into(),
        });
        drop(lines);
        self.0.arrived.notify_one();
    }
}

/// Streams by id, of this process.
static STREAMS: LazyLock<Mutex<HashMap<String, LogSink>>> = LazyLock::new(Mutex::default);
/// Upstream's first id is "2": the counter starts at 1 and is incremented before use.
static LAST_ID: AtomicU64 = AtomicU64::new(1);

fn streams() -> std::sync::MutexGuard<'static, HashMap<String, LogSink>> {
    STREAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds the sink of a stream by its id.
pub fn find(id: &str) -> Option<LogSink> {
    streams().get(id).cloned()
}

/// The reading end. It is known by its id until it is dropped.
#[derive(Debug)]
pub struct LogStream {
    id: String,
    shared: Arc<Shared>,
}

impl LogStream {
    /// Makes a stream and registers it.
    pub fn open() -> Self {
        let id = (LAST_ID.fetch_add(1, Ordering::Relaxed) + 1).to_string();
        let shared = Arc::new(Shared::default());
        streams().insert(id.clone(), LogSink(shared.clone()));
        Self { id, shared }
    }

    /// What to send as [`LOG_ID`].
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the next line. Safe to drop while waiting: no line is lost.
    pub async fn next(&self) -> LogLine {
        loop {
            if let Some(line) = self.try_next() {
                return line;
            }
            self.shared.arrived.notified().await;
        }
    }

    /// The next line, if one is there.
    pub fn try_next(&self) -> Option<LogLine> {
        let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.1 > 0 {
            let lost = std::mem::take(&mut lines.1);
            return Some(LogLine {
                level: Level::Warn,
                message: format!("{lost} log lines were lost because nobody read them in time"),
            });
        }
        lines.0.pop_front()
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        streams().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_arrive_in_order_and_debug_lines_do_not() {
        let stream = LogStream::open();
        let sink = find(stream.id()).unwrap();
        sink.send(Level::Info, "one");
        sink.send(Level::Debug, "hidden");
        sink.send(Level::Warn, "two");
        assert_eq!(stream.next().await.message, "one");
        assert_eq!(stream.next().await.level, Level::Warn);
        assert_eq!(stream.try_next(), None);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let stream = LogStream::open();
        let sink = find(stream.id()).unwrap();
        let (line, ()) = tokio::join!(stream.next(), async {
            tokio::task::yield_now().await;
            sink.send(Level::Step, "go");
        });
        assert_eq!(line.level, Level::Step);
    }

    #[test]
    fn a_dropped_stream_is_forgotten_and_ids_are_numbers_from_two() {
        let stream = LogStream::open();
        let id = stream.id().to_owned();
        assert!(id.parse::<u64>().unwrap() >= 2);
        drop(stream);
        assert!(find(&id).is_none());
    }

    #[test]
    fn a_full_stream_keeps_the_newest_lines_and_says_what_was_lost() {
        let stream = LogStream::open();
        let sink = find(stream.id()).unwrap();
        for n in 0..CAPACITY + 3 {
            sink.send(Level::Info, n.to_string());
        }
        assert_eq!(
            stream.try_next().unwrap().message,
            "3 log lines were lost because nobody read them in time"
        );
        assert_eq!(stream.try_next().unwrap().message, "3");
    }
}
