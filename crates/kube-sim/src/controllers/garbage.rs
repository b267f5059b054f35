//! Collects what has lost its owners, and carries out foreground and orphan deletions.
//!
//! Mirrors kubernetes/kubernetes pkg/controller/garbagecollector.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Controller;
use crate::meta;
use crate::ops::{DeleteOptions, State, Target};
use crate::resource::Resource;
use crate::sim::Inner;

#[derive(Debug)]
pub(super) struct Garbage;

type Everything = Vec<(Arc<Resource>, String, String, Arc<Value>)>;

impl Controller for Garbage {
    fn watches(&self) -> &'static [&'static str] {
        // Anything can own anything.
        &[]
    }

    fn rest(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn reconcile(&mut self, inner: &Inner) -> Option<Timestamp> {
        let mut state = inner.state();
        let all = everything(&state);
        let by_uid: BTreeMap<&str, &Arc<Value>> = all.iter().map(|(_, _, _, o)| (meta::text(o, "uid"), o)).collect();
        for (resource, namespace, name, object) in &all {
            let target = Target {
                resource,
                namespace,
                name,
            };
            let uid = meta::text(object, "uid");
            if meta::is_terminating(object) {
                settle(inner, &mut state, target, object, &all, uid);
            } else if is_garbage(object, &by_uid) {
                let options = DeleteOptions {
                    uid: Some(uid.to_owned()),
                    ..DeleteOptions::default()
                };
                // Gone or changed since: the change wakes us again.
                let _ = state.delete(target, &options, &inner.write("generic-garbage-collector"));
            }
        }
        None
    }
}

fn everything(state: &State) -> Everything {
    let mut seen = Vec::new();
    let mut out = Vec::new();
    for resource in state.registry.all().filter(|r| r.stored()) {
        if seen.contains(&resource.storage) {
            continue;
        }
        seen.push(resource.storage.clone());
        for ((namespace, name), object) in state.store.list(&resource.storage, "") {
            out.push((resource.clone(), namespace, name, object));
        }
    }
    out
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

/// Garbage had owners, and none of them is left that is not itself waiting in the foreground for its dependents.
fn is_garbage(object: &Value, by_uid: &BTreeMap<&str, &Arc<Value>>) -> bool {
    let mut any = false;
    let solid = owners(object).any(|owner| {
        any = true;
        let found = owner["uid"].as_str().and_then(|uid| by_uid.get(uid));
        found.is_some_and(|o| !(meta::is_terminating(o) && meta::finalizers(o).contains(&"foregroundDeletion")))
    });
    any && !solid
}

/// Lets go of a terminating object when its dependents are gone (foreground) or have been cut loose (orphan).
fn settle(inner: &Inner, state: &mut State, target: Target<'_>, object: &Value, all: &Everything, uid: &str) {
    let waiting = meta::finalizers(object);
    let done = if waiting.contains(&"orphan") {
        for (resource, namespace, name, dependent) in all {
            if owners(dependent).any(|o| o["uid"] == uid) {
                let target = Target {
                    resource,
                    namespace,
                    name,
                };
                let mut loose = Value::clone(dependent);
                let rest: Vec<Value> = owners(dependent).filter(|o| o["uid"] != uid).cloned().collect();
                meta::set(&mut loose, "ownerReferences", (!rest.is_empty()).then(|| json!(rest)));
                let _ = state.update(target, &inner.write("generic-garbage-collector"), |_, _| Ok(loose));
            }
        }
        "orphan"
    } else if waiting.contains(&"foregroundDeletion") {
        let blocked = all
            .iter()
            .any(|(_, _, _, d)| owners(d).any(|o| o["uid"] == uid && o["blockOwnerDeletion"] == true));
        if blocked {
            return;
        }
        "foregroundDeletion"
    } else {
        return;
    };
    let mut released = object.clone();
    let rest: Vec<&str> = waiting.into_iter().filter(|f| *f != done).collect();
    meta::set(&mut released, "finalizers", (!rest.is_empty()).then(|| json!(rest)));
    let _ = state.update(target, &inner.write("generic-garbage-collector"), |_, _| Ok(released));
}
