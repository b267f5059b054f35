//! The metrics of work queues, named as client-go names them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::{Counter, Gauge, Histogram, Registry};

// Powers of ten as Go computes them, one from the other, because dashboards match on the text.
const BUCKETS: &[f64] = &[
    1e-8,
    1e-7,
    1e-6,
    9.999_999_999_999_999e-6,
    9.999_999_999_999_999e-5,
    1e-3,
    1e-2,
    1e-1,
    1.0,
    10.0,
];

/// The metrics of one queue, told apart by the label `name`.
#[derive(Clone)]
pub struct QueueMetrics(Arc<Inner>);

struct Inner {
    name: &'static str,
    registry: Registry,
    depth: Gauge,
    adds: Counter,
    queue_seconds: Histogram,
    work_seconds: Histogram,
    unfinished: Gauge,
    longest: Gauge,
    retries: Counter,
}

impl QueueMetrics {
    /// The metrics of the queue `name` in `registry`.
    pub fn new(registry: &Registry, name: &'static str) -> Self {
        Self(Arc::new(Inner {
            name,
            registry: registry.clone(),
            depth: registry.gauge("workqueue_depth", "Current depth of workqueue", &["name"]),
            adds: registry.counter(
                "workqueue_adds_total",
                "Total number of adds handled by workqueue",
                &["name"],
            ),
            queue_seconds: registry.histogram(
                "workqueue_queue_duration_seconds",
                "How long in seconds an item stays in workqueue before being requested.",
                BUCKETS,
                &["name"],
            ),
            work_seconds: registry.histogram(
                "workqueue_work_duration_seconds",
                "How long in seconds processing an item from workqueue takes.",
                BUCKETS,
                &["name"],
            ),
            unfinished: registry.gauge(
                "workqueue_unfinished_work_seconds",
                "Seconds of work in progress that work_duration does not show yet.",
                &["name"],
            ),
            longest: registry.gauge(
                "workqueue_longest_running_processor_seconds",
                "Seconds the longest running processor has been running.",
                &["name"],
            ),
            retries: registry.counter(
                "workqueue_retries_total",
                "Total number of retries handled by workqueue",
                &["name"],
            ),
        }))
    }

    pub(super) fn on_render(&self, collect: impl Fn(&Self) + Send + Sync + 'static) {
        let weak = Arc::downgrade(&self.0);
        self.0.registry.on_render(move || {
            if let Some(inner) = weak.upgrade() {
                collect(&Self(inner));
            }
        });
    }

    pub(super) fn added(&self) {
        self.0.adds.inc(&[self.0.name]);
    }

    pub(super) fn retried(&self) {
        self.0.retries.inc(&[self.0.name]);
    }

    pub(super) fn waited(&self, time: Duration) {
        self.0.queue_seconds.observe(&[self.0.name], time.as_secs_f64());
    }

    pub(super) fn worked(&self, time: Duration) {
        self.0.work_seconds.observe(&[self.0.name], time.as_secs_f64());
    }

    pub(super) fn running<'a>(&self, depth: usize, started: impl Iterator<Item = &'a Instant>) {
        let (mut sum, mut longest) = (0.0, 0f64);
        for since in started {
            let seconds = since.elapsed().as_secs_f64();
            sum += seconds;
            longest = longest.max(seconds);
        }
        let label = &[self.0.name];
        self.0.depth.set(label, depth as f64);
        self.0.unfinished.set(label, sum);
        self.0.longest.set(label, longest);
    }
}
