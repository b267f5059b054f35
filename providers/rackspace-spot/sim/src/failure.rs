//! The answers of an API server that says no: the `Status` object of Kubernetes.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use crate::resource::{GROUP, Resource};

/// A failure as it goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) body: Value,
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) field: String,
}

impl Cause {
    pub(crate) fn required(field: &str) -> Self {
        Self::new("FieldValueRequired", field, "Required value".to_owned())
    }

    pub(crate) fn invalid(field: &str, shown: &str, why: &str) -> Self {
        Self::new("FieldValueInvalid", field, format!("Invalid value: {shown}: {why}"))
    }

    pub(crate) fn wrong_type(field: &str, found: &str, wanted: &str) -> Self {
        let why = format!("Invalid value: \"{found}\": {field} in body must be of type {wanted}: \"{found}\"");
        Self::new("FieldValueTypeInvalid", field, why)
    }

    pub(crate) fn unsupported(field: &str, found: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let why = format!(
            "Unsupported value: {found:?}: supported values: {}",
            supported.join(", ")
        );
        Self::new("FieldValueNotSupported", field, why)
    }

    fn new(reason: &'static str, field: &str, message: String) -> Self {
        Self {
            reason,
            message,
            field: field.to_owned(),
        }
    }
}

impl Failure {
    fn status(code: u16, reason: &str, message: &str, details: Value) -> Self {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason,
        });
        if let Value::Object(fields) = &mut body {
            if !details.is_null() {
                fields.insert("details".to_owned(), details);
            }
            fields.insert("code".to_owned(), json!(code));
        }
        Self { code, body }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::status(401, "Unauthorized", "Unauthorized", Value::Null)
    }

    pub(crate) fn forbidden(resource: Resource, name: Option<&str>, verb: &str, user: &str, namespace: &str) -> Self {
        let subject = name.map_or_else(
            || resource.qualified(),
            |name| format!("{} {name:?}", resource.qualified()),
        );
        let message = format!(
            "{subject} is forbidden: User {user:?} cannot {verb} resource {:?} in API group {GROUP:?} in the namespace \
             {namespace:?}",
            resource.plural()
        );
        Self::status(403, "Forbidden", &message, details(resource, name.unwrap_or_default()))
    }

    /// A webhook's refusal, with whatever code it is set to give.
    pub(crate) fn denied(resource: Resource, code: u16, why: &str) -> Self {
        let reason = match code {
            400 => "BadRequest",
            402 => "PaymentRequired",
            _ => "Forbidden",
        };
        let message = format!("admission webhook {:?} denied the request: {why}", resource.webhook());
        Self::status(code, reason, &message, Value::Null)
    }

    pub(crate) fn not_found(resource: Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::status(404, "NotFound", &message, details(resource, name))
    }

    /// No such path at all.
    pub(crate) fn no_resource() -> Self {
        Self::status(
            404,
            "NotFound",
            "the server could not find the requested resource",
            json!({}),
        )
    }

    pub(crate) fn no_method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::status(405, "MethodNotAllowed", message, json!({}))
    }

    pub(crate) fn exists(resource: Resource, name: &str, being_deleted: bool) -> Self {
        let prefix = if being_deleted { "object is being deleted: " } else { "" };
        let message = format!("{prefix}{} {name:?} already exists", resource.qualified());
        Self::status(409, "AlreadyExists", &message, details(resource, name))
    }

    pub(crate) fn conflict(resource: Resource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            resource.qualified()
        );
        Self::status(409, "Conflict", &message, details(resource, name))
    }

    pub(crate) fn modified(resource: Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        Self::status(400, "BadRequest", message, Value::Null)
    }

    pub(crate) fn media_type(accepted: &str) -> Self {
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
        Self::status(415, "UnsupportedMediaType", &message, json!({}))
    }

    /// An object the schema refuses. `causes` is not empty.
    pub(crate) fn invalid(resource: Resource, name: &str, causes: &[Cause]) -> Self {
        let told: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let told = match told.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let message = format!("{}.{GROUP} {name:?} is invalid: {told}", resource.kind());
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        let details = json!({"name": name, "group": GROUP, "kind": resource.kind(), "causes": causes});
        Self::status(422, "Invalid", &message, details)
    }

    /// A JSON patch that cannot be applied.
    pub(crate) fn invalid_patch(resource: Resource, name: &str, why: &str) -> Self {
        let message = format!("the server rejected our request due to an error in our request: {why}");
        Self::status(422, "Invalid", &message, details(resource, name))
    }

    /// A failure of the login and the organizer service, which are not Kubernetes.
    pub(crate) fn plain(code: u16, error: &str, description: &str) -> Self {
        Self {
            code,
            body: json!({"error": error, "error_description": description}),
        }
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

fn details(resource: Resource, name: &str) -> Value {
    if name.is_empty() {
        return json!({"group": GROUP, "kind": resource.plural()});
    }
    json!({"name": name, "group": GROUP, "kind": resource.plural()})
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, Json(self.body)).into_response()
    }
}
