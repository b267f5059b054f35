//! Request bodies: media types, syntax, kind and version, field validation.

use std::fmt::Write as _;

use axum::body::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::field::FieldError;
use crate::json;
use crate::meta;
use crate::protobuf::{self, Envelope};
use crate::resource::Resource;
use crate::schema::{self, Shape};
use crate::status::Status;

const MEDIA: &str = "the body of the request was in an unknown format - accepted media types include: application/json, \
    application/yaml, application/vnd.kubernetes.protobuf";

/// What to do with members that a kind does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// What a body is decoded into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub shape: &'a Shape,
    /// Set for a custom resource: it has errors of its own, and decodes by its schema.
    pub custom: Option<&'a Resource>,
}

/// The media type of a header without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let header = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads a body as JSON, YAML or, when it holds options, as protobuf. Also gives the paths of members that came twice.
pub(crate) fn parse(headers: &HeaderMap, body: &Bytes) -> Result<Result<(Value, Vec<String>), String>, Status> {
    match media_type(headers).as_str() {
        "" | "application/json" => Ok(json::parse(body)),
        "application/yaml" => Ok(yaml(body).map(|value| (value, Vec::new()))),
        protobuf::MEDIA => options(body).map(|value| Ok((value, Vec::new()))),
        _ => Err(Status::unsupported_media_type(MEDIA)),
    }
}

/// Reads the options of a delete; of another kind, no more than what it is.
fn options(body: &[u8]) -> Result<Value, Status> {
    let read = |envelope: Envelope<'_>| match envelope.kind.as_str() {
        "DeleteOptions" => envelope.object("DeleteOptions"),
        _ => Ok(envelope.head()),
    };
    Envelope::open(body)
        .and_then(read)
        .map_err(|why| Status::bad_request(why.to_string()))
}

/// Reads YAML; JSON is YAML too.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|e| e.to_string())?;
    serde_saphyr::from_str::<Value>(text).map_err(|e| e.to_string())
}

/// A decoded object and what its writer should be told.
#[derive(Debug)]
pub(crate) struct DecodedBody {
    pub object: Value,
    pub warnings: Vec<String>,
}

/// Decodes a body into the wanted kind.
pub(crate) fn decode(
    headers: &HeaderMap,
    body: &Bytes,
    wanted: Wanted<'_>,
    validation: FieldValidation,
) -> Result<DecodedBody, Status> {
    let unrecognized = |why: &str| {
        let shown = show(body);
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({shown})",
            wanted.kind
        ))
    };
    let syntax = |why: String| unrecognized(&format!("couldn't get version/kind; json parse error: {why}"));
    let envelope = match media_type(headers).as_str() {
        protobuf::MEDIA => Some(Envelope::open(body).map_err(|why| unrecognized(&why.to_string()))?),
        _ => None,
    };
    let (mut object, duplicates) = match &envelope {
        Some(envelope) => (envelope.head(), Vec::new()),
        None => parse(headers, body)?.map_err(syntax)?,
    };
    if object.is_null() {
        object = serde_json::json!({});
    }
    if !object.is_object() {
        return Err(syntax("json: cannot unmarshal into Go value of type struct".to_owned()));
    }
    match wanted.custom {
        None => check_kind(&object, wanted, unrecognized)?,
        Some(_) if envelope.is_some() => {}
        Some(_) => check_custom_kind(&object, wanted, unrecognized)?,
    }
    let handled = |why: &str| {
        let version = wanted.api_version.rsplit('/').next().unwrap_or_default();
        Status::bad_request(format!(
            "{0} in version \"{version}\" cannot be handled as a {0}: {why}",
            wanted.kind
        ))
    };
    if let Some(envelope) = &envelope {
        // A custom resource is no message: the real server names the type that it keeps it in.
        let message = match wanted.custom {
            None => &wanted.shape.root().name,
            Some(_) => "*unstructured.Unstructured",
        };
        object = envelope.object(message).map_err(|why| handled(&why.to_string()))?;
    }
    object["apiVersion"] = wanted.api_version.into();
    object["kind"] = wanted.kind.into();
    let unknown = match wanted.custom {
        Some(resource) => resource.decode(&mut object),
        None => schema::decode(wanted.shape, &mut object).map(|decoded| decoded.unknown),
    };
    let unknown = unknown.map_err(|why| handled(&why))?;
    let mut problems: Vec<String> = duplicates
        .iter()
        .map(|path| format!("duplicate field \"{path}\""))
        .collect();
    problems.extend(unknown.iter().map(|path| format!("unknown field \"{path}\"")));
    if validation == FieldValidation::Strict && !problems.is_empty() {
        return Err(handled(&format!("strict decoding error: {}", problems.join(", "))));
    }
    if validation == FieldValidation::Ignore {
        problems.clear();
    }
    Ok(DecodedBody {
        object,
        warnings: problems,
    })
}

