//! The login: client credentials for a token.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::service::Service;

pub(super) async fn token(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Failure::login(
            400,
            "invalid_request",
            "Missing form parameter: grant_type",
        ));
    }
    let form: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        None => {
            return Err(Failure::login(
                400,
                "invalid_request",
                "Missing form parameter: grant_type",
            ));
        }
        Some(_) => return Err(Failure::login(400, "unsupported_grant_type", "Unsupported grant_type")),
    }
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (id, secret) = basic(&headers).unwrap_or_else(|| (field("client_id"), field("client_secret")));
    let (token, grant, lifetime) = service.with(|world| {
        let (token, grant) = world.log_in(&id, &secret, form.get("scope").map(String::as_str))?;
        Ok::<_, Failure>((token, grant, world.settings.token_lifetime.as_secs()))
    })?;
    Ok(Json(json!({
        "access_token": token, "expires_in": lifetime, "refresh_expires_in": 0, "token_type": "Bearer",
        "not-before-policy": 0, "scope": grant.scopes.join(" "),
    })))
}

/// The credentials in the header. Both halves are form-encoded, by the standard.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decoded = |text: &str| {
        let pair = form_urlencoded::parse(text.as_bytes()).next();
        pair.map(|(key, _)| key.into_owned()).unwrap_or_default()
    };
    Some((decoded(id), decoded(secret)))
}
