//! Patch: merge, JSON, strategic merge and apply.

use serde_json::{Value, json};

use super::Found;
use super::options::WriteOptions;
use crate::body::{self, FieldValidation};
use crate::field::FieldError;
use crate::meta;
use crate::patch;
use crate::respond::Answer;
use crate::schema;
use crate::status::Status;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Merge,
    Json,
    Strategic,
    Apply,
}

pub(super) fn answer(found: &Found) -> Result<Answer, Status> {
    let kind = match body::media_type(&found.call.parts.headers).as_str() {
        "application/merge-patch+json" => Kind::Merge,
        "application/json-patch+json" => Kind::Json,
        "application/strategic-merge-patch+json" if found.resource.custom.is_none() => Kind::Strategic,
        "application/apply-patch+yaml" => Kind::Apply,
        _ => return Err(unsupported()),
    };
    let options = WriteOptions::of(found, "PatchOptions")?;
    check_options(found, kind)?;
    let patch = read(found, kind)?;
    let mut warnings = Vec::new();
    let mut state = found.call.inner.state();
    let (object, created) = state.update(found.target(), &options.write, |_, old| {
        let Some(old) = old else {
            return Err(Status::not_found(found.resource.named(), &found.call.info.name));
        };
        let mut patched = apply(found, kind, &patch, old)?;
        warnings = finish(found, &mut patched, options.validation)?;
        warnings.extend(found.resource.rules.warnings(&patched, Some(old)));
        Ok(patched)
    })?;
    drop(state);
    Ok(found.object(if created { 201 } else { 200 }, &object).warn(warnings))
}

fn unsupported() -> Status {
    Status::unsupported_media_type("415: Unsupported Media Type").with_details(json!({}))
}

fn check_options(found: &Found, kind: Kind) -> Result<(), Status> {
    let query = &found.call.query;
    let mut errors = Vec::new();
    if kind == Kind::Apply && query.text("fieldManager").is_empty() {
        errors.push(FieldError::required("fieldManager", "is required for apply patch"));
    }
    if kind != Kind::Apply && query.get("force").is_some() {
        errors.push(FieldError::forbidden(
            "force",
            "may not be specified for non-apply patch",
        ));
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid("meta.k8s.io", "PatchOptions", "", &errors))
}

fn read(found: &Found, kind: Kind) -> Result<Value, Status> {
    let bytes = &found.call.body;
    let parsed = if kind == Kind::Apply {
        body::yaml(bytes)
    } else {
        serde_json::from_slice(bytes).map_err(|e| e.to_string())
    };
    let patch: Value = parsed.map_err(|e| Status::bad_request(format!("error decoding patch: {e}")))?;
    let fits = if kind == Kind::Json {
        patch.is_array()
    } else {
        patch.is_object()
    };
    if fits {
        Ok(patch)
    } else {
        Err(Status::bad_request(
            "error decoding patch: json: cannot unmarshal into Go value",
        ))
    }
}

fn apply(_found: &Found, kind: Kind, patch: &Value, old: &Value) -> Result<Value, Status> {
    let mut object = old.clone();
    match kind {
        Kind::Merge => patch::merge(&mut object, patch),
        Kind::Json | Kind::Strategic | Kind::Apply => return Err(unsupported()),
    }
    Ok(object)
}

/// Decodes what came out; a patch that does not fit the type is an invalid patch.
fn finish(found: &Found, object: &mut Value, validation: FieldValidation) -> Result<Vec<String>, Status> {
    let invalid = |object: &Value, why: &str| {
        Status::invalid("", "", "", &[FieldError::invalid("patch", object.to_string(), why)])
    };
    let decoded = schema::decode(&found.resource.shape, object).map_err(|why| invalid(object, &why))?;
    let mut problems: Vec<String> = decoded
        .unknown
        .iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect();
    if validation == FieldValidation::Strict && !problems.is_empty() {
        return Err(invalid(
            object,
            &format!("strict decoding error: {}", problems.join(", ")),
        ));
    }
    if validation == FieldValidation::Ignore {
        problems.clear();
    }
    body::complete(&found.resource, object);
    let name = &found.call.info.name;
    if meta::name(object) != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            meta::name(object)
        )));
    }
    Ok(problems)
}
