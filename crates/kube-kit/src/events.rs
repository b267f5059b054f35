//! core/v1 Events with the correlation of client-go's `tools/record`.
//!
//! ```text
//! Recorder ──(queue, full: dropped)──► Broadcaster: spam filter ─► aggregation ─► POST, or PATCH count+1
//! ```
//!
//! Recording never waits and never fails: an event that cannot be written is lost, as with client-go. A flood of events, such
//! as of a thousand new nodes, gives way to the writes that it tells of.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kit::Clock;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

mod correlate;
mod log;

use correlate::{Correlator, Write};
pub use log::{EventLog, LoggedEvent};

/// How many events may wait to be written: three for each node of a large cluster that starts at once. Differs from
/// client-go, which drops what is more than a thousand.
const QUEUE: usize = 16_384;
/// From so many waiting events on it is a flood, which waits until it does not grow for a moment, but not for long.
const FLOOD: usize = 100;
const LULL: Duration = Duration::from_millis(250);
const HELD_BACK: Duration = Duration::from_secs(10);
/// How often, and how far apart, an event is sent that the API server did not answer.
const TRIES: usize = 12;
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The object an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    uid: String,
}

impl ObjectRef {
    /// A cluster-scoped object.
    pub fn new(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: String::new(),
            name: name.to_owned(),
            uid: String::new(),
        }
    }

    /// The object's namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// The object's UID.
    #[must_use]
    pub fn uid(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.uid);
        self
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        write!(f, "{} {}{slash}{}", self.kind, self.namespace, self.name)
    }
}

/// The two types of event there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// Something happened as it should.
    Normal,
    /// Somebody should look.
    Warning,
}

impl EventType {
    /// As it stands in events.
    pub fn text(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// An event before anything was counted or combined.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    at: Timestamp,
    component: &'static str,
    object: ObjectRef,
    kind: EventType,
    reason: String,
    message: String,
}

/// Records events as one component. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Recorder {
    component: &'static str,
    queue: mpsc::Sender<Said>,
    clock: Clock,
    log: EventLog,
}

/// Writes what recorders say. See [`Broadcaster::run`].
#[derive(Debug)]
pub struct Broadcaster {
    queue: mpsc::Receiver<Said>,
    source: mpsc::Sender<Said>,
    clock: Clock,
    log: EventLog,
}

impl Recorder {
    /// A recorder of the same queue for another component.
    #[must_use]
    pub fn component(&self, component: &'static str) -> Self {
        Self {
            component,
            ..self.clone()
        }
    }

    /// Something happened as it should.
    pub fn normal(&self, object: &ObjectRef, reason: &str, message: impl Into<String>) {
        self.say(object, EventType::Normal, reason, message.into());
    }

    /// Somebody should look.
    pub fn warning(&self, object: &ObjectRef, reason: &str, message: impl Into<String>) {
        self.say(object, EventType::Warning, reason, message.into());
    }

    fn say(&self, object: &ObjectRef, kind: EventType, reason: &str, message: String) {
        debug!(%object, reason, message, "event");
        let said = Said {
            at: self.clock.now(),
            component: self.component,
            object: object.clone(),
            kind,
            reason: reason.to_owned(),
            message,
        };
        self.log.note(&said);
        if self.queue.try_send(said).is_err() {
            warn!(%object, reason, "the queue of events is full; this one is lost");
        }
    }
}

impl Broadcaster {
    /// A broadcaster whose events carry the times of `clock`.
    pub fn new(clock: Clock) -> Self {
        let (source, queue) = mpsc::channel(QUEUE);
        Self {
            queue,
            source,
            clock,
            log: EventLog::default(),
        }
    }

    /// Notes what its recorders are told in this log, which several may share.
    #[must_use]
    pub fn log(mut self, log: &EventLog) -> Self {
        self.log = log.clone();
        self
    }

    /// A recorder for one component.
    pub fn recorder(&self, component: &'static str) -> Recorder {
        Recorder {
            component,
            queue: self.source.clone(),
            clock: self.clock.clone(),
            log: self.log.clone(),
        }
    }

    /// Writes events until `stop` is cancelled, and then what is still queued, without trying anything twice.
    pub async fn run(mut self, client: Client, stop: CancellationToken) {
        drop(self.source);
        let mut correlator = Correlator::new();
        let mut flood = Flood::default();
        loop {
            let said = tokio::select! {
                biased;
                () = stop.cancelled() => match self.queue.try_recv() {
                    Ok(said) => said,
                    Err(_) => return,
                },
                said = self.queue.recv() => match said {
                    Some(said) => said,
                    None => return,
                },
            };
            flood.give_way(&self.queue, &stop).await;
            write(&client, &mut correlator, said, &stop).await;
        }
    }
}

