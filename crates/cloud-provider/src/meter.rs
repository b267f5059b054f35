//! Counting a provider's own calls in the process's metrics.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use kit::Class;
use kube_kit::metrics::Registry;

use crate::controllers::observe::Asked;
use crate::error::CloudError;

/// Counts and times calls by operation, as the controllers do theirs, once it was started: a provider's client is made
/// before there are metrics. Clones share it.
#[derive(Clone, Default)]
pub struct Meter(Arc<OnceLock<Asked>>);

impl Meter {
    /// Counts from now on in `cloud_provider_calls_total` and `cloud_provider_call_duration_seconds`. The first registry
    /// stays.
    pub fn start(&self, metrics: &Registry) {
        self.0.get_or_init(|| Asked::new(metrics));
    }

    /// Waits for a call and counts it under its operation, `list servers` as `list_servers`.
    pub async fn time<T, E>(
        &self,
        operation: &str,
        class: impl Fn(&E) -> Class,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(asked) = self.0.get() else {
            return call.await;
        };
        // The counter reads a cloud error; callers get their own.
        let mut answer = None;
        let label = operation.replace(' ', "_");
        let counted = asked.time(&label, async {
            let given = answer.insert(call.await);
            given
                .as_ref()
                .map(|_| ())
                .map_err(|error| CloudError::new(class(error), ""))
        });
        let _ = counted.await;
        answer.expect("the call was waited for")
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Meter(started: {})", self.0.get().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_counted_by_operation_and_result_once_it_was_started() {
        let (meter, metrics) = (Meter::default(), Registry::new());
        let call =
            async |answer: Result<u8, u8>| meter.time("list things", |_| Class::NotFound, async { answer }).await;
        assert_eq!(call(Ok(1)).await, Ok(1));
        meter.start(&metrics);
        assert_eq!(call(Ok(2)).await, Ok(2));
        assert_eq!(call(Err(3)).await, Err(3));
        let told = metrics.render();
        for line in [
            r#"cloud_provider_calls_total{operation="list_things",result="success"} 1"#,
            r#"cloud_provider_calls_total{operation="list_things",result="not_found"} 1"#,
        ] {
            assert!(told.contains(line), "{told}");
        }
    }
}
