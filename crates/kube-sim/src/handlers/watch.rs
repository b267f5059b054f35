//! Watch: a stream of events, one JSON document a line.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Found;
use super::options::{ListOptions, Selectors};
use super::read::bad_version;
use crate::ops::State;
use crate::respond::{Answer, Form, Payload};
use crate::sim::Inner;
use crate::status::Status;
use crate::store::{Change, Event};
use crate::table::TableStream;

const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// How long a watch lives when the client does not say.
const LIFETIME: Duration = Duration::from_mins(45);

/// What a watcher needs to turn a write into what it sends.
struct View {
    found: Parts,
    selectors: Selectors,
    table: Option<TableStream>,
}

/// What remains of the call once the answer has begun.
struct Parts {
    found: Found,
    namespace: String,
}

struct Stream {
    inner: Arc<Inner>,
    view: View,
    pending: VecDeque<Bytes>,
    live: mpsc::Receiver<Arc<Event>>,
    deadline: Option<Timestamp>,
    bookmark: Option<Timestamp>,
    over: bool,
    /// The connection breaks next, in the middle of a line.
    cut: bool,
    broken: bool,
}

/// Opens a watch.
pub(super) fn answer(found: &Found) -> Result<Answer, Status> {
    let options = ListOptions::of(&found.call.query, true)?;
    let selectors = Selectors::of(found)?;
    let version = options.resource_version.as_str();
    let from: u64 = match version {
        "" => 0,
        text => text.parse().map_err(|_| Status::internal_plain(bad_version(text)))?,
    };
    let inner = found.call.inner.clone();
    let now = inner.clock.now();
    let mut view = View {
        found: Parts {
            found: found.shallow(),
            namespace: found.namespace().to_owned(),
        },
        selectors,
        table: (found.form == Form::Table).then(TableStream::default),
    };
    let bookmarks = options.bookmarks && !inner.faults().no_bookmarks;
    let mut state = inner.state();
    let storage = found.resource.storage.clone();
    let mut pending = VecDeque::new();
    let initial = options.initial_events.unwrap_or(from == 0);
    let start = if from == 0 || options.initial_events == Some(true) {
        state.store.revision()
    } else {
        from
    };
    if from > 0 && options.initial_events.is_none() && from < state.store.oldest(&storage) {
        let status = too_old(&storage, from, &state);
        drop(state);
        pending.push_back(line("ERROR", status.to_value()));
        return Ok(streaming(stream::iter(pending.into_iter().map(Ok::<_, io::Error>))));
    }
    if initial {
        for (_, object) in state.store.list(&storage, found.namespace()) {
            if view.selectors.matches(found, &object) {
                pending.push_back(view.line("ADDED", &object));
            }
        }
        if options.initial_events == Some(true) && bookmarks {
            pending.push_back(view.bookmark(start, true));
        }
    }
    let subscription = state.store.subscribe(&storage, start);
    drop(state);
    for event in &subscription.history {
        pending.extend(view.event(event));
    }
    let stream = Stream {
        inner,
        view,
        pending,
        live: subscription.live,
        deadline: lifetime(options.timeout).and_then(|t| after(now, t)),
        bookmark: options.bookmarks.then(|| after(now, BOOKMARK_EVERY)).flatten(),
        over: false,
        cut: false,
        broken: false,
    };
    Ok(streaming(stream::unfold(stream, Stream::next)))
}

fn streaming<S>(lines: S) -> Answer
where
    S: futures::Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
{
    Answer::new(200, Payload::Stream(Body::from_stream(lines)))
}

fn lifetime(asked: Option<i64>) -> Option<Duration> {
    match asked {
        None | Some(0) => Some(LIFETIME),
        Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
    }
}

fn after(now: Timestamp, by: Duration) -> Option<Timestamp> {
    now.checked_add(SignedDuration::try_from(by).ok()?).ok()
}

/// Events are read from etcd itself, everything else from the watch cache, which has a text of its own.
fn too_old(storage: &str, from: u64, state: &State) -> Status {
    if storage == "events" {
        return Status::expired("The resourceVersion for the provided watch is too old.");
    }
    let oldest = state.store.oldest(storage).saturating_sub(1);
    Status::expired(format!("too old resource version: {from} ({oldest})"))
}

