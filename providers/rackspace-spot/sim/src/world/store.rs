//! Creating, reading, changing and deleting objects as an API server does it.

use serde_json::{Map, Value, json};

use super::{Times, World, is_deleting, name_of, plus, stamp, text, times_key};
use crate::admission;
use crate::failure::{Cause, Failure};
use crate::resource::{API_VERSION, CLOUDSPACE_LABEL, FINALIZER, Resource};

/// What a client may set in an object's metadata.
const OWN_METADATA: [&str; 3] = ["labels", "annotations", "finalizers"];

impl World {
    /// Creates an object and gives it as stored.
    pub(crate) fn create(&mut self, resource: Resource, namespace: &str, mut object: Value) -> Result<Value, Failure> {
        check_type(resource, &object)?;
        let given = text(&object, "/metadata/namespace");
        if !given.is_empty() && given != namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        let name = self.name_for(resource, &object)?;
        admission::mutate(self, resource, &mut object);
        let mut metadata = json!({"name": name, "namespace": namespace});
        copy_metadata(object.get("metadata"), &mut metadata);
        object["metadata"] = metadata;
        admission::judge(self, resource, &name, None, &object)?;
        let key = format!("{namespace}/{name}");
        if let Some(old) = self.objects(resource).get(&key) {
            return Err(Failure::exists(resource, &name, is_deleting(old)));
        }

        let space = text(&object, "/spec/cloudSpace").to_owned();
        let uid = self.draw_uuid();
        let version = self.next_version();
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.insert("uid".to_owned(), uid.into());
            metadata.insert("resourceVersion".to_owned(), version.into());
            metadata.insert("generation".to_owned(), 1.into());
            metadata.insert("creationTimestamp".to_owned(), stamp(self.now).into());
            if let Value::Array(finalizers) = metadata.entry("finalizers").or_insert_with(|| json!([])) {
                finalizers.push(FINALIZER.into());
            }
            if resource.is_pool()
                && self.settings.auto_label
                && let Value::Object(labels) = metadata.entry("labels").or_insert_with(|| json!({}))
            {
                labels.insert(CLOUDSPACE_LABEL.to_owned(), space.into());
            }
        }
        let mut ordered = Map::new();
        for field in ["apiVersion", "kind", "metadata", "spec"] {
            if let Some(value) = object.get_mut(field) {
                ordered.insert(field.to_owned(), value.take());
            }
        }
        ordered.insert("status".to_owned(), json!({}));
        let times = Times {
            created: self.now,
            changed: self.now,
            deleted: None,
        };
        self.times.insert(times_key(resource, &key), times);
        if resource == Resource::CloudSpace {
            let space = self.new_space(&key);
            self.spaces.insert(key.clone(), space);
        }
        let stored = Value::Object(ordered);
        self.objects_mut(resource).insert(key, stored.clone());
        self.happen();
        Ok(stored)
    }

    fn name_for(&mut self, resource: Resource, object: &Value) -> Result<String, Failure> {
        let name = name_of(object);
        if !name.is_empty() {
            return Ok(name.to_owned());
        }
        let prefix = text(object, "/metadata/generateName").to_owned();
        if !prefix.is_empty() {
            return Ok(format!("{prefix}{}", self.draw_suffix()));
        }
        // A client is known that leaves it to the server.
        if resource == Resource::OnDemandNodePool {
            return Ok(self.draw_uuid());
        }
        let cause = Cause {
            reason: "FieldValueRequired",
            message: "Required value: name or generateName is required".to_owned(),
            field: "metadata.name".to_owned(),
        };
        Err(Failure::invalid(resource, "", &[cause]))
    }

    /// Whether a new object is old enough to be seen.
    pub(super) fn can_be_read(&self, resource: Resource, key: &str) -> bool {
        let lag = self.settings.read_lag;
        lag.is_zero() || !resource.namespaced() || self.now >= plus(self.times(resource, key).created, lag)
    }

    pub(crate) fn read(&self, resource: Resource, key: &str) -> Result<Value, Failure> {
        match self.objects(resource).get(key) {
            Some(object) if self.can_be_read(resource, key) => Ok(self.shown(resource, object)),
            _ => Err(Failure::not_found(resource, last(key))),
        }
    }

    /// An object as it is shown: server classes with the market of the moment.
    pub(super) fn shown(&self, resource: Resource, object: &Value) -> Value {
        let mut object = object.clone();
        if resource == Resource::ServerClass {
            let name = name_of(&object).to_owned();
            let used = self.servers.values().filter(|server| server.class == name).count() as u64;
            let capacity = object
                .pointer("/status/capacity")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            let price = crate::market::text(self.price(&name));
            object["status"] = json!({
                "available": capacity.saturating_sub(used), "capacity": capacity, "reserved": used,
                "lastAuction": self.last_auction().as_second(),
                "spotPricing": {"hammerPricePerHour": price, "marketPricePerHour": price},
            });
        }
        object
    }

    /// Puts `new` in place of an object.
    pub(crate) fn replace(&mut self, resource: Resource, key: &str, new: Value) -> Result<Value, Failure> {
        check_type(resource, &new)?;
        let name = last(key).to_owned();
        if name_of(&new) != name {
            return Err(Failure::bad_request(&format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                name_of(&new)
            )));
        }
        if self.objects(resource).contains_key(key) && text(&new, "/metadata/resourceVersion").is_empty() {
            let cause = Cause::invalid("metadata.resourceVersion", "0x0", "must be specified for an update");
            return Err(Failure::invalid(resource, &name, &[cause]));
        }
        self.change(resource, key, |object| {
            *object = new;
            Ok(())
        })
    }

    /// Changes an object by `edit`, which sees it as stored. An edit that changes nothing writes nothing.
    pub(crate) fn change(
        &mut self,
        resource: Resource,
        key: &str,
        edit: impl FnOnce(&mut Value) -> Result<(), Failure>,
    ) -> Result<Value, Failure> {
        let name = last(key).to_owned();
        let old = match self.objects(resource).get(key) {
            Some(object) if self.can_be_read(resource, key) => object.clone(),
            _ => return Err(Failure::not_found(resource, &name)),
        };
        let mut wanted = old.clone();
        edit(&mut wanted)?;
        let version = text(&wanted, "/metadata/resourceVersion");
        if !version.is_empty() && version != text(&old, "/metadata/resourceVersion") {
            return Err(Failure::modified(resource, &name));
        }
        let uid = text(&wanted, "/metadata/uid");
        if !uid.is_empty() && uid != text(&old, "/metadata/uid") {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                text(&old, "/metadata/uid")
            );
            return Err(Failure::conflict(resource, &name, &why));
        }
        admission::mutate(self, resource, &mut wanted);
        // The server's part stays the server's.
        let mut new = old.clone();
        new["spec"] = wanted.get("spec").cloned().unwrap_or_default();
        copy_metadata(wanted.get("metadata"), &mut new["metadata"]);
        admission::judge(self, resource, &name, Some(&old), &new)?;
        if new == old {
            return Ok(old);
        }
        if new["spec"] != old["spec"] {
            let generation = new.pointer("/metadata/generation").and_then(Value::as_u64).unwrap_or(1);
            new["metadata"]["generation"] = (generation + 1).into();
            if let Some(times) = self.times.get_mut(&times_key(resource, key)) {
                times.changed = self.now;
            }
        }
        new["metadata"]["resourceVersion"] = self.next_version().into();
        self.objects_mut(resource).insert(key.to_owned(), new.clone());
        if is_deleting(&new) && finalizers(&new) == 0 {
            self.remove(resource, key);
        }
        self.happen();
        Ok(new)
    }

    /// Begins to delete an object, and ends it when nothing holds it. Gives it as it then is.
    pub(crate) fn delete(
        &mut self,
        resource: Resource,
        key: &str,
        conditions: Option<&Value>,
    ) -> Result<Value, Failure> {
        let name = last(key).to_owned();
        let object = match self.objects(resource).get(key) {
            Some(object) if self.can_be_read(resource, key) => object.clone(),
            _ => return Err(Failure::not_found(resource, &name)),
        };
        for (field, word) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let wanted = conditions
                .map(|conditions| text(conditions, &format!("/{field}")))
                .unwrap_or_default();
            let found = text(&object, &format!("/metadata/{field}"));
            if !wanted.is_empty() && wanted != found {
                let why =
                    format!("Precondition failed: {word} in precondition: {wanted}, {word} in object meta: {found}");
                return Err(Failure::conflict(resource, &name, &why));
            }
        }
        self.mark_deleted(resource, key);
        if self
            .objects(resource)
            .get(key)
            .is_some_and(|object| finalizers(object) == 0)
        {
            self.remove(resource, key);
        }
        let left = self.objects(resource).get(key).cloned().unwrap_or(object);
        self.happen();
        Ok(left)
    }

    /// Sets the time of deletion, once.
    pub(super) fn mark_deleted(&mut self, resource: Resource, key: &str) -> bool {
        if self.objects(resource).get(key).is_none_or(is_deleting) {
            return false;
        }
        let (now, version) = (self.now, self.next_version());
        if let Some(times) = self.times.get_mut(&times_key(resource, key)) {
            times.deleted = Some(now);
        }
        if let Some(object) = self.objects_mut(resource).get_mut(key) {
            let metadata = &mut object["metadata"];
            metadata["deletionTimestamp"] = stamp(now).into();
            metadata["deletionGracePeriodSeconds"] = 0.into();
            metadata["resourceVersion"] = version.into();
        }
        true
    }

    /// Lets go of an object whose work is done: it is gone when nobody else holds it.
    pub(super) fn finalize(&mut self, resource: Resource, key: &str) {
        let version = self.next_version();
        let Some(object) = self.objects_mut(resource).get_mut(key) else {
            return;
        };
        if let Some(Value::Array(finalizers)) = object.pointer_mut("/metadata/finalizers") {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        object["metadata"]["resourceVersion"] = version.into();
        if finalizers(object) == 0 {
            self.remove(resource, key);
        }
    }

    fn remove(&mut self, resource: Resource, key: &str) {
        self.objects_mut(resource).remove(key);
        self.times.remove(&times_key(resource, key));
        if resource == Resource::CloudSpace {
            self.spaces.remove(key);
        }
    }
}

