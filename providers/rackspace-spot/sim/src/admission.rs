//! What may be created and changed: the schema first, then the webhook, as an API server does it.

mod ladder;
mod schema;
mod webhook;

use serde_json::Value;

use crate::failure::{Cause, Failure};
use crate::resource::Resource;
use crate::world::World;

/// Drops fields nobody knows and fills in defaults.
pub(crate) fn mutate(world: &World, resource: Resource, object: &mut Value) {
    schema::prune(resource, world.settings.gpu_enabled, object);
    if resource == Resource::CloudSpace
        && let Some(Value::Object(spec)) = object.get_mut("spec")
    {
        for (key, value) in [
            ("cloud", Value::from("default")),
            ("deploymentType", Value::from("gen2")),
            ("HAControlPlane", Value::from(false)),
        ] {
            spec.entry(key).or_insert(value);
        }
    }
}

/// Judges a new object (`old` is nothing) or a change.
pub(crate) fn judge(
    world: &World,
    resource: Resource,
    name: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Failure> {
    let mut causes = Vec::new();
    if old.is_none() && resource == Resource::CloudSpace {
        causes.extend(label_fault(name));
    }
    schema::validate(resource, new, &mut causes);
    schema::rules(resource, old, new, &mut causes);
    if !causes.is_empty() {
        return Err(Failure::invalid(resource, name, &causes));
    }
    // An object on its way out may still be touched, to let go of its finalizers.
    if new.pointer("/metadata/deletionTimestamp").is_some() {
        return Ok(());
    }
    match resource {
        Resource::CloudSpace => webhook::cloudspace(world, old, new),
        Resource::SpotNodePool | Resource::OnDemandNodePool => webhook::pool(world, resource, name, old, new),
        Resource::Region | Resource::ServerClass => Ok(()),
    }
}

/// What keeps `name` from being a DNS-1123 label.
fn label_fault(name: &str) -> Option<Cause> {
    let shown = format!("{name:?}");
    if name.len() > 63 {
        return Some(Cause::invalid(
            "metadata.name",
            &shown,
            "must be no more than 63 characters",
        ));
    }
    if is_label(name) {
        return None;
    }
    let why = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
               end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
               '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    Some(Cause::invalid("metadata.name", &shown, why))
}

fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.bytes().all(|b| inner(b) || b == b'-')
        && name.bytes().next().is_some_and(inner)
        && name.bytes().last().is_some_and(inner)
}

#[cfg(test)]
mod tests;
