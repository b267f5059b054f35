//! Who owns which field: `metadata.managedFields`, and server-side apply, which rests on it.
//!
//! Mirrors kubernetes/apimachinery pkg/util/managedfields and kubernetes-sigs/structured-merge-diff merge/update.go.

mod set;
mod typed;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

pub(crate) use set::Set;

use crate::meta;
use crate::ops::Write;
use crate::resource::Resource;
use crate::schema::{self, Shape, format_time};
use crate::status::Status;
use typed::Typed;

/// Members of metadata that nobody owns.
const UNOWNED: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// One entry: a manager with what it wrote.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    manager: String,
    apply: bool,
    api_version: String,
    subresource: String,
    time: Option<String>,
    set: Set,
}

impl Entry {
    fn is(&self, other: &Entry) -> bool {
        self.manager == other.manager
            && self.apply == other.apply
            && self.subresource == other.subresource
            && (self.apply || self.api_version == other.api_version)
    }

    /// How conflicts name it.
    fn title(&self) -> String {
        let mut title = format!("\"{}\"", self.manager);
        if !self.subresource.is_empty() {
            // Writing to a text cannot fail.
            let _ = write!(title, " with subresource \"{}\"", self.subresource);
        }
        if !self.apply {
            let _ = write!(title, " using {}", self.api_version);
        }
        title
    }
}

fn decode(object: &Value) -> Vec<Entry> {
    let text = |entry: &Value, member: &str| entry[member].as_str().unwrap_or_default().to_owned();
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| Entry {
            manager: text(entry, "manager"),
            apply: entry["operation"] == "Apply",
            api_version: text(entry, "apiVersion"),
            subresource: text(entry, "subresource"),
            time: entry["time"].as_str().map(str::to_owned),
            set: Set::from_json(&entry["fieldsV1"]),
        })
        .collect()
}

fn encode(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.set.is_empty());
    entries.sort_by(|a, b| (!a.apply, &a.time, &a.manager).cmp(&(!b.apply, &b.time, &b.manager)));
    let list: Vec<Value> = entries
        .into_iter()
        .map(|entry| {
            let mut out = json!({"manager": entry.manager, "operation": if entry.apply { "Apply" } else { "Update" }});
            out["apiVersion"] = json!(entry.api_version);
            if let Some(time) = entry.time {
                out["time"] = json!(time);
            }
            out["fieldsType"] = json!("FieldsV1");
            out["fieldsV1"] = entry.set.to_json();
            if !entry.subresource.is_empty() {
                out["subresource"] = json!(entry.subresource);
            }
            out
        })
        .collect();
    meta::set(object, "managedFields", (!list.is_empty()).then(|| json!(list)));
}

/// What this write cannot change, and therefore does not own.
fn ignored(resource: &Resource, write: &Write, object: &Value) -> Set {
    let mut set = Set::default();
    for member in ["apiVersion", "kind"] {
        set.insert(&[format!("f:{member}")]);
    }
    for member in UNOWNED {
        set.insert(&["f:metadata".to_owned(), format!("f:{member}")]);
    }
    match write.subresource.as_str() {
        "" if resource.has_status() => set.insert(&["f:status".to_owned()]),
        "status" => {
            for member in object.as_object().into_iter().flatten().map(|(name, _)| name) {
                if !matches!(member.as_str(), "metadata" | "status") {
                    set.insert(&[format!("f:{member}")]);
                }
            }
        }
        _ => {}
    }
    set
}

fn strip(mut set: Set, ignored: &Set) -> Set {
    set = set.without_below(ignored);
    // The containers that every object has.
    set.remove_member("f:metadata");
    set
}

fn stored_shape(resource: &Resource) -> Shape {
    if resource.storage == "events" {
        Shape::builtin("Event")
    } else {
        resource.shape.clone()
    }
}

fn stored_version(resource: &Resource) -> String {
    if resource.storage == "events" {
        "v1".to_owned()
    } else {
        resource.api_version()
    }
}

fn entry(resource: &Resource, write: &Write, apply: bool) -> Entry {
    Entry {
        manager: write.manager.clone(),
        apply,
        api_version: stored_version(resource),
        subresource: write.subresource.clone(),
        time: None,
        set: Set::default(),
    }
}

/// An object that nobody has written yet, as Go encodes it.
fn zero(resource: &Resource) -> Value {
    let mut object = json!({});
    if resource.custom.is_none() {
        // The empty object always decodes.
        let _ = schema::decode(&stored_shape(resource), &mut object);
    }
    object
}

/// Notes who created an object.
pub(crate) fn created(resource: &Resource, object: &mut Value, write: &Write) {
    let zero = zero(resource);
    meta::set(object, "managedFields", None);
    note(resource, object, &zero, Vec::new(), write);
}

/// Notes who changed an object: changed fields move to the writer.
pub(crate) fn updated(resource: &Resource, new: &mut Value, old: &Value, write: &Write) {
    let entries = decode(old);
    // That the old entries are gone in between does not matter: nobody owns them.
    meta::set(new, "managedFields", None);
    note(resource, new, old, entries, write);
}

