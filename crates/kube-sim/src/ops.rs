//! Writes: what happens between a decoded object and the store.
//!
//! Mirrors kubernetes/apiserver pkg/registry/generic/registry/store.go and pkg/registry/rest/{create,update}.go.

mod definitions;
mod delete;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(crate) use delete::{DeleteOptions, Deleted};

use crate::field::FieldError;
use crate::kinds::crd::STORAGE as DEFINITIONS;
use crate::managed;
use crate::meta;
use crate::resource::{Registry, Resource};
use crate::schema::format_time;
use crate::status::{Named, Status};
use crate::store::{Key, Store};

/// How often a generated name is tried again.
const NAME_TRIES: usize = 8;

/// Everything that writes change, under one lock.
#[derive(Debug)]
pub(crate) struct State {
    pub store: Store,
    pub registry: Registry,
    pub rng: fastrand::Rng,
}

/// Who writes, when and how.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub now: Timestamp,
    pub dry_run: bool,
    /// The field manager.
    pub manager: String,
    /// Empty for the object itself.
    pub subresource: String,
    /// Server-side apply keeps the managed fields itself.
    pub apply: bool,
}

/// Where an object is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub resource: &'a Arc<Resource>,
    pub namespace: &'a str,
    pub name: &'a str,
}

impl Target<'_> {
    pub fn key(&self) -> Key {
        (self.namespace.to_owned(), self.name.to_owned())
    }
}

impl State {
    pub fn get(&self, target: Target<'_>) -> Result<Arc<Value>, Status> {
        self.store
            .get(&target.resource.storage, target.namespace, target.name)
            .cloned()
            .ok_or_else(|| Status::not_found(target.resource.named(), target.name))
    }

