//! Empties namespaces that are going away, then lets them go.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Controller;
use crate::meta;
use crate::ops::{DeleteOptions, State, Target};
use crate::resource::Resource;
use crate::sim::Inner;

#[derive(Debug)]
pub(super) struct Namespaces;

impl Controller for Namespaces {
    fn watches(&self) -> &'static [&'static str] {
        // Any object may be the last one in a namespace.
        &[]
    }

    fn reconcile(&mut self, inner: &Inner) -> Option<Timestamp> {
        let mut state = inner.state();
        let going: Vec<Arc<Value>> = state
            .store
            .list("namespaces", "")
            .into_iter()
            .map(|(_, object)| object)
            .filter(|object| meta::is_terminating(object) && object["spec"].get("finalizers").is_some())
            .collect();
        if going.is_empty() {
            return None;
        }
        let resources: Vec<Arc<Resource>> = state
            .registry
            .all()
            .filter(|r| r.namespaced && r.stored())
            .cloned()
            .collect();
        for namespace in going {
            empty(inner, &mut state, &resources, &namespace);
        }
        None
    }
}

fn empty(inner: &Inner, state: &mut State, resources: &[Arc<Resource>], namespace: &Value) {
    let within = meta::name(namespace);
    let mut left = false;
    for resource in resources {
        for ((_, name), object) in state.store.list(&resource.storage, within) {
            let target = Target {
                resource,
                namespace: within,
                name: &name,
            };
            if !meta::is_terminating(&object) {
                let now = DeleteOptions {
                    grace: Some(0),
                    ..DeleteOptions::default()
                };
                let _ = state.delete(target, &now, &inner.write("kube-controller-manager"));
            }
            left |= state.get(target).is_ok();
        }
    }
    let Some(resource) = state.registry.by_name("namespaces").cloned().filter(|_| !left) else {
        return;
    };
    let target = Target {
        resource: &resource,
        namespace: "",
        name: within,
    };
    let mut write = inner.write("kube-controller-manager");
    "finalize".clone_into(&mut write.subresource);
    let _ = state.update(target, &write, |_, old| {
        let mut object = old.map(|o| Value::clone(o)).unwrap_or_default();
        object["spec"]["finalizers"] = json!([]);
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.shift_remove("finalizers");
        }
        Ok(object)
    });
}
