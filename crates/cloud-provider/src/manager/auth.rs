//! Who may look: delegated authentication (client certificates, token reviews) and authorization (access reviews).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::trust::Trust;

mod proxy;

pub(crate) use proxy::{Proxied, RequestHeaders};

/// How many answers are remembered at a time.
const REMEMBERED: usize = 1024;

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct User {
    pub name: String,
    pub groups: Vec<String>,
}

impl User {
    fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
        }
    }
}

/// Who a client certificate says its owner is; put into requests by the server.
#[derive(Clone, Debug)]
pub(crate) struct Certified(pub User);

/// Answers, each until its time is over.
type Memory<K, V> = Mutex<HashMap<K, (Instant, V)>>;

/// Decides who may look at what. Clones share what is remembered.
#[derive(Clone)]
pub(crate) struct Auth(Arc<Inner>);

struct Inner {
    authentication: kube::Client,
    authorization: kube::Client,
    open: Vec<String>,
    trust: Trust,
    token_ttl: Duration,
    yes_ttl: Duration,
    no_ttl: Duration,
    tokens: Memory<[u8; 32], Option<User>>,
    verdicts: Memory<(User, String, String), bool>,
}

/// How long answers are remembered.
pub(crate) struct Ttl {
    pub token: Duration,
    pub yes: Duration,
    pub no: Duration,
}

impl Auth {
    /// Asks these API servers. Anybody may get the `open` paths; a path that ends in `*` covers what begins like it.
    pub fn new(
        authentication: kube::Client,
        authorization: kube::Client,
        open: Vec<String>,
        trust: Trust,
        ttl: &Ttl,
    ) -> Self {
        Self(Arc::new(Inner {
            authentication,
            authorization,
            open,
            trust,
            token_ttl: ttl.token,
            yes_ttl: ttl.yes,
            no_ttl: ttl.no,
            tokens: Mutex::default(),
            verdicts: Mutex::default(),
        }))
    }

    async fn admit(&self, request: &axum::http::request::Parts) -> Result<(), Response> {
        let path = request.uri.path().to_owned();
        let bearer = request
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = bearer
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let vouched = request
            .extensions
            .get::<Proxied>()
            .and_then(|proxy| self.0.trust.headers().user(proxy, &request.headers));
        let user = match (vouched, request.extensions.get::<Certified>(), token) {
            (Some(user), _, _) => user,
            (None, Some(Certified(user)), _) => user.clone(),
            (None, None, Some((_, token))) => self.by_token(token.trim()).await?,
            (None, None, None) => User::anonymous(),
        };
        let verb = request.method.as_str().to_ascii_lowercase();
        let is_open = |open: &String| {
            open.strip_suffix('*')
                .map_or(*open == path, |start| path.starts_with(start))
        };
        if user.groups.iter().any(|group| group == "system:masters") || self.0.open.iter().any(is_open) {
            return Ok(());
        }
        if self.is_allowed(&user, &verb, &path).await? {
            return Ok(());
        }
        let text = format!("forbidden: User {:?} cannot {verb} path {path:?}", user.name);
        Err(refusal(StatusCode::FORBIDDEN, "Forbidden", &text))
    }

    async fn by_token(&self, token: &str) -> Result<User, Response> {
        // Only a digest is kept: what is remembered must not be worth stealing.
        let digest: [u8; 32] = Sha256::digest(token).into();
        let refused = || refusal(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized");
        let user = if let Some(known) = recall(&self.0.tokens, &digest) {
            known
        } else {
            let spec = TokenReviewSpec {
                token: token.to_owned(),
                ..TokenReviewSpec::default()
            };
            let review = TokenReview {
                spec,
                ..TokenReview::default()
            };
            let reviews: Api<TokenReview> = Api::all(self.0.authentication.clone());
            let answer = reviews.create(&PostParams::default(), &review).await.map_err(|error| {
                tracing::warn!(error = %kit::chain(&error), "cannot review a token");
                refused()
            })?;
            let status = answer.status.unwrap_or_default();
            let info = status.user.filter(|_| status.authenticated == Some(true));
            let user = info.map(|info| User {
                name: info.username.unwrap_or_default(),
                groups: info.groups.unwrap_or_default(),
            });
            remember(&self.0.tokens, digest, user.clone(), self.0.token_ttl);
            user
        };
        user.ok_or_else(refused)
    }

    async fn is_allowed(&self, user: &User, verb: &str, path: &str) -> Result<bool, Response> {
        let key = (user.clone(), verb.to_owned(), path.to_owned());
        if let Some(known) = recall(&self.0.verdicts, &key) {
            return Ok(known);
        }
        let attributes = NonResourceAttributes {
            path: Some(path.to_owned()),
            verb: Some(verb.to_owned()),
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            groups: Some(user.groups.clone()),
            non_resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview {
            spec,
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.0.authorization.clone());
        let answer = reviews.create(&PostParams::default(), &review).await.map_err(|error| {
            let text = kit::chain(&error);
            tracing::warn!(error = %text, "cannot review access");
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "cannot ask the API server who may do this",
            )
        })?;
        let allowed = answer.status.is_some_and(|status| status.allowed);
        let ttl = if allowed { self.0.yes_ttl } else { self.0.no_ttl };
        remember(&self.0.verdicts, key, allowed, ttl);
        Ok(allowed)
    }
}

fn recall<K: std::hash::Hash + Eq, V: Clone>(memory: &Memory<K, V>, key: &K) -> Option<V> {
    let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    memory
        .get(key)
        .filter(|(until, _)| *until > Instant::now())
        .map(|(_, value)| value.clone())
}

fn remember<K: std::hash::Hash + Eq, V>(memory: &Memory<K, V>, key: K, value: V, ttl: Duration) {
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if memory.len() >= REMEMBERED {
        memory.retain(|_, (until, _)| *until > now);
    }
    if memory.len() < REMEMBERED {
        memory.insert(key, (now + ttl, value));
    }
}

/// Lets only those through who may.
pub(crate) async fn guard(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match auth.admit(&parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => refusal,
    }
}

fn refusal(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests;