    pub fn new_uid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes())
            .into_uuid()
            .to_string()
    }

    /// Five characters that end a generated name.
    fn suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5)
            .map(|_| char::from(ALPHABET[self.rng.usize(..ALPHABET.len())]))
            .collect()
    }

    /// Refuses new content in a namespace that is not there or going away.
    fn admit_namespace(&self, resource: &Resource, namespace: &str, name: &str) -> Result<(), Status> {
        if !resource.namespaced {
            return Ok(());
        }
        let of = Named {
            group: "",
            resource: "namespaces",
        };
        let Some(found) = self.store.get("namespaces", "", namespace) else {
            return Err(Status::not_found(of, namespace));
        };
        if meta::is_terminating(found) {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let causes = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
            return Err(Status::forbidden(resource.named(), name, &why).with_causes(causes));
        }
        Ok(())
    }

    /// Creates a decoded object.
    pub fn create(
        &mut self,
        resource: &Arc<Resource>,
        namespace: &str,
        object: Value,
        write: &Write,
    ) -> Result<Arc<Value>, Status> {
        self.admit_namespace(resource, namespace, meta::name(&object))?;
        let mut object = object;
        let name = meta::name(&object).to_owned();
        resource
            .rules
            .admit(&mut object, namespace, &self.store)
            .map_err(|why| Status::forbidden(resource.named(), &name, &why))?;
        let generated = meta::name(&object).is_empty() && !meta::text(&object, "generateName").is_empty();
        for _ in 1..if generated { NAME_TRIES } else { 1 } {
            match self.try_create(resource, namespace, object.clone(), write) {
                Err(status) if status.reason() == "AlreadyExists" => {}
                other => return other,
            }
        }
        self.try_create(resource, namespace, object, write).map_err(|status| {
            if generated && status.reason() == "AlreadyExists" {
                let message = format!(
                    "{}, the server was not able to generate a unique name for the object",
                    status.message()
                );
                Status::new(409, "AlreadyExists", message).with_retry_after(1)
            } else {
                status
            }
        })
    }

    fn try_create(
        &mut self,
        resource: &Arc<Resource>,
        namespace: &str,
        mut object: Value,
        write: &Write,
    ) -> Result<Arc<Value>, Status> {
        let version = meta::text(&object, "resourceVersion").to_owned();
        if !write.apply {
            managed::created(resource, &mut object, write);
        }
        for member in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "resourceVersion",
        ] {
            meta::set(&mut object, member, None);
        }
        meta::set(&mut object, "namespace", resource.namespaced.then(|| json!(namespace)));
        let uid = self.new_uid();
        meta::set(&mut object, "uid", Some(json!(uid)));
        meta::set(&mut object, "creationTimestamp", Some(json!(format_time(write.now))));
        if meta::name(&object).is_empty() && !meta::text(&object, "generateName").is_empty() {
            let prefix: String = meta::text(&object, "generateName").chars().take(58).collect();
            let name = format!("{prefix}{}", self.suffix());
            meta::set(&mut object, "name", Some(json!(name)));
            resource.rules.default(&mut object);
        }
        if resource.traits.generation {
            meta::set(&mut object, "generation", Some(json!(1)));
        }
        if resource.custom.is_some() && resource.has_status() {
            replace_member(&mut object, "status", None);
        }
        let mut errors = resource.rules.prepare_create(&mut object, &self.store);
        if errors.is_empty() {
            errors = meta::validate(resource, &object);
            errors.extend(resource.rules.validate(&object));
            errors.extend(resource.custom.iter().flat_map(|c| c.validate(&object)));
        }
        if errors.is_empty() {
            errors = resource.rules.allocate(&mut object, None, &self.store, write.dry_run);
        }
        let name = meta::name(&object).to_owned();
        invalid(resource, &name, &errors)?;
        if !matches!(version.as_str(), "" | "0") {
            return Err(Status::internal_plain(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        if let Some(existing) = self
            .store
            .get(&resource.storage, namespace_of(resource, namespace), &name)
        {
            let refuse = if meta::is_terminating(existing) {
                Status::being_deleted
            } else {
                Status::already_exists
            };
            return Err(refuse(resource.named(), &name));
        }
        if write.dry_run {
            return Ok(Arc::new(object));
        }
        let key = (namespace_of(resource, namespace).to_owned(), name.clone());
        let stored = self.store.put(&resource.storage, key, object);
        if resource.storage == DEFINITIONS {
            self.establish(&name, write);
        }
        Ok(stored)
    }

    /// Server-side apply of a configuration; `decode` brings the outcome into the stored form. True when that created it.
    pub fn apply(
        &mut self,
        target: Target<'_>,
        write: &Write,
        config: &Value,
        force: bool,
        decode: impl FnOnce(Value) -> Result<Value, Status>,
    ) -> Result<(Arc<Value>, bool), Status> {
        let resource = target.resource;
        let mut config = config.clone();
        let uid = meta::text(&config, "uid").to_owned();
        let version = config["metadata"].get("resourceVersion").cloned();
        for member in ["uid", "resourceVersion"] {
            meta::set(&mut config, member, None);
        }
        let Some(old) = self
            .store
            .get(&resource.storage, target.namespace, target.name)
            .cloned()
        else {
            if !write.subresource.is_empty() {
                return Err(Status::not_found(resource.named(), target.name));
            }
            if !uid.is_empty() {
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(Status::conflict(resource.named(), target.name, &why));
            }
            let object = decode(managed::apply(resource, None, &config, write, force)?)?;
            return Ok((self.create(resource, target.namespace, object, write)?, true));
        };
        let mut object = decode(managed::apply(resource, Some(&old), &config, write, force)?)?;
        if !uid.is_empty() {
            meta::set(&mut object, "uid", Some(json!(uid)));
        }
        if version.is_some() {
            meta::set(&mut object, "resourceVersion", version);
        }
        self.replace(target, write, &old, object).map(|object| (object, false))
    }

    /// Replaces an object by what `make` says, given the stored one. True when that created it.
    pub fn update(
        &mut self,
        target: Target<'_>,
        write: &Write,
        make: impl FnOnce(&mut State, Option<&Arc<Value>>) -> Result<Value, Status>,
    ) -> Result<(Arc<Value>, bool), Status> {
        let Target { resource, name, .. } = target;
        let old = self.store.get(&resource.storage, target.namespace, name).cloned();
        let new = make(self, old.as_ref())?;
        let Some(old) = old else {
            if !(resource.traits.create_on_update && write.subresource.is_empty()) {
                return Err(Status::not_found(resource.named(), name));
            }
            if let uid @ 1.. = meta::text(&new, "uid").len() {
                let uid = &meta::text(&new, "uid")[..uid];
                let why = precondition(resource, target, uid, "");
                return Err(Status::conflict(resource.named(), name, &why));
            }
            let mut new = new;
            meta::set(&mut new, "resourceVersion", None);
            return Ok((self.create(resource, target.namespace, new, write)?, true));
        };
        self.replace(target, write, &old, new).map(|object| (object, false))
    }

    fn replace(
        &mut self,
        target: Target<'_>,
        write: &Write,
        old: &Arc<Value>,
        mut new: Value,
    ) -> Result<Arc<Value>, Status> {
        let Target { resource, name, .. } = target;
        let uid = meta::text(&new, "uid");
        if !uid.is_empty() && uid != meta::text(old, "uid") {
            let why = precondition(resource, target, uid, meta::text(old, "uid"));
            return Err(Status::conflict(resource.named(), name, &why));
        }
        check_version(target, &new, old)?;
        meta::set(
            &mut new,
            "resourceVersion",
            old["metadata"].get("resourceVersion").cloned(),
        );
        meta::set(
            &mut new,
            "namespace",
            resource.namespaced.then(|| json!(target.namespace)),
        );
        meta::inherit(&mut new, old);
        if resource.custom.is_some() && write.subresource == "status" {
            let managed = new["metadata"].get("managedFields").cloned();
            new["metadata"] = old["metadata"].clone();
            if write.apply {
                meta::set(&mut new, "managedFields", managed);
            }
        }
        if !write.apply {
            managed::updated(resource, &mut new, old, write);
        }
        let mut errors = Vec::new();
        match write.subresource.as_str() {
            "" => {
                if resource.has_status() {
                    restore(&mut new, old, "status");
                }
                errors.extend(resource.rules.prepare_update(&mut new, old, &self.store));
                if resource.traits.generation && changed(&new, old, resource.has_status()) {
                    let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
                    meta::set(&mut new, "generation", Some(json!(generation)));
                }
            }
            "status" => {
                keep_all_but_status(&mut new, old);
                resource.rules.prepare_status(&mut new, old);
            }
            "finalize" => {
                let finalizers = new["spec"].get("finalizers").cloned();
                new["spec"] = old["spec"].clone();
                replace_member(&mut new["spec"], "finalizers", finalizers);
                restore(&mut new, old, "status");
            }
            _ => {}
        }
        if errors.is_empty() {
            errors = validate_change(resource, write, &new, old);
        }
        if errors.is_empty() && write.subresource.is_empty() {
            errors = resource.rules.allocate(&mut new, Some(old), &self.store, write.dry_run);
        }
        invalid(resource, name, &errors)?;
        if delete::is_released(resource, &new) && meta::is_terminating(old) {
            if !write.dry_run {
                self.store.remove(&resource.storage, &target.key());
                self.removed(&resource.storage, write);
            }
            return Ok(Arc::new(new));
        }
        if managed::same(&new, old) {
            return Ok(old.clone());
        }
        if write.dry_run {
            return Ok(Arc::new(new));
        }
        let stored = self.store.put(&resource.storage, target.key(), new);
        if resource.storage == DEFINITIONS && write.subresource.is_empty() {
            self.establish(name, write);
        }
        Ok(stored)
    }
}

fn validate_change(resource: &Resource, write: &Write, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = meta::validate_update(new, old);
    // The real server asks twice: once for every kind, once in the rules of the kind.
    if resource.custom.is_none() {
        errors.extend(meta::validate_update(new, old));
    }
    if resource.traits.whole && write.subresource.is_empty() {
        errors.extend(meta::validate(resource, new));
    }
    match write.subresource.as_str() {
        "status" => errors.extend(resource.rules.validate_status(new, old)),
        "" => errors.extend(resource.rules.validate_update(new, old)),
        _ => {}
    }
    errors.extend(resource.custom.iter().flat_map(|c| c.validate(new)));
    errors
}

fn namespace_of<'a>(resource: &Resource, namespace: &'a str) -> &'a str {
    if resource.namespaced { namespace } else { "" }
}

