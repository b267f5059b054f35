//! Publishes the certificate of the authority in every namespace.

use jiff::Timestamp;
use serde_json::json;

use super::Controller;
use crate::meta;
use crate::ops::Target;
use crate::sim::Inner;

const NAME: &str = "kube-root-ca.crt";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such \
    as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

#[derive(Debug)]
pub(super) struct RootCa;

impl Controller for RootCa {
    fn watches(&self) -> &'static [&'static str] {
        &["namespaces", "configmaps"]
    }

    fn reconcile(&mut self, inner: &Inner) -> Option<Timestamp> {
        let mut state = inner.state();
        let resource = state.registry.by_name("configmaps")?.clone();
        let write = inner.write("kube-controller-manager");
        for ((_, namespace), object) in state.store.list("namespaces", "") {
            if meta::is_terminating(&object) {
                continue;
            }
            let wanted = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {
                    "name": NAME, "namespace": namespace, "annotations": {"kubernetes.io/description": DESCRIPTION},
                },
                "data": {"ca.crt": inner.authority.pem()},
            });
            match state.store.get("configmaps", &namespace, NAME) {
                None => {
                    // A namespace that has just begun to go refuses; nothing is lost.
                    let _ = state.create(&resource, &namespace, wanted, &write);
                }
                Some(found) if found["data"] != wanted["data"] => {
                    let target = Target {
                        resource: &resource,
                        namespace: &namespace,
                        name: NAME,
                    };
                    let _ = state.update(target, &write, |_, _| Ok(wanted));
                }
                Some(_) => {}
            }
        }
        None
    }
}