/// Kind and version default from the URL; when they are given, they must be the ones of the URL.
fn check_kind(object: &Value, wanted: Wanted<'_>, unrecognized: impl Fn(&str) -> Status) -> Result<(), Status> {
    let text = |member: &str| object[member].as_str().unwrap_or_default();
    let (given_version, given_kind) = (text("apiVersion"), text("kind"));
    if given_version.matches('/').count() > 1 {
        return Err(unrecognized(&format!(
            "unexpected GroupVersion string: {given_version}"
        )));
    }
    let api_version = if given_version.is_empty() {
        wanted.api_version
    } else {
        given_version
    };
    let kind = if given_kind.is_empty() { wanted.kind } else { given_kind };
    if api_version == wanted.api_version && kind == wanted.kind {
        return Ok(());
    }
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let why = if api_version == wanted.api_version && schema::builtin().id(kind).is_some() {
        format!(
            "converting ({version}.{kind}) to (core.{}): unknown conversion",
            wanted.kind
        )
    } else {
        format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \"pkg/api/legacyscheme/scheme.go:30\""
        )
    };
    Err(Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {}: {why}",
        wanted.kind
    )))
}

/// Custom resources must say what they are.
fn check_custom_kind(object: &Value, wanted: Wanted<'_>, unrecognized: impl Fn(&str) -> Status) -> Result<(), Status> {
    let kind = object["kind"].as_str().unwrap_or_default();
    if kind.is_empty() {
        return Err(unrecognized(&format!("Object 'Kind' is missing in '{object}'")));
    }
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let mut errors = Vec::new();
    if kind != wanted.kind {
        errors.push(FieldError::invalid("kind", kind, &format!("must be {}", wanted.kind)));
    }
    if api_version != wanted.api_version {
        errors.push(FieldError::invalid(
            "apiVersion",
            api_version,
            &format!("must be {}", wanted.api_version),
        ));
    }
    if errors.is_empty() {
        return Ok(());
    }
    let group = wanted.api_version.split_once('/').map_or("", |(group, _)| group);
    Err(Status::invalid(group, kind, meta::name(object), &errors))
}

/// The beginning of a body, as errors quote it.
fn show(body: &[u8]) -> String {
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    if body[0] != b'{' {
        let head = body.iter().take(30).fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        });
        return if body.len() > 30 { format!("{head} ...") } else { head };
    }
    let text = String::from_utf8_lossy(body);
    let head: String = text.chars().take(30).collect();
    if head.len() < text.len() {
        format!("{head} ...")
    } else {
        head
    }
}

/// Decodes an object that comes from code: unknown members are dropped, defaults filled.
pub(crate) fn decode_object(resource: &Resource, mut object: Value) -> Result<Value, Status> {
    resource.decode(&mut object).map_err(|why| {
        Status::bad_request(format!(
            "{0} in version \"{1}\" cannot be handled as a {0}: {why}",
            resource.kind, resource.version
        ))
    })?;
    complete(resource, &mut object);
    Ok(object)
}

/// Fills the defaults of a decoded object.
pub(crate) fn complete(resource: &Resource, object: &mut Value) {
    if resource.custom.is_some() {
        return;
    }
    schema::fill_defaults(&resource.shape, object);
    resource.rules.default(object);
}