fn invalid(resource: &Resource, name: &str, errors: &[FieldError]) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(resource.error_group(), &resource.kind, name, errors))
}

fn precondition(resource: &Resource, target: Target<'_>, given: &str, found: &str) -> String {
    let separator = if target.namespace.is_empty() { "" } else { "/" };
    format!(
        "StorageError: invalid object, Code: 4, Key: {}{separator}{}/{}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {given}, UID in object meta: {found}",
        resource.key_prefix, target.namespace, target.name
    )
}

/// Optimistic concurrency: what the writer has seen must be what is stored.
fn check_version(target: Target<'_>, new: &Value, old: &Value) -> Result<(), Status> {
    let resource = target.resource;
    let version = meta::text(new, "resourceVersion");
    let parsed = match version {
        "" => 0,
        text => text
            .parse::<u64>()
            .map_err(|_| Status::internal_plain(format!("strconv.ParseUint: parsing \"{text}\": invalid syntax")))?,
    };
    if parsed == 0 {
        if resource.traits.unconditional_update {
            return Ok(());
        }
        let error = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
        return Err(Status::invalid(
            &resource.group,
            &resource.plural,
            target.name,
            &[error],
        ));
    }
    if version != meta::text(old, "resourceVersion") {
        return Err(Status::modified(resource.named(), target.name));
    }
    Ok(())
}

