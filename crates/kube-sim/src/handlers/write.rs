//! Create, update and delete.

use serde_json::Value;

use super::Found;
use super::options::{ListOptions, Selectors, WriteOptions};
use crate::authz;
use crate::body::{self, DecodedBody, FieldValidation, Wanted};
use crate::meta;
use crate::ops::{DeleteOptions, Deleted, State, Target};
use crate::respond::{Answer, Payload};
use crate::schema::Shape;
use crate::status::Status;

impl Found {
    fn wanted<'a>(&'a self, api_version: &'a str) -> Wanted<'a> {
        Wanted {
            api_version,
            kind: &self.resource.kind,
            shape: &self.resource.shape,
            custom: self.resource.custom.is_some().then_some(&*self.resource),
        }
    }

    fn decode(&self, validation: FieldValidation) -> Result<DecodedBody, Status> {
        let api_version = self.resource.api_version();
        let mut decoded = body::decode(
            &self.call.parts.headers,
            &self.call.body,
            self.wanted(&api_version),
            validation,
        )?;
        body::complete(&self.resource, &mut decoded.object);
        self.check_namespace(&decoded.object)?;
        decoded.warnings.extend(meta::deduplicate_owners(&mut decoded.object));
        decoded.object = self.resource.rules.to_storage(decoded.object);
        Ok(decoded)
    }

    fn check_namespace(&self, object: &Value) -> Result<(), Status> {
        let given = meta::namespace(object);
        if self.resource.namespaced && !given.is_empty() && given != self.namespace() {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        Ok(())
    }

    pub(super) fn target(&self) -> Target<'_> {
        Target {
            resource: &self.resource,
            namespace: self.namespace(),
            name: &self.call.info.name,
        }
    }

    /// Nobody hands out rights they do not have.
    pub(super) fn check_escalation(&self, state: &State, object: &Value) -> Result<(), Status> {
        if !self.resource.group.starts_with("rbac.") {
            return Ok(());
        }
        let role = match self.resource.kind.as_str() {
            "Role" | "ClusterRole" => Some(object.clone()),
            _ => authz::bound_role(&state.store, object),
        };
        let missing = authz::escalation(
            &state.store,
            &self.call.user,
            self.namespace(),
            &role.unwrap_or_default(),
        );
        if missing.is_empty() {
            return Ok(());
        }
        let rules: Vec<String> = missing.iter().map(Value::to_string).collect();
        let why = format!(
            "user \"{}\" (groups={:?}) is attempting to grant RBAC permissions not currently held:\n{}",
            self.call.user.name,
            self.call.user.groups,
            rules.join("\n")
        );
        Err(Status::forbidden(self.resource.named(), meta::name(object), &why))
    }
}

pub(super) fn create(found: &Found) -> Result<Answer, Status> {
    let options = WriteOptions::of(found, "CreateOptions")?;
    let DecodedBody { object, mut warnings } = found.decode(options.validation)?;
    let mut state = found.call.inner.state();
    found.check_escalation(&state, &object)?;
    warnings.extend(found.resource.rules.warnings(&object, None));
    let created = state.create(&found.resource, found.namespace(), object, &options.write)?;
    drop(state);
    Ok(found.object(201, &created).warn(warnings))
}