/// Whether more is being said than anybody can write.
#[derive(Default)]
struct Flood {
    began: Option<Instant>,
    waiting: usize,
}

impl Flood {
    /// Waits for as long as a flood grows: what it tells of is being done now, and is what matters.
    async fn give_way(&mut self, queue: &mpsc::Receiver<Said>, stop: &CancellationToken) {
        if queue.len() < FLOOD {
            *self = Self::default();
            return;
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        while queue.len() > self.waiting && began.elapsed() < HELD_BACK && !stop.is_cancelled() {
            self.waiting = queue.len();
            tokio::select! {
                () = tokio::time::sleep(LULL) => {}
                () = stop.cancelled() => {}
            }
        }
        self.waiting = queue.len();
    }
}

async fn write(client: &Client, correlator: &mut Correlator, said: Said, stop: &CancellationToken) {
    let Some(mut next) = correlator.correlate(said) else {
        return;
    };
    let tries = if stop.is_cancelled() { 1 } else { TRIES };
    for attempt in 0..tries {
        match send(client, &next).await {
            Ok(written) => return correlator.written(&next, written.metadata.name.unwrap_or_default()),
            Err(kube::Error::Api(status)) if status.is_not_found() && next.known.is_some() => {
                // Events are deleted after an hour: begin a new one.
                next.known = None;
            }
            Err(kube::Error::Api(status)) => {
                debug!(%status, "the API server refused an event");
                return;
            }
            Err(error) => {
                debug!(error = %kit::chain(&error), attempt, "cannot write an event");
                if attempt + 1 == tries {
                    return;
                }
                // So that many writers do not come back at once.
                let wait = if attempt == 0 {
                    RETRY_AFTER.mul_f64(fastrand::f64())
                } else {
                    RETRY_AFTER
                };
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

async fn send(client: &Client, write: &Write) -> Result<Event, kube::Error> {
    let object = &write.said.object;
    let namespace = if object.namespace.is_empty() {
        "default"
    } else {
        &object.namespace
    };
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    if let Some(name) = &write.known {
        let patch =
            json!({ "count": write.count, "lastTimestamp": Time(write.said.at), "message": write.said.message });
        return events
            .patch(name, &PatchParams::default(), &Patch::Strategic(patch))
            .await;
    }
    events.create(&PostParams::default(), &event(write, namespace)).await
}

fn event(write: &Write, namespace: &str) -> Event {
    let Said {
        at,
        component,
        object,
        kind,
        reason,
        message,
    } = &write.said;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", object.name, write.unique)),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: some(&object.api_version),
            kind: some(&object.kind),
            namespace: some(&object.namespace),
            name: some(&object.name),
            uid: some(&object.uid),
            ..ObjectReference::default()
        },
        reason: Some(reason.clone()),
        message: Some(message.clone()),
        type_: Some(kind.text().to_owned()),
        source: Some(EventSource {
            component: Some((*component).to_owned()),
            host: None,
        }),
        reporting_component: Some((*component).to_owned()),
        first_timestamp: Some(Time(write.first)),
        last_timestamp: Some(Time(*at)),
        count: Some(write.count),
        ..Event::default()
    }
}

/// The least recently used entries go first once there are too many.
#[derive(Debug)]
struct Recent<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    most: usize,
    tick: u64,
}

impl<K: Ord + Clone, V> Recent<K, V> {
    fn new(most: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            most,
            tick: 0,
        }
    }

    fn entry(&mut self, key: &K, fresh: impl FnOnce() -> V) -> &mut V {
        self.tick += 1;
        if self.entries.len() >= self.most && !self.entries.contains_key(key) {
            // A tenth at once, so that the search is paid for rarely.
            let mut ticks: Vec<u64> = self.entries.values().map(|(tick, _)| *tick).collect();
            ticks.sort_unstable();
            let oldest = ticks.get(self.most / 10).copied().unwrap_or(0);
            self.entries.retain(|_, (tick, _)| *tick > oldest);
        }
        let entry = self.entries.entry(key.clone()).or_insert_with(|| (0, fresh()));
        entry.0 = self.tick;
        &mut entry.1
    }
}

#[cfg(test)]
mod tests;