fn restore(new: &mut Value, old: &Value, member: &str) {
    replace_member(new, member, old.get(member).cloned());
}

fn replace_member(object: &mut Value, member: &str, value: Option<Value>) {
    match (object.as_object_mut(), value) {
        (Some(map), Some(value)) => {
            map.insert(member.to_owned(), value);
        }
        (Some(map), None) => {
            map.shift_remove(member);
        }
        (None, _) => {}
    }
}

/// A status write changes status and metadata only.
fn keep_all_but_status(new: &mut Value, old: &Value) {
    let mut kept = Map::new();
    for (name, value) in old.as_object().into_iter().flatten() {
        match (name.as_str(), new.get_mut(name)) {
            ("metadata" | "status", Some(given)) => {
                kept.insert(name.clone(), given.take());
            }
            ("metadata" | "status", None) => {}
            _ => {
                kept.insert(name.clone(), value.clone());
            }
        }
    }
    for name in ["metadata", "status"] {
        if let (None, Some(given)) = (kept.get(name), new.get_mut(name)) {
            kept.insert(name.to_owned(), given.take());
        }
    }
    *new = Value::Object(kept);
}

/// Whether anything but metadata and status differs.
fn changed(new: &Value, old: &Value, has_status: bool) -> bool {
    let is_rest = |name: &str| name != "metadata" && !(has_status && name == "status");
    let count = |object: &Value| {
        let members = object.as_object().into_iter().flatten();
        members.filter(|(name, _)| is_rest(name)).count()
    };
    let mut members = new.as_object().into_iter().flatten().filter(|(name, _)| is_rest(name));
    count(new) != count(old) || members.any(|(name, value)| old.get(name) != Some(value))
}
