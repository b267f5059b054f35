//! Asking the cloud: timed, counted, and never believed beyond what it said.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kit::Class;
use kube_kit::metrics::{Counter, Histogram, Registry};
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, debug_span};

use super::Shared;
use crate::cloud::{Cloud, Instances, Sighting, Unknown};
use crate::data::Node;
use crate::error::CloudError;

/// How long a look-up may take.
const LOOK_UP: Duration = Duration::from_mins(2);
/// The alarm while the cloud answers no look-up.
pub const UNAVAILABLE: &str = "CloudProviderUnavailable";
/// The alarm while the cloud cannot tell about some nodes although it answers.
pub const UNTOLD: &str = "CloudInstancesUnknown";
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

    /// What the cloud knows about these nodes' instances, one answer for each, in the same order.
    ///
    /// Neither nodes of other clouds are asked for, nor those that the cloud wants to be left alone about: these are
    /// answered as it answered last. While it wants to be left alone altogether, that is the answer. Whoever asked, all
    /// controllers keep to it.
    pub async fn look_up(&self, shared: &Shared, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        let cloud = &*shared.cloud;
        let instances = cloud.instances().ok_or_else(unsupported)?;
        let known: Vec<Option<Sighting>> = {
            let silence = shared.silence.lock();
            if let Some(refusal) = silence.holds() {
                return Err(refusal);
            }
            let known = |node: &Arc<Node>| {
                if is_foreign(cloud, node) {
                    return Some(Sighting::Unknown(Unknown::Foreign));
                }
                silence
                    .holds_for(node)
                    .map(|refusal| Sighting::Unknown(Unknown::Failed(refusal)))
            };
            nodes.iter().map(known).collect()
        };
        let open = nodes.iter().zip(&known).filter(|(_, known)| known.is_none());
        let open: Vec<Arc<Node>> = open.map(|(node, _)| Arc::clone(node)).collect();
        let told = if open.is_empty() {
            Vec::new()
        } else {
            match self.ask(instances, &open).await {
                Ok(told) => told,
                Err(error) => {
                    shared.silence.lock().refused(&error);
                    return Err(error);
                }
            }
        };
        if !open.is_empty() {
            shared.alarms.clear(UNAVAILABLE);
        }
        complain(shared, &open, &told);
        let mut told = told.into_iter();
        let foreign = || Sighting::Unknown(Unknown::Foreign);
        let answer = |known: Option<Sighting>| known.or_else(|| told.next()).unwrap_or_else(foreign);
        Ok(known.into_iter().map(answer).collect())
    }

    async fn ask(&self, instances: &dyn Instances, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        let answer = tokio::time::timeout(LOOK_UP, instances.look_up(nodes));
        let slow = |_| {
            let text = format!("no answer within {}", kit::go_duration::format(LOOK_UP));
            CloudError::new(Class::Transient, text)
        };
        let told = self.time("look_up", async { answer.await.map_err(slow)? }).await?;
        if told.len() == nodes.len() {
            return Ok(told);
        }
        let text = format!("the provider answered {} of {} nodes", told.len(), nodes.len());
        Err(CloudError::new(Class::Permanent, text))
    }
}

/// Raises the alarm that the cloud answers no look-up. The next one that it answers ends it.
pub fn raise_unavailable(shared: &Shared, error: &CloudError) {
    let text = format!("cannot look up instances: {}", kit::chain(error));
    shared.alarms.raise(UNAVAILABLE, text);
}

/// Takes note of what the cloud told about these nodes, and raises an alarm when there are some that it could not tell
/// about for long, or ends it.
fn complain(shared: &Shared, nodes: &[Arc<Node>], told: &[Sighting]) {
    let complaint = {
        let mut silence = shared.silence.lock();
        for (node, seen) in nodes.iter().zip(told) {
            silence.told(node, seen);
        }
        if !silence.is_empty() {
            let all = shared.nodes.list();
            let there = all.iter().filter(|node| !is_foreign(&*shared.cloud, node));
            let there: HashSet<&str> = there.map(|node| node.uid.as_str()).collect();
            silence.forget_unless(|uid| there.contains(uid));
        }
        silence.complaint()
    };
    match complaint {
        Some(text) => shared.alarms.raise(UNTOLD, text),
        None => shared.alarms.clear(UNTOLD),
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
