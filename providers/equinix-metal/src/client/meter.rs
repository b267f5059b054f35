//! Counting calls in the process's metrics.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use cloud_provider::CloudError;
use cloud_provider::controllers::observe::Asked;
use kube_kit::metrics::Registry;

use super::{MetalError, MetalResult};

/// Counts once it was started; a client is made before there are metrics. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Meter(Arc<OnceLock<Asked>>);

impl Meter {
    /// Counts from now on. The first registry stays.
    pub(super) fn start(&self, metrics: &Registry) {
        self.0.get_or_init(|| Asked::new(metrics));
    }

    /// Waits for a call and counts it under its operation, `list devices` as `list_devices`.
    pub(super) async fn time<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, cloud_http::Error>>,
    ) -> MetalResult<T> {
        let Some(asked) = self.0.get() else {
            return call.await.map_err(MetalError::from);
        };
        // The counter reads a cloud error; callers get the whole one.
        let mut failed = None;
        let label = operation.replace(' ', "_");
        let timed = asked.time(&label, async {
            call.await.map_err(|error| {
                let class = error.class();
                failed = Some(error);
                CloudError::new(class, operation)
            })
        });
        let answer = timed.await;
        match (answer, failed) {
            (Ok(value), _) => Ok(value),
            (Err(_), Some(error)) => Err(error.into()),
            (Err(other), None) => Err(cloud_http::Error::new(operation, other.class(), other.to_string()).into()),
        }
    }
}