fn note(resource: &Resource, new: &mut Value, old: &Value, mut entries: Vec<Entry>, write: &Write) {
    let shape = stored_shape(resource);
    let comparison = Typed::new(&shape).compare(old, new);
    let taken = comparison.modified.union(&comparison.added);
    for entry in &mut entries {
        entry.set = entry.set.without(&taken).without(&comparison.removed);
    }
    let mut own = entry(resource, write, false);
    own.set = strip(taken, &ignored(resource, write, new));
    if !own.set.is_empty() {
        own.time = Some(format_time(write.now));
        match entries.iter_mut().find(|e| e.is(&own)) {
            Some(found) => {
                found.set = found.set.union(&own.set);
                found.time = own.time;
            }
            None => entries.push(own),
        }
    }
    encode(new, entries);
}

/// Applies a configuration to an object, or to nothing; the outcome still has to be decoded.
pub(crate) fn apply(
    resource: &Resource,
    live: Option<&Value>,
    config: &Value,
    write: &Write,
    force: bool,
) -> Result<Value, Status> {
    let shape = stored_shape(resource);
    let typed = Typed::new(&shape);
    let (name, namespace) = (meta::name(config), meta::namespace(config));
    typed.check(config).map_err(|why| {
        let group = if resource.group.is_empty() {
            format!("/{}", resource.version)
        } else {
            resource.api_version()
        };
        let what = format!("({namespace}/{name}; {group}, Kind={})", resource.kind);
        Status::internal_plain(format!("failed to create typed patch object {what}: {why}"))
    })?;
    let mut before = live.cloned().unwrap_or_else(|| zero(resource));
    let mut entries = decode(&before);
    meta::set(&mut before, "managedFields", None);
    let mut object = typed.merge(&before, config);
    let mut own = entry(resource, write, true);
    own.set = strip(typed.fields(config), &ignored(resource, write, config));
    let last = entries.iter().position(|e| e.is(&own)).map(|at| entries.remove(at));
    if let Some(last) = &last {
        let kept = entries.iter().fold(own.set.clone(), |all, e| all.union(&e.set));
        let mut gone = typed.with_named(&last.set).not_in(&typed.with_named(&kept));
        gone.remove_member("f:metadata");
        typed.remove(&mut object, &gone);
    }
    let comparison = typed.compare(&before, &object);
    let taken = comparison.modified.union(&comparison.added);
    let conflicts: Vec<(String, Vec<String>)> = entries
        .iter()
        .map(|e| (e.title(), e.set.intersection(&taken).paths()))
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
    if !conflicts.is_empty() && !force {
        return Err(conflict(conflicts));
    }
    for entry in &mut entries {
        entry.set = entry.set.without(&taken).without(&comparison.removed);
    }
    own.time = if object == before && live.is_some() {
        last.and_then(|l| l.time)
    } else {
        Some(format_time(write.now))
    };
    entries.push(own);
    encode(&mut object, entries);
    Ok(object)
}

fn conflict(mut conflicts: Vec<(String, Vec<String>)>) -> Status {
    conflicts.sort();
    let count: usize = conflicts.iter().map(|(_, paths)| paths.len()).sum();
    let text = match conflicts.as_slice() {
        [(title, paths)] if count == 1 => format!("conflict with {title}: {}", paths[0]),
        many => {
            let list = |(title, paths): &(String, Vec<String>)| {
                let lines: Vec<String> = paths.iter().map(|p| format!("- {p}")).collect();
                format!("conflicts with {title}:\n{}", lines.join("\n"))
            };
            many.iter().map(list).collect::<Vec<_>>().join("\n")
        }
    };
    let plural = if count == 1 { "" } else { "s" };
    let causes: Vec<Value> = conflicts
        .iter()
        .flat_map(|(title, paths)| paths.iter().map(move |path| (title, path)))
        .map(|(title, path)| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {title}"), "field": path})
        })
        .collect();
    let message = format!("Apply failed with {count} conflict{plural}: {text}");
    Status::new(409, "Conflict", message)
        .with_details(json!({}))
        .with_causes(json!(causes))
}

/// Whether two states of an object differ in more than the times of their managed fields.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    let entries = |object: &Value| {
        let mut entries = decode(object);
        for entry in &mut entries {
            entry.time = None;
        }
        entries.sort_by(|a, b| (&a.manager, a.apply, &a.subresource).cmp(&(&b.manager, b.apply, &b.subresource)));
        entries
    };
    let metadata = |a: &Value, b: &Value| same_but(a, b, "managedFields", |_, _| true);
    same_but(a, b, "metadata", metadata) && entries(a) == entries(b)
}

/// Whether two objects have the same members, of which one is compared in a way of its own.
fn same_but(a: &Value, b: &Value, member: &str, same: impl Fn(&Value, &Value) -> bool) -> bool {
    let (Some(left), Some(right)) = (a.as_object(), b.as_object()) else {
        return a == b;
    };
    let others = |map: &Map<String, Value>| map.len() - usize::from(map.contains_key(member));
    let mut rest = left.iter().filter(|(name, _)| *name != member);
    others(left) == others(right)
        && rest.all(|(name, value)| right.get(name) == Some(value))
        && same(&a[member], &b[member])
}
