//! What the API's error answers mean.

use std::time::Duration;

use cloud_http::{Refusal, Refused, by_status};
use http::StatusCode;
use kit::Class;
use serde::Deserialize;

/// Why something about Rackspace Spot failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SpotError {
    /// A request failed.
    #[error(transparent)]
    Api(#[from] cloud_http::Error),
    /// The client cannot be set up.
    #[error("set up the client: {0}")]
    Setup(String),
    /// There is no credential to log in with.
    #[error("rackspace-spot-refresh-token is required")]
    NoCredential,
    /// The account cannot be used yet.
    #[error("the e-mail address of this Rackspace Spot account is not verified; verify it in the console")]
    EmailNotVerified,
    /// No organization answers to this name.
    #[error("organization {wanted:?} was not found; this refresh token sees: {}", list(known))]
    NoOrganization {
        /// The name asked for.
        wanted: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The token belongs to another organization.
    #[error(
        "the refresh token belongs to organization {token:?}, not to {wanted:?}; make a token in the console while that \
         organization is selected"
    )]
    OtherOrganization {
        /// The name asked for.
        wanted: String,
        /// The one the token is bound to.
        token: String,
    },
    /// The answer to a kubeconfig request has none.
    #[error("the service gave no kubeconfig for cloudspace {0:?}")]
    NoKubeconfig(String),
}

/// The result of a request.
pub type SpotResult<T> = Result<T, SpotError>;

impl SpotError {
    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Api(error) => error.class(),
            Self::Setup(_) | Self::NoCredential => Class::Invalid,
            Self::EmailNotVerified | Self::NoOrganization { .. } | Self::OtherOrganization { .. } => {
                Class::Unauthorized
            }
            Self::NoKubeconfig(_) => Class::Transient,
        }
    }

    /// Whether the request may have taken effect although it failed.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Api(error) if error.is_ambiguous())
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// A Kubernetes `Status`, as far as it matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: Option<String>,
    reason: Option<String>,
    details: Option<Details>,
    /// Of the organizer and the login service.
    error: Option<String>,
    error_description: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    retry_after_seconds: Option<u64>,
}

/// Reads a refusal of the API: a `Status`, `{error, error_description}`, or text.
pub(super) fn api(refusal: &Refusal<'_>) -> Refused {
    let body: Status = serde_json::from_slice(refusal.body).unwrap_or_default();
    let mut class = by_status(refusal.status);
    // A gateway's 404, or that of a wrong base URL, says nothing about the object.
    if class == Class::NotFound && body.reason.as_deref() != Some("NotFound") && refusal.status != StatusCode::GONE {
        class = Class::Permanent;
    }
    if let Class::Throttled { after } = &mut class {
        let seconds = body.details.as_ref().and_then(|details| details.retry_after_seconds);
        *after = seconds.map(Duration::from_secs);
    }
    Refused {
        class,
        reason: reason(body),
    }
}

/// Reads a refusal of the login service: a token that was refused once will be refused again.
pub(super) fn login(refusal: &Refusal<'_>) -> Refused {
    let body: Status = serde_json::from_slice(refusal.body).unwrap_or_default();
    let class = match by_status(refusal.status) {
        class if class.is_temporary() => class,
        _ if refusal.status.is_client_error() => Class::Unauthorized,
        class => class,
    };
    Refused {
        class,
        reason: reason(body),
    }
}

fn reason(body: Status) -> Option<String> {
    let said = match (body.error, body.error_description) {
        (Some(error), Some(description)) => Some(format!("{error}: {description}")),
        (error, description) => error.or(description),
    };
    let message = body.message.filter(|_| body.kind == "Status");
    message.or(said).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn read(read: fn(&Refusal<'_>) -> Refused, status: u16, body: &str) -> (Class, Option<String>) {
        let refused = read(&Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &HeaderMap::new(),
            body: body.as_bytes(),
        });
        (refused.class, refused.reason)
    }

    #[test]
    fn every_shape_of_error_body_is_read() {
        for (status, body, class, reason) in [
            (
                404,
                r#"{"kind":"Status","message":"cloudspaces \"x\" not found","reason":"NotFound","details":{},"code":404}"#,
                Class::NotFound,
                Some("cloudspaces \"x\" not found"),
            ),
            (404, "<html>no such page</html>", Class::Permanent, None),
            (
                429,
                r#"{"kind":"Status","message":"slow down","details":{"retryAfterSeconds":7}}"#,
                Class::Throttled {
                    after: Some(Duration::from_secs(7)),
                },
                Some("slow down"),
            ),
            (
                400,
                r#"{"error":"bad_request","error_description":"Missing token."}"#,
                Class::Invalid,
                Some("bad_request: Missing token."),
            ),
            (502, "<html>bad gateway</html>", Class::Transient, None),
            (409, "{}", Class::Conflict, None),
            (422, "null", Class::Invalid, None),
        ] {
            assert_eq!(read(api, status, body), (class, reason.map(str::to_owned)), "{body}");
        }
    }

    #[test]
    fn a_refused_login_is_final_and_a_broken_login_service_is_not() {
        assert_eq!(
            read(
                login,
                403,
                r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#
            )
            .0,
            Class::Unauthorized
        );
        assert_eq!(read(login, 400, "").0, Class::Unauthorized);
        assert_eq!(read(login, 503, "").0, Class::Transient);
        assert_eq!(read(login, 429, "").0, Class::Throttled { after: None });
    }
}
