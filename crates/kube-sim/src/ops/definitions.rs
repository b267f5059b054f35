//! What the server does with CustomResourceDefinitions by itself: it establishes them, serves what they define, and empties
//! them before they go.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{DeleteOptions, State, Target, Write};
use crate::custom;
use crate::kinds::crd::{CLEANUP, STORAGE};
use crate::meta;
use crate::schema::format_time;

impl State {
    /// After a definition was written: accepts its names and serves its versions.
    pub(crate) fn establish(&mut self, name: &str, write: &Write) {
        let Some(definition) = self.store.get(STORAGE, "", name).cloned() else {
            return;
        };
        if meta::is_terminating(&definition) {
            self.finish_definition(name, write);
            return;
        }
        let group = definition["spec"]["group"].as_str().unwrap_or_default().to_owned();
        let plural = definition["spec"]["names"]["plural"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let known = definition["status"]["conditions"]
            .as_array()
            .is_some_and(|c| !c.is_empty());
        let storage = format!("{plural}.{group}");
        if !known {
            self.store.begin(&storage);
        }
        self.registry
            .set_custom(&group, &plural, custom::resources(&definition));
        let mut established = Value::clone(&definition);
        let condition = |kind: &str, reason: &str, message: &str| {
            json!({
                "type": kind, "status": "True", "lastTransitionTime": format_time(write.now), "reason": reason, "message": message,
            })
        };
        established["status"]["acceptedNames"] = definition["spec"]["names"].clone();
        if !known {
            established["status"]["conditions"] = json!([
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition(
                    "Established",
                    "InitialNamesAccepted",
                    "the initial names have been accepted"
                ),
            ]);
        }
        if established != *definition {
            self.store.put(STORAGE, (String::new(), name.to_owned()), established);
        }
    }

    /// Marks a definition for deletion and empties it. What is returned is the marked definition.
    pub(super) fn delete_definition(&mut self, target: Target<'_>, old: &Arc<Value>, write: &Write) -> Arc<Value> {
        if meta::is_terminating(old) {
            return old.clone();
        }
        let mut marked = Value::clone(old);
        meta::set(&mut marked, "deletionTimestamp", Some(json!(format_time(write.now))));
        let mut finalizers: Vec<&str> = meta::finalizers(old);
        finalizers.push(CLEANUP);
        meta::set(&mut marked, "finalizers", Some(json!(finalizers)));
        if write.dry_run {
            return Arc::new(marked);
        }
        let marked = self.store.put(STORAGE, target.key(), marked);
        self.finish_definition(target.name, write);
        marked
    }

    /// Removes the objects of a definition that is going; when none is left, the definition goes too.
    pub(super) fn finish_definition(&mut self, name: &str, write: &Write) {
        let Some(definition) = self.store.get(STORAGE, "", name).cloned() else {
            return;
        };
        let group = definition["spec"]["group"].as_str().unwrap_or_default().to_owned();
        let plural = definition["spec"]["names"]["plural"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let storage = format!("{plural}.{group}");
        let resource = self.registry.all().find(|r| r.storage == storage).cloned();
        if let Some(resource) = resource {
            for ((namespace, name), object) in self.store.list(&storage, "") {
                if meta::is_terminating(&object) {
                    continue;
                }
                let target = Target {
                    resource: &resource,
                    namespace: &namespace,
                    name: &name,
                };
                // An object with finalizers stays; its own removal brings us back here.
                let _ = self.delete(target, &DeleteOptions::default(), write);
            }
        }
        if !self.store.list(&storage, "").is_empty() {
            return;
        }
        self.registry.set_custom(&group, &plural, Vec::new());
        let key = (String::new(), name.to_owned());
        let others: Vec<&str> = meta::finalizers(&definition)
            .into_iter()
            .filter(|f| *f != CLEANUP)
            .collect();
        if others.is_empty() {
            self.store.remove(STORAGE, &key);
        } else {
            let mut rest = Value::clone(&definition);
            meta::set(&mut rest, "finalizers", Some(json!(others)));
            if rest != *definition {
                self.store.put(STORAGE, key, rest);
            }
        }
    }

    /// After an object went: its definition may have waited for that.
    pub(super) fn removed(&mut self, storage: &str, write: &Write) {
        if self
            .store
            .get(STORAGE, "", storage)
            .is_some_and(|d| meta::is_terminating(d))
            && self.store.list(storage, "").is_empty()
        {
            self.finish_definition(storage, write);
        }
    }
}