pub(super) fn update(found: &Found) -> Result<Answer, Status> {
    let options = WriteOptions::of(found, "UpdateOptions")?;
    let DecodedBody {
        mut object,
        mut warnings,
    } = found.decode(options.validation)?;
    let name = &found.call.info.name;
    match meta::name(&object) {
        "" => {
            return Err(Status::bad_request(format!(
                "the name of the object ({name} based on URL) was undeterminable: name must be provided"
            )));
        }
        given if given != name => {
            return Err(Status::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        _ => {}
    }
    meta::set(
        &mut object,
        "namespace",
        found.resource.namespaced.then(|| found.namespace().into()),
    );
    let mut state = found.call.inner.state();
    found.check_escalation(&state, &object)?;
    let mut more = Vec::new();
    let (object, created) = state.update(found.target(), &options.write, |_, old| {
        more = found.resource.rules.warnings(&object, old.map(|o| &**o));
        Ok(object)
    })?;
    drop(state);
    warnings.extend(more);
    Ok(found.object(if created { 201 } else { 200 }, &object).warn(warnings))
}

/// Options of a delete: the body when there is one, else the query.
fn delete_options(found: &Found) -> Result<DeleteOptions, Status> {
    let query = &found.call.query;
    let mut options = DeleteOptions {
        propagation: query.get("propagationPolicy").map(str::to_owned),
        orphan_dependents: query.get("orphanDependents").map(|_| query.flag("orphanDependents")),
        grace: query.text("gracePeriodSeconds").parse().ok(),
        dry_run: query.get("dryRun").is_some(),
        ..DeleteOptions::default()
    };
    if found.call.body.is_empty() {
        return Ok(options);
    }
    let syntax = |why: String| Status::bad_request(format!("couldn't get version/kind; json parse error: {why}"));
    let (given, _) = body::parse(&found.call.parts.headers, &found.call.body)?.map_err(syntax)?;
    let kind = given["kind"].as_str().unwrap_or("DeleteOptions");
    if kind != "DeleteOptions" {
        let version = given["apiVersion"].as_str().unwrap_or_default();
        return Err(Status::bad_request(format!(
            "no kind \"{kind}\" is registered for version \"{version}\" in scheme \
             \"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27\""
        )));
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    options.uid = text(&given["preconditions"]["uid"]);
    options.resource_version = text(&given["preconditions"]["resourceVersion"]);
    options.propagation = text(&given["propagationPolicy"]).or(options.propagation);
    options.orphan_dependents = given["orphanDependents"].as_bool().or(options.orphan_dependents);
    options.grace = given["gracePeriodSeconds"].as_i64().or(options.grace);
    options.dry_run |= given["dryRun"].as_array().is_some_and(|d| !d.is_empty());
    Ok(options)
}

pub(super) fn delete(found: &Found) -> Result<Answer, Status> {
    let options = delete_options(found)?;
    let write = found.call.inner.write("");
    let deleted = found.call.inner.state().delete(found.target(), &options, &write)?;
    Ok(match deleted {
        Deleted::Object(object) => found.object(200, &object),
        Deleted::Gone(object) => Answer::ok(super::success(&found.resource, &object)),
    })
}

pub(super) fn delete_collection(found: &Found) -> Result<Answer, Status> {
    ListOptions::of(&found.call.query, false)?;
    let selectors = Selectors::of(found)?;
    let options = delete_options(found)?;
    let write = found.call.inner.write("");
    let mut state = found.call.inner.state();
    let mut items = Vec::new();
    for ((namespace, name), object) in state.store.list(&found.resource.storage, found.namespace()) {
        if !selectors.matches(found, &object) {
            continue;
        }
        let target = Target {
            resource: &found.resource,
            namespace: &namespace,
            name: &name,
        };
        state.delete(target, &options, &write)?;
        // What is answered is what was found, not what became of it.
        items.push(object);
    }
    let revision = state.store.revision();
    drop(state);
    let items: Vec<Value> = items
        .iter()
        .map(|object| {
            let mut item = found.view(object);
            if let (Some(map), None) = (item.as_object_mut(), &found.resource.custom) {
                map.shift_remove("kind");
                map.shift_remove("apiVersion");
            }
            item
        })
        .collect();
    Ok(Answer::new(
        200,
        Payload::Object(serde_json::json!({
            "kind": found.resource.list_kind, "apiVersion": found.resource.api_version(),
            "metadata": super::read::list_metadata(&found.resource, revision), "items": items,
        })),
    ))
}

/// Decodes the body of a subresource that has a kind of its own.
pub(super) fn decode_as(found: &Found, api_version: &str, kind: &str, shape: &Shape) -> Result<Value, Status> {
    let wanted = Wanted {
        api_version,
        kind,
        shape,
        custom: None,
    };
    body::decode(
        &found.call.parts.headers,
        &found.call.body,
        wanted,
        FieldValidation::Ignore,
    )
    .map(|d| d.object)
}
