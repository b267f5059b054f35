//! Gives every namespace its account named `default`.

use jiff::Timestamp;
use serde_json::json;

use super::Controller;
use crate::meta;
use crate::sim::Inner;

#[derive(Debug)]
pub(super) struct ServiceAccounts;

impl Controller for ServiceAccounts {
    fn watches(&self) -> &'static [&'static str] {
        &["namespaces", "serviceaccounts"]
    }

    fn reconcile(&mut self, inner: &Inner) -> Option<Timestamp> {
        let missing: Vec<String> = {
            let state = inner.state();
            let namespaces = state.store.list("namespaces", "").into_iter();
            namespaces
                .filter(|(key, object)| {
                    !meta::is_terminating(object) && state.store.get("serviceaccounts", &key.1, "default").is_none()
                })
                .map(|(key, _)| key.1)
                .collect()
        };
        for namespace in missing {
            let account = json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace},
            });
            // Somebody else may have been faster, or the namespace may be going: the next change wakes us again.
            let _ = inner.create(account, "kube-controller-manager");
        }
        None
    }
}
