//! The answers of a service that says no.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// A failure as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) body: Value,
}

impl Failure {
    pub(crate) fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            body: json!({"message": message.into(), "validationErrors": null}),
        }
    }

    /// What the caller sent makes no sense, and why.
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self {
            code: 400,
            body: json!({"message": "Validation failed.", "validationErrors": [why.into()]}),
        }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Token not valid.")
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(403, "You don't have permission to access this resource.")
    }

    /// The thing is not in a state for this.
    pub(crate) fn conflict(why: impl Into<String>) -> Self {
        Self::new(409, why)
    }

    /// A failure of the login service.
    pub(crate) fn login(code: u16, error: &str, description: &str) -> Self {
        Self {
            code,
            body: json!({"error": error, "error_description": description}),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(mut self) -> Response {
        if let Value::Object(fields) = &mut self.body {
            fields.retain(|_, value| !value.is_null());
        }
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, Json(self.body)).into_response()
    }
}
