//! What the APIs' error answers mean.

use cloud_http::{Refusal, Refused, by_status};
use cloud_provider::CloudError;
use http::StatusCode;
use kit::Class;
use serde::Deserialize;

/// Why a request to PhoenixNAP failed: which, why, and what may be done about it.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct PnapError(#[from] cloud_http::Error);

/// The result of a request.
pub type PnapResult<T> = Result<T, PnapError>;

impl PnapError {
    /// The client cannot be set up.
    pub(super) fn setup(text: &str) -> Self {
        Self(cloud_http::Error::new("set up the client", Class::Invalid, text))
    }

    /// An answer that was understood and does not fit the question.
    pub(super) fn unexpected(operation: &'static str, text: impl Into<String>) -> Self {
        Self(cloud_http::Error::new(operation, Class::Transient, text))
    }

    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        self.0.class()
    }

    /// Whether the API itself may have meant that the thing asked for is not there. It answers 403 for that and, just as
    /// well, when the credential has lost its rights: ask for something that must be there before believing it.
    pub fn is_missing(&self) -> bool {
        let said = self.class() == Class::NotFound || self.class() == Class::Unauthorized;
        said && matches!(self.status(), Some(StatusCode::FORBIDDEN | StatusCode::NOT_FOUND))
    }

    /// Whether the thing asked for is positively not there.
    pub fn is_not_found(&self) -> bool {
        self.0.is_not_found()
    }

    /// Whether the thing is not in a state for this now, or is there already.
    pub fn is_conflict(&self) -> bool {
        self.class() == Class::Conflict
    }

    /// Whether there is nothing left of what was to be bought.
    pub fn is_sold_out(&self) -> bool {
        self.status() == Some(StatusCode::NOT_ACCEPTABLE)
    }

    /// The status of the answer, if there was one with an error status.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status()
    }

    /// What the API gave as its reason, or what went wrong on the way; without the operation's name.
    pub fn reason(&self) -> String {
        self.0.reason()
    }

    /// Whether the request may have taken effect although it failed. Look before sending it again.
    pub fn is_ambiguous(&self) -> bool {
        self.0.is_ambiguous()
    }
}

impl From<PnapError> for CloudError {
    fn from(error: PnapError) -> Self {
        CloudError::new(error.class(), error.to_string())
    }
}

/// An error body of the APIs, or of the login service.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body {
    message: Option<String>,
    validation_errors: Option<Vec<String>>,
    error: Option<String>,
    #[serde(rename = "error_description")]
    description: Option<String>,
}

/// Reads a refusal of the APIs: `{message, validationErrors}`.
pub(super) fn api(refusal: &Refusal<'_>) -> Refused {
    let body: Option<Body> = serde_json::from_slice(refusal.body).ok();
    let mut class = by_status(refusal.status);
    // The page of a gateway or firewall, or that of a wrong base URL, says nothing about the thing asked for.
    let foreign = body.as_ref().is_none_or(|body| body.message.is_none());
    if foreign && matches!(refusal.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
        class = Class::Permanent;
    }
    let body = body.unwrap_or_default();
    let validation = body.validation_errors.unwrap_or_default();
    let said: Vec<String> = body
        .message
        .into_iter()
        .chain(validation)
        .filter(|text| !text.is_empty())
        .collect();
    Refused {
        class,
        reason: (!said.is_empty()).then(|| said.join("; ")),
    }
}

/// Reads a refusal of the login service: `{error, error_description}`. What it refused once it will refuse again.
pub(super) fn login(refusal: &Refusal<'_>) -> Refused {
    let body: Body = serde_json::from_slice(refusal.body).unwrap_or_default();
    let class = match by_status(refusal.status) {
        class if class.is_temporary() => class,
        _ if refusal.status.is_client_error() => Class::Unauthorized,
        class => class,
    };
    let reason = match (body.error, body.description) {
        (Some(error), Some(description)) => Some(format!("{error}: {description}")),
        (error, description) => error.or(description),
    };
    Refused { class, reason }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn read(by: fn(&Refusal<'_>) -> Refused, status: u16, body: &str) -> (Class, Option<String>) {
        let refused = by(&Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &HeaderMap::new(),
            body: body.as_bytes(),
        });
        (refused.class, refused.reason)
    }

    #[test]
    fn every_shape_of_error_body_is_read() {
        for (status, body, class, reason) in [
            (404, r#"{"message":"gone"}"#, Class::NotFound, Some("gone")),
            (403, r#"{"message":"no"}"#, Class::Unauthorized, Some("no")),
            (403, "<html>blocked</html>", Class::Permanent, None),
            (404, "", Class::Permanent, None),
            (401, "null", Class::Unauthorized, None),
            (
                400,
                r#"{"message":"bad","validationErrors":["a","b"]}"#,
                Class::Invalid,
                Some("bad; a; b"),
            ),
            (409, r#"{"message":"","validationErrors":null}"#, Class::Conflict, None),
            (406, r#"{"message":"none left"}"#, Class::Invalid, Some("none left")),
            (429, "", Class::Throttled { after: None }, None),
            (500, r#"{"message":["not a text"]}"#, Class::Transient, None),
            (502, "<html>bad gateway</html>", Class::Transient, None),
        ] {
            assert_eq!(
                read(api, status, body),
                (class, reason.map(str::to_owned)),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_refused_login_is_a_matter_of_the_credential_and_a_broken_one_is_not() {
        let body = r#"{"error":"invalid_client","error_description":"wrong"}"#;
        let said = Some("invalid_client: wrong".to_owned());
        assert_eq!(read(login, 401, body), (Class::Unauthorized, said));
        let said = Some("invalid_scope".to_owned());
        assert_eq!(
            read(login, 400, r#"{"error":"invalid_scope"}"#),
            (Class::Unauthorized, said)
        );
        assert_eq!(read(login, 503, "busy"), (Class::Transient, None));
        assert_eq!(read(login, 429, ""), (Class::Throttled { after: None }, None));
    }
}