/// One line of the stream.
#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    object: T,
}

fn line(kind: &str, object: impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(&Line { kind, object }).unwrap_or_default();
    text.push(b'\n');
    Bytes::from(text)
}

impl View {
    fn form(&mut self, object: &Value) -> Value {
        let found = &self.found.found;
        match (found.form, &mut self.table) {
            (Form::Metadata | Form::MetadataList, _) => found.metadata(object),
            (Form::Table, Some(table)) => table.event(found, &found.view(object)),
            (Form::Table | Form::Whole, _) => found.view(object),
        }
    }

    fn line(&mut self, kind: &str, object: &Value) -> Bytes {
        if self.found.found.form == Form::Whole {
            return line(kind, self.found.found.shown(object));
        }
        let object = self.form(object);
        line(kind, &object)
    }

    /// What a write looks like through the selectors: an object that no longer matches is deleted, one that matches now is
    /// added.
    fn event(&mut self, event: &Event) -> Option<Bytes> {
        let within = &self.found.namespace;
        if !within.is_empty() && event.key.0 != *within {
            return None;
        }
        let matches = |object: &Value| self.selectors.matches(&self.found.found, object);
        let before = event.previous.as_ref().is_some_and(|o| matches(o));
        let now = event.change != Change::Deleted && matches(&event.object);
        match (before, now) {
            (false, false) => None,
            (false, true) => Some(self.line("ADDED", &event.object)),
            (true, true) => Some(self.line("MODIFIED", &event.object)),
            (true, false) => {
                // The state that matched, under the revision that ended it.
                let mut last = event.previous.as_ref().map_or_else(Value::default, |o| Value::clone(o));
                last["metadata"]["resourceVersion"] = json!(event.revision.to_string());
                Some(self.line("DELETED", &last))
            }
        }
    }

    fn bookmark(&mut self, revision: u64, initial_end: bool) -> Bytes {
        let mut object = json!({"metadata": {"resourceVersion": revision.to_string()}});
        if initial_end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let found = &self.found.found;
        let object = match found.form {
            Form::Metadata | Form::MetadataList => found.metadata(&object),
            Form::Table | Form::Whole => found.view(&object),
        };
        line("BOOKMARK", &object)
    }
}

impl Stream {
    async fn next(mut self) -> Option<(Result<Bytes, io::Error>, Self)> {
        loop {
            if self.broken {
                return None;
            }
            if self.cut {
                self.broken = true;
                return Some((Err(io::ErrorKind::ConnectionReset.into()), self));
            }
            if let Some(line) = self.pending.pop_front() {
                if self.inner.faults().take_half_line() {
                    self.cut = true;
                    return Some((Ok(line.slice(..line.len() / 2)), self));
                }
                return Some((Ok(line), self));
            }
            if self.over {
                return None;
            }
            let clock = self.inner.clock.clone();
            let until = |at: Option<Timestamp>| {
                let clock = clock.clone();
                async move {
                    match at {
                        Some(at) => clock.sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                biased;
                event = self.live.recv() => match event {
                    Some(event) => self.pending.extend(self.view.event(&event)),
                    None => self.over = true,
                },
                () = until(self.deadline) => {
                    if self.bookmark.is_some() {
                        self.add_bookmark();
                    }
                    self.over = true;
                }
                () = until(self.bookmark) => {
                    self.add_bookmark();
                    self.bookmark = after(self.inner.clock.now(), BOOKMARK_EVERY);
                }
            }
        }
    }

    /// Says how far the watch is. Everything up to there goes out first: under the lock nothing can come in between.
    fn add_bookmark(&mut self) {
        let inner = self.inner.clone();
        if inner.faults().no_bookmarks {
            return;
        }
        let state = inner.state();
        while let Ok(event) = self.live.try_recv() {
            self.pending.extend(self.view.event(&event));
        }
        let bookmark = self.view.bookmark(state.store.revision(), false);
        self.pending.push_back(bookmark);
    }
}
