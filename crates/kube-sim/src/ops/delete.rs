//! Deletion: preconditions, finalizers, grace and propagation.
//!
//! Mirrors kubernetes/apiserver pkg/registry/rest/delete.go.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{State, Target, Write};
use crate::field::FieldError;
use crate::kinds::crd::STORAGE as DEFINITIONS;
use crate::meta;
use crate::resource::Resource;
use crate::schema::format_time;
use crate::status::{Named, Status};

const PROTECTED: &[&str] = &["default", "kube-system", "kube-public"];
const POLICIES: &[&str] = &["Foreground", "Background", "Orphan", "nil"];

/// How to delete, from the body or the query.
#[derive(Debug, Default, Clone)]
pub(crate) struct DeleteOptions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub propagation: Option<String>,
    pub orphan_dependents: Option<bool>,
    pub grace: Option<i64>,
    pub dry_run: bool,
}

/// What is left to answer.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// The object is still there, or this kind answers with its last state.
    Object(Arc<Value>),
    /// It is gone; this is what it was.
    Gone(Arc<Value>),
}

impl DeleteOptions {
    /// Options that do not make sense together.
    pub fn validate(&self) -> Result<(), Status> {
        let error = match (&self.propagation, self.orphan_dependents) {
            (Some(policy), Some(_)) => FieldError::invalid(
                "propagationPolicy",
                policy.as_str(),
                "orphanDependents and deletionPropagation cannot be both set",
            ),
            (Some(policy), None) if !POLICIES[..3].contains(&policy.as_str()) => {
                FieldError::not_supported("propagationPolicy", policy.as_str(), POLICIES)
            }
            _ => return Ok(()),
        };
        Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", &[error]))
    }
}

/// Whether nothing keeps a terminating object any more.
pub(super) fn is_released(resource: &Resource, object: &Value) -> bool {
    let kept_by_spec =
        resource.storage == "namespaces" && object["spec"]["finalizers"].as_array().is_some_and(|f| !f.is_empty());
    let grace = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    meta::finalizers(object).is_empty() && !kept_by_spec && grace == 0
}

/// The finalizers after the propagation policy has had its say.
fn finalizers_for(object: &Value, options: &DeleteOptions) -> Vec<String> {
    let orphan = match (&options.propagation, options.orphan_dependents) {
        (Some(policy), _) => Some(policy == "Orphan"),
        (None, flag) => flag,
    };
    let foreground = options.propagation.as_ref().map(|p| p == "Foreground");
    let mut out: Vec<String> = meta::finalizers(object)
        .into_iter()
        .filter(|f| match *f {
            "orphan" => orphan.is_none() && foreground != Some(true),
            "foregroundDeletion" => foreground.is_none() && orphan.is_none(),
            _ => true,
        })
        .map(str::to_owned)
        .collect();
    if orphan == Some(true) {
        out.push("orphan".to_owned());
    } else if foreground == Some(true) {
        out.push("foregroundDeletion".to_owned());
    }
    out
}

impl State {
    pub fn delete(&mut self, target: Target<'_>, options: &DeleteOptions, write: &Write) -> Result<Deleted, Status> {
        let resource = target.resource;
        let is_namespace = resource.storage == "namespaces";
        if is_namespace && PROTECTED.contains(&target.name) {
            return Err(Status::forbidden(
                resource.named(),
                target.name,
                "this namespace may not be deleted",
            ));
        }
        let old = self.get(target)?;
        options.validate()?;
        check_preconditions(resource, target.name, &old, options)?;

        if resource.storage == DEFINITIONS {
            let write = Write {
                dry_run: write.dry_run || options.dry_run,
                ..write.clone()
            };
            return Ok(Deleted::Object(self.delete_definition(target, &old, &write)));
        }
        let grace = if resource.traits.graceful {
            Self::grace(&old, options)
        } else {
            0
        };
        let wanted = finalizers_for(&old, options);
        let mut new = Value::clone(&old);
        meta::set(&mut new, "finalizers", (!wanted.is_empty()).then(|| json!(wanted)));
        let kept_by_spec = is_namespace && new["spec"]["finalizers"].as_array().is_some_and(|f| !f.is_empty());
        if wanted.is_empty() && grace == 0 && !kept_by_spec {
            if resource.traits.graceful {
                mark(&mut new, &old, 0, false, write);
            } else {
                new = Value::clone(&old);
            }
            return Ok(self.remove(target, new, options, write));
        }
        mark(&mut new, &old, grace, is_namespace, write);
        if is_namespace {
            new["status"]["phase"] = json!("Terminating");
        }
        if new == *old {
            return Ok(Deleted::Object(old));
        }
        if write.dry_run || options.dry_run {
            return Ok(Deleted::Object(Arc::new(new)));
        }
        Ok(Deleted::Object(self.store.put(&resource.storage, target.key(), new)))
    }

    /// How long a pod may take: as asked, else as its spec says; nothing before it runs anywhere.
    fn grace(pod: &Value, options: &DeleteOptions) -> i64 {
        let asked = options
            .grace
            .or_else(|| pod["spec"]["terminationGracePeriodSeconds"].as_i64())
            .unwrap_or(30);
        let finished = matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
        let nowhere = pod["spec"].get("nodeName").is_none();
        if finished || nowhere { 0 } else { asked.max(0) }
    }

    fn remove(&mut self, target: Target<'_>, mut last: Value, options: &DeleteOptions, write: &Write) -> Deleted {
        let resource = target.resource;
        if !(write.dry_run || options.dry_run) {
            self.store.remove(&resource.storage, &target.key());
            meta::set(
                &mut last,
                "resourceVersion",
                Some(json!(self.store.revision().to_string())),
            );
            self.removed(&resource.storage, write);
        }
        let last = Arc::new(last);
        if resource.traits.returns_deleted {
            Deleted::Object(last)
        } else {
            Deleted::Gone(last)
        }
    }
}

fn check_preconditions(resource: &Resource, name: &str, old: &Value, options: &DeleteOptions) -> Result<(), Status> {
    let of = Named {
        group: &resource.group,
        resource: &resource.kind,
    };
    let uid = meta::text(old, "uid");
    if let Some(wanted) = options.uid.as_deref().filter(|u| *u != uid) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). \
             The object might have been deleted and then recreated"
        );
        return Err(Status::conflict(of, name, &why));
    }
    let version = meta::text(old, "resourceVersion");
    if let Some(wanted) = options.resource_version.as_deref().filter(|v| *v != version) {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record \
             ({version}). The object might have been modified"
        );
        return Err(Status::conflict(of, name, &why));
    }
    Ok(())
}

/// Sets the deletion time once; a later request can only shorten it.
fn mark(new: &mut Value, old: &Value, grace: i64, is_namespace: bool, write: &Write) {
    let previous = old["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if meta::is_terminating(old) && previous.unwrap_or(0) <= grace {
        return;
    }
    let at = write
        .now
        .checked_add(jiff::SignedDuration::from_secs(grace))
        .unwrap_or(write.now);
    meta::set(new, "deletionTimestamp", Some(json!(format_time(at))));
    if !is_namespace {
        meta::set(new, "deletionGracePeriodSeconds", Some(json!(grace)));
    }
    if let Some(generation) = old["metadata"]["generation"].as_i64().filter(|g| *g > 0)
        && !meta::is_terminating(old)
    {
        meta::set(new, "generation", Some(json!(generation + 1)));
    }
}
