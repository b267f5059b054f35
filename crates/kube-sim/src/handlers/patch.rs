//! Patch: merge, JSON, strategic merge and apply.

use serde_json::{Value, json};

use super::Found;
use super::options::WriteOptions;
use crate::body::{self, FieldValidation};
use crate::field::FieldError;
use crate::meta;
use crate::patch;
use crate::respond::Answer;
use crate::status::Status;

/// How many operations a JSON patch may have.
const OPERATIONS: usize = 10_000;

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
        "application/strategic-merge-patch+json" => {
            return Err(Status::unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ));
        }
        _ => return Err(unsupported()),
    };
    let options = WriteOptions::of(found, "PatchOptions")?;
    check_options(found, kind)?;
    let patch = read(found, kind)?;
    let mut warnings = Vec::new();
    let mut state = found.call.inner.state();
    let (object, created) = if kind == Kind::Apply {
        let (mut write, force) = (options.write, found.call.query.flag("force"));
        write.apply = true;
        let patch = checked_config(found, patch)?;
        state.apply(found.target(), &write, &patch, force, |mut object| {
            warnings = finish(found, &mut object, FieldValidation::Ignore)?;
            Ok(found.resource.rules.to_storage(object))
        })?
    } else {
        state.update(found.target(), &options.write, |_, old| {
            let Some(old) = old else {
                return Err(Status::not_found(found.resource.named(), &found.call.info.name));
            };
            let mut patched = apply(found, kind, &patch, found.view(old))?;
            warnings = finish(found, &mut patched, options.validation)?;
            warnings.extend(meta::deduplicate_owners(&mut patched));
            let patched = found.resource.rules.to_storage(patched);
            warnings.extend(found.resource.rules.warnings(&patched, Some(old)));
            Ok(patched)
        })?
    };
    drop(state);
    Ok(found.object(if created { 201 } else { 200 }, &object).warn(warnings))
}

/// A configuration must name its kind and may not carry managed fields; its name may be left to the URL.
fn checked_config(found: &Found, mut config: Value) -> Result<Value, Status> {
    let text = |member: &str| config[member].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version != found.resource.api_version() || kind != found.resource.kind {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        return Err(Status::bad_request(format!(
            "invalid object type: {group}/{version}, Kind={kind}"
        )));
    }
    if config["metadata"].get("managedFields").is_some() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let name = &found.call.info.name;
    match meta::name(&config) {
        "" => meta::set(&mut config, "name", Some(json!(name))),
        given if given != name => {
            return Err(Status::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        _ => {}
    }
    Ok(found.resource.rules.to_storage(config))
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
    if kind == Kind::Json && patch.as_array().is_some_and(|list| list.len() > OPERATIONS) {
        let found = patch.as_array().map_or(0, Vec::len);
        return Err(Status::too_large(format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS}, got {found}"
        )));
    }
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

fn apply(found: &Found, kind: Kind, patch: &Value, mut object: Value) -> Result<Value, Status> {
    match kind {
        Kind::Merge => patch::merge(&mut object, patch),
        Kind::Json => {
            let operations = patch.as_array().map_or(&[][..], Vec::as_slice);
            patch::json_patch(&mut object, operations).map_err(|_| {
                Status::new(
                    422,
                    "Invalid",
                    "the server rejected our request due to an error in our request",
                )
                .with_details(json!({}))
            })?;
        }
        Kind::Strategic => patch::strategic_merge(&found.resource.shape, &mut object, patch)
            .map_err(|bad| Status::internal_plain(bad.0))?,
        Kind::Apply => return Err(unsupported()),
    }
    Ok(object)
}

/// Decodes what came out; a patch that does not fit the type is an invalid patch.
fn finish(found: &Found, object: &mut Value, validation: FieldValidation) -> Result<Vec<String>, Status> {
    let invalid = |object: &Value, why: &str| {
        Status::invalid("", "", "", &[FieldError::invalid("patch", object.to_string(), why)])
    };
    let unknown = found.resource.decode(object).map_err(|why| invalid(object, &why))?;
    let mut problems: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
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
