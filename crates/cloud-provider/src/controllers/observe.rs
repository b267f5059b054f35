//! Asking the cloud: timed, counted, and never believed beyond what it said.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kit::Class;
use kube_kit::metrics::{Counter, Histogram, Registry};
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, debug_span};

use crate::cloud::{Cloud, Sighting, Unknown};
use crate::data::Node;
use crate::error::CloudError;

/// How long a look-up may take.
const LOOK_UP: Duration = Duration::from_mins(2);
const SECONDS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Times and counts what the cloud is asked.
#[derive(Clone)]
pub struct Asked {
    total: Counter,
    seconds: Histogram,
}

impl Asked {
    /// Counts in `cloud_provider_calls_total` and `cloud_provider_call_duration_seconds`.
    pub fn new(metrics: &Registry) -> Self {
        Self {
            total: metrics.counter(
                "cloud_provider_calls_total",
                "What the cloud was asked, by operation and result.",
                &["operation", "result"],
            ),
            seconds: metrics.histogram(
                "cloud_provider_call_duration_seconds",
                "How long the cloud took to answer, by operation.",
                SECONDS,
                &["operation"],
            ),
        }
    }

    /// Asks.
    pub async fn time<T>(
        &self,
        operation: &str,
        call: impl Future<Output = Result<T, CloudError>>,
    ) -> Result<T, CloudError> {
        let began = Instant::now();
        let span = debug_span!("cloud", otel.name = operation, result = Empty);
        let answer = call.instrument(span.clone()).await;
        let result = match &answer {
            Ok(_) => "success",
            Err(CloudError::Pending { .. }) => "pending",
            Err(CloudError::ImplementedElsewhere) => "elsewhere",
            Err(CloudError::Failed { class, .. }) => match class {
                Class::NotFound => "not_found",
                Class::Conflict => "conflict",
                Class::Unauthorized => "unauthorized",
                Class::Throttled { .. } => "throttled",
                Class::Transient => "transient",
                Class::Invalid => "invalid",
                Class::Permanent => "permanent",
            },
        };
        span.record("result", result);
        self.total.inc(&[operation, result]);
        self.seconds.observe(&[operation], began.elapsed().as_secs_f64());
        answer
    }

    /// What the cloud knows about these nodes' instances, one answer for each, in the same order. Nodes of other clouds
    /// are not asked for.
    pub async fn look_up(&self, cloud: &dyn Cloud, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        let instances = cloud.instances().ok_or_else(unsupported)?;
        let ours: Vec<_> = nodes.iter().filter(|node| !is_foreign(cloud, node)).cloned().collect();
        let mut seen = if ours.is_empty() {
            Vec::new()
        } else {
            let answer = tokio::time::timeout(LOOK_UP, instances.look_up(&ours));
            let slow = |_| {
                CloudError::new(
                    Class::Transient,
                    format!("no answer within {}", kit::go_duration::format(LOOK_UP)),
                )
            };
            self.time("look_up", async { answer.await.map_err(slow)? }).await?
        };
        if seen.len() != ours.len() {
            let text = format!("the provider answered {} of {} nodes", seen.len(), ours.len());
            return Err(CloudError::new(Class::Permanent, text));
        }
        let mut seen = seen.drain(..);
        let foreign = || Sighting::Unknown(Unknown::Foreign);
        let answer = |node: &Arc<Node>| {
            if is_foreign(cloud, node) {
                foreign()
            } else {
                seen.next().unwrap_or_else(foreign)
            }
        };
        Ok(nodes.iter().map(answer).collect())
    }
}

fn unsupported() -> CloudError {
    CloudError::new(Class::Permanent, "cloud provider does not support instances")
}

/// Whether a node has the provider ID of another cloud.
pub fn is_foreign(cloud: &dyn Cloud, node: &Node) -> bool {
    !node.provider_id.is_empty() && !cloud.owns(&node.provider_id)
}

/// Whether a node has a provider ID of this cloud.
pub fn is_ours(cloud: &dyn Cloud, node: &Node) -> bool {
    !node.provider_id.is_empty() && cloud.owns(&node.provider_id)
}