/// The name part of a key.
fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn finalizers(object: &Value) -> usize {
    object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .map_or(0, Vec::len)
}

/// Whether the server's own finalizer still holds the object.
pub(super) fn is_held(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer == FINALIZER))
}

fn copy_metadata(from: Option<&Value>, to: &mut Value) {
    let Value::Object(to) = to else { return };
    for field in OWN_METADATA {
        match from.and_then(|from| from.get(field)) {
            Some(value) if !value.is_null() => {
                to.insert(field.to_owned(), value.clone());
            }
            _ => {
                to.shift_remove(field);
            }
        }
    }
}

fn check_type(resource: Resource, object: &Value) -> Result<(), Failure> {
    if !object.is_object() {
        return Err(Failure::bad_request("the object provided is not an object"));
    }
    for (field, expected, word) in [
        ("kind", resource.kind(), "kind"),
        ("apiVersion", API_VERSION, "API version"),
    ] {
        let found = text(object, &format!("/{field}"));
        if found != expected {
            return Err(Failure::bad_request(&format!(
                "the {word} in the data ({found}) does not match the expected {word} ({expected})"
            )));
        }
    }
    let bad = |field: &str, wanted: &str| {
        Err(Failure::bad_request(&format!(
            "the object provided has a {field} that is not {wanted}"
        )))
    };
    match object.get("metadata") {
        None | Some(Value::Object(_)) => {}
        _ => return bad("metadata", "an object"),
    }
    for field in OWN_METADATA {
        match (field, object.pointer(&format!("/metadata/{field}"))) {
            (_, None | Some(Value::Null)) => {}
            ("finalizers", Some(Value::Array(items))) if items.iter().all(Value::is_string) => {}
            ("labels" | "annotations", Some(Value::Object(map))) if map.values().all(Value::is_string) => {}
            ("finalizers", _) => return bad("metadata.finalizers", "a list of texts"),
            _ => return bad(&format!("metadata.{field}"), "texts by key"),
        }
    }
    Ok(())
}
