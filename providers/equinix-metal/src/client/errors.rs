//! What the API's error answers mean.

use std::time::Duration;

use cloud_http::{Refusal, Refused, by_status};
use cloud_provider::CloudError;
use http::StatusCode;
use kit::{Class, Clock};
use serde_json::Value;

/// Why a request to Equinix Metal failed: which, why, and what may be done about it.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct MetalError(#[from] cloud_http::Error);

/// The result of a request.
pub type MetalResult<T> = Result<T, MetalError>;

impl MetalError {
    /// The client cannot be set up.
    pub(super) fn setup(text: &str) -> Self {
        Self(cloud_http::Error::new("set up the client", Class::Invalid, text))
    }

    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        self.0.class()
    }

    /// Whether the API itself said that the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.0.is_not_found()
    }

    /// Whether the API said that this key may not see or do it. Says nothing about whether the thing is there.
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(StatusCode::FORBIDDEN)
    }

    /// Whether it is the API or the key that is not well, so that asking for something else would fail, too.
    pub fn concerns_all(&self) -> bool {
        self.class().is_temporary() || self.status() == Some(StatusCode::UNAUTHORIZED)
    }

    /// The status of the answer, if there was one with an error status.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status()
    }

    /// Whether the request may have taken effect although it failed. Look before sending it again.
    pub fn is_ambiguous(&self) -> bool {
        self.0.is_ambiguous()
    }
}

impl From<MetalError> for CloudError {
    fn from(error: MetalError) -> Self {
        CloudError::new(error.class(), error.to_string())
    }
}

/// Reads a refusal: `{"errors":["…"]}` or `{"error":"…"}`, joined as the Go SDK joins them.
pub(super) fn read(refusal: &Refusal<'_>, clock: &Clock) -> Refused {
    let body: Value = serde_json::from_slice(refusal.body).unwrap_or_default();
    let mut class = by_status(refusal.status);
    // A gateway's page, or that of a wrong base URL, says nothing about the object.
    if class == Class::NotFound && !body.is_object() && !refusal.body.is_empty() {
        class = Class::Permanent;
    }
    if let Class::Throttled { after } = &mut class {
        *after = reset(refusal, clock);
    }
    Refused {
        class,
        reason: reason(&body),
    }
}

fn reason(body: &Value) -> Option<String> {
    let errors = body["errors"].as_array().into_iter().flatten();
    let said: Vec<&str> = errors
        .chain([&body["error"], &body["message"]])
        .filter_map(Value::as_str)
        .filter(|text| !text.is_empty())
        .collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// `X-RateLimit-Reset`, a Unix time. What is past or more than an hour ahead is nonsense.
fn reset(refusal: &Refusal<'_>, clock: &Clock) -> Option<Duration> {
    let text = refusal.headers.get("x-ratelimit-reset")?.to_str().ok()?;
    let at = jiff::Timestamp::from_second(text.trim().parse().ok()?).ok()?;
    let left: Duration = at.duration_since(clock.now()).try_into().ok()?;
    (left <= Duration::from_hours(1)).then_some(left)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_shape_of_error_body_is_read() {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        let soon = (clock.now() + Duration::from_secs(7)).as_second().to_string();
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-ratelimit-reset"),
            soon.parse().unwrap(),
        )]);
        for (status, body, class, reason) in [
            (404, r#"{"errors":["Not found"]}"#, Class::NotFound, Some("Not found")),
            (404, "", Class::NotFound, None),
            (404, "<html>no such page</html>", Class::Permanent, None),
            (404, "404 page not found", Class::Permanent, None),
            (
                422,
                r#"{"errors":["a","b"],"error":"c"}"#,
                Class::Invalid,
                Some("a, b, c"),
            ),
            (403, r#"{"error":"no"}"#, Class::Unauthorized, Some("no")),
            (401, "null", Class::Unauthorized, None),
            (400, r#"{"errors":null,"error":5}"#, Class::Invalid, None),
            (502, "<html>bad gateway</html>", Class::Transient, None),
            (
                429,
                "{}",
                Class::Throttled {
                    after: Some(Duration::from_secs(7)),
                },
                None,
            ),
        ] {
            let refused = read(
                &Refusal {
                    status: StatusCode::from_u16(status).unwrap(),
                    headers: &headers,
                    body: body.as_bytes(),
                },
                &clock,
            );
            assert_eq!((refused.class, refused.reason.as_deref()), (class, reason), "{body}");
        }
    }
}
