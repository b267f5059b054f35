//! The errors of the API: Status objects, in the words of the real server.

use std::fmt;

use kit::Class;
use serde_json::{Map, Value, json};

use crate::field::{FieldError, aggregate};

/// A failure as the API tells it: the body of every answer of 400 and above.
///
/// Mirrors kubernetes/apimachinery pkg/api/errors/errors.go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Status(Box<Fields>);

/// Boxed: a Status is the error of almost everything here, and most calls do not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    continue_token: Option<String>,
}

/// The resource that an error names: its plural and its group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub group: &'a str,
    pub resource: &'a str,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource)?;
        if self.group.is_empty() {
            Ok(())
        } else {
            write!(f, ".{}", self.group)
        }
    }
}

fn details(name: &str, group: &str, kind: &str) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            map.insert(key.to_owned(), json!(value));
        }
    }
    map
}

impl Status {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            code,
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
        }))
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// The machine-readable reason, such as `NotFound` or `Conflict`; empty when the real server gives none.
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        match self.0.code {
            404 => Class::NotFound,
            409 => Class::Conflict,
            401 | 403 => Class::Unauthorized,
            429 => Class::Throttled { after: None },
            500 | 503 | 504 => Class::Transient,
            400 | 405 | 406 | 413 | 415 | 422 => Class::Invalid,
            _ => Class::Permanent,
        }
    }

    /// The object that goes over the wire.
    pub fn to_value(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.0.continue_token {
            metadata.insert("continue".to_owned(), json!(token));
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure", "message": self.0.message,
        });
        if !self.0.reason.is_empty() {
            status["reason"] = json!(self.0.reason);
        }
        if let Some(details) = &self.0.details {
            status["details"] = details.clone();
        }
        status["code"] = json!(self.0.code);
        status
    }

    pub(crate) fn with_details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    fn detail(mut self, key: &str, value: Value) -> Self {
        if let Value::Object(map) = self.0.details.get_or_insert_with(|| json!({})) {
            map.insert(key.to_owned(), value);
        }
        self
    }

    pub(crate) fn with_retry_after(self, seconds: u64) -> Self {
        self.detail("retryAfterSeconds", json!(seconds))
    }

    pub(crate) fn with_continue(mut self, token: String) -> Self {
        self.0.continue_token = Some(token);
        self
    }

    pub(crate) fn with_causes(self, causes: Value) -> Self {
        self.detail("causes", causes)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// An error that the server did not expect to have: no reason, no details.
    pub(crate) fn internal_plain(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn not_found(of: Named<'_>, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{of} \"{name}\" not found")).about(of, name)
    }

    /// A path that has a known group but no such version or resource.
    pub(crate) fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details(json!({}))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).with_details(json!({}))
    }

    pub(crate) fn already_exists(of: Named<'_>, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{of} \"{name}\" already exists")).about(of, name)
    }

    pub(crate) fn being_deleted(of: Named<'_>, name: &str) -> Self {
        let message = format!("object is being deleted: {of} \"{name}\" already exists");
        Self::new(409, "AlreadyExists", message).about(of, name)
    }

    pub(crate) fn conflict(of: Named<'_>, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {of} \"{name}\": {why}");
        Self::new(409, "Conflict", message).about(of, name)
    }

    pub(crate) fn modified(of: Named<'_>, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(of, name, why)
    }

    /// What a forbidden request is told; `why` ends the sentence.
    pub(crate) fn forbidden(of: Named<'_>, name: &str, why: &str) -> Self {
        let message = match (of.resource, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{of} is forbidden: {why}"),
            _ => format!("{of} \"{name}\" is forbidden: {why}"),
        };
        Self::new(403, "Forbidden", message).about(of, name)
    }

    fn about(self, of: Named<'_>, name: &str) -> Self {
        self.with_details(Value::Object(details(name, of.group, of.resource)))
    }

    /// Validation failed. Here `kind` is the kind, not the resource.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let message = format!("{qualified} \"{name}\" is invalid: {}", aggregate(errors));
        let causes: Vec<Value> = errors.iter().map(FieldError::cause).collect();
        Self::new(422, "Invalid", message)
            .with_details(Value::Object(details(name, group, kind)))
            .with_causes(json!(causes))
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(504, "Timeout", format!("Timeout: {}", message.into()))
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    pub(crate) fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_the_resource_with_its_group() {
        let of = Named {
            group: "coordination.k8s.io",
            resource: "leases",
        };
        let status = Status::not_found(of, "l");
        assert_eq!(status.message(), "leases.coordination.k8s.io \"l\" not found");
        assert_eq!(status.class(), Class::NotFound);
        let details = json!({"name": "l", "group": "coordination.k8s.io", "kind": "leases"});
        assert_eq!(status.to_value()["details"], details);
    }

    #[test]
    fn a_forbidden_path_names_no_resource() {
        let of = Named {
            group: "",
            resource: "",
        };
        assert_eq!(Status::forbidden(of, "", "no").message(), "forbidden: no");
    }
}
