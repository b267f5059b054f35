//! Which cluster this is.

use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use kit::{Backoff, Class};
use kube::Api;
use kube_kit::retry;
use tracing::warn;

use crate::cloud::Context;
use crate::error::CloudError;

/// The namespace whose UID tells clusters apart.
pub const SYSTEM_NAMESPACE: &str = "kube-system";
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The UID of the system namespace: unlike the name of a cluster, no two clusters have the same.
///
/// Waits while the API server cannot answer. Fails when the namespace may not be read, which does not pass by itself.
pub async fn uid(context: &Context) -> Result<String, CloudError> {
    let namespaces: Api<core::Namespace> = Api::all(context.client.clone());
    let mut waits = Backoff::new(Duration::from_secs(1), LONGEST_WAIT).jitter(0.2);
    loop {
        let error = match namespaces.get_metadata(SYSTEM_NAMESPACE).await {
            Ok(namespace) => match namespace.metadata.uid.filter(|uid| !uid.is_empty()) {
                Some(uid) => return Ok(uid),
                None => CloudError::new(Class::Permanent, "the kube-system namespace has no UID"),
            },
            Err(error) => {
                let class = retry::class(&error);
                CloudError::new(class, "failed to get kube-system namespace").because(error)
            }
        };
        if !error.class().is_temporary() || context.stop.is_cancelled() {
            return Err(error);
        }
        warn!("{}; trying again", kit::chain(&error));
        tokio::select! {
            () = context.stop.cancelled() => {}
            () = context.clock.sleep(waits.next().unwrap_or(LONGEST_WAIT)) => {}
        }
    }
}
