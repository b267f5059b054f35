//! The login service.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, Uri, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::seed::{RefreshToken, namespace_of};
use crate::service::Service;
use crate::settings::RevokedAnswer;
use crate::token::{CLIENT_ID, Signer};
use crate::world::World;

/// The address the caller reached us at.
fn base(uri: &Uri, headers: &HeaderMap) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri
        .authority()
        .map(|authority| authority.as_str().to_owned())
        .or_else(|| {
            headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
                .map(str::to_owned)
        });
    format!("{scheme}://{}", host.unwrap_or_else(|| "login.spot.sim".to_owned()))
}

pub(super) async fn configuration(State(service): State<Arc<Service>>, uri: Uri, headers: HeaderMap) -> Json<Value> {
    let base = base(&uri, &headers);
    // Touches the world, so that everything that looks at the service lets time pass.
    service.with(|_| ());
    Json(json!({
        "issuer": format!("{base}/"), "token_endpoint": format!("{base}/oauth/token"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"), "id_token_signing_alg_values_supported": ["EdDSA"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
    }))
}

pub(super) async fn jwks(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(service.signer.jwks())
}

pub(super) async fn token(
    State(service): State<Arc<Service>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Failure::plain(
            400,
            "invalid_request",
            "the body must be application/x-www-form-urlencoded",
        ));
    }
    let form: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "refresh_token" {
        return Err(Failure::plain(403, "unsupported_grant_type", "Unsupported grant type"));
    }
    if field("client_id") != CLIENT_ID {
        return Err(Failure::plain(401, "access_denied", "Unauthorized"));
    }
    let issuer = format!("{}/", base(&uri, &headers));
    service.with(|world| {
        let refresh_token = field("refresh_token");
        let grant = granted(world, refresh_token).cloned().ok_or_else(|| refusal(world))?;
        let (id_token, expires) = id_token(&service.signer, world, &grant, &issuer);
        service.note_token(&id_token, &namespace_of(&grant.org_id), expires);
        let access = json!({
            "iss": issuer, "aud": [format!("{issuer}userinfo")], "azp": CLIENT_ID, "exp": expires.as_second(),
        });
        let mut answer = json!({
            "access_token": service.signer.sign(&access), "id_token": id_token,
            "scope": "openid profile email offline_access", "expires_in": world.settings.id_token_ttl.as_secs(),
            "token_type": "Bearer",
        });
        if world.settings.rotate_refresh_tokens {
            let new = format!("spot-sim-refresh-token-{}", world.draw_uuid());
            if let Some(old) = world.refresh_tokens.get_mut(refresh_token) {
                old.revoked = true;
            }
            world.refresh_tokens.insert(new.clone(), grant);
            answer["refresh_token"] = new.into();
        }
        Ok(Json(answer))
    })
}

/// What a refresh token grants, if it is good.
pub(super) fn granted<'a>(world: &'a World, refresh_token: &str) -> Option<&'a RefreshToken> {
    world.refresh_tokens.get(refresh_token).filter(|grant| !grant.revoked)
}

fn refusal(world: &World) -> Failure {
    match world.settings.revoked_answer {
        RevokedAnswer::AccessDenied => Failure::plain(401, "access_denied", "Unauthorized"),
        RevokedAnswer::InvalidGrant => Failure::plain(403, "invalid_grant", "Unknown or invalid refresh token."),
    }
}

/// A new id token, and when it ends.
pub(super) fn id_token(signer: &Signer, world: &World, grant: &RefreshToken, issuer: &str) -> (String, Timestamp) {
    let expires = crate::world::plus(world.now, world.settings.id_token_ttl);
    let org = world.organizations.iter().find(|org| org.id == grant.org_id);
    let name = org.map_or("nobody", |org| org.name.trim_end_matches('.'));
    let mut claims = json!({
        "iss": issuer, "aud": CLIENT_ID, "org_id": grant.org_id,
        "email": format!("owner@{name}.example"), "email_verified": grant.email_verified,
        "iat": world.now.as_second(), "exp": expires.as_second(),
    });
    if world.settings.named_users {
        claims["sub"] = format!("auth0|{}", grant.user.as_deref().unwrap_or(name)).into();
    }
    (signer.sign(&claims), expires)
}
