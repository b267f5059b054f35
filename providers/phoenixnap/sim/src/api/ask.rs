//! One call: who makes it and what is asked, and the handlers made of plain functions over the world.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawPathParams, RawQuery, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::{HeaderMap, Method, Uri, header};
use serde_json::{Map, Value};

use super::told;
use crate::failure::Failure;
use crate::service::Service;
use crate::world::World;

/// What a caller asks.
pub(super) struct Ask {
    /// The account that the caller's token opens.
    pub(super) account: String,
    path: Vec<String>,
    query: Vec<(String, String)>,
    /// The body; `null` when there is none.
    pub(super) body: Value,
    /// Whether unknown fields are refused.
    strict: bool,
}

/// What is answered.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) body: Option<Value>,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self::with(200, body)
    }

    pub(super) fn with(code: u16, body: Value) -> Self {
        Self { code, body: Some(body) }
    }

    pub(super) fn empty(code: u16) -> Self {
        Self { code, body: None }
    }
}

impl Ask {
    /// The `n`-th variable part of the path.
    pub(super) fn part(&self, n: usize) -> &str {
        self.path.get(n).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn id(&self) -> &str {
        self.part(0)
    }

    /// A parameter of the query, if it is given.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.queries(name).first().copied()
    }

    /// All parameters of the query with this name.
    pub(super) fn queries(&self, name: &str) -> Vec<&str> {
        let named = self.query.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn force(&self) -> bool {
        self.query("force") == Some("true")
    }

    /// The fields of the body, which has no others than these.
    pub(super) fn fields(&self, known: &[&str]) -> Result<&Map<String, Value>, Failure> {
        let Value::Object(fields) = &self.body else {
            return Err(Failure::invalid("the body must be an object"));
        };
        match fields.keys().find(|key| self.strict && !known.contains(&key.as_str())) {
            Some(unknown) => Err(Failure::invalid(format!("unknown field {unknown}"))),
            None => Ok(fields),
        }
    }
}

pub(super) type Act = fn(&mut World, &Ask) -> Result<Answer, Failure>;
type Handlers = MethodRouter<Arc<Service>>;

pub(super) fn get(act: Act) -> Handlers {
    handle(MethodFilter::GET, act)
}

pub(super) fn post(act: Act) -> Handlers {
    handle(MethodFilter::POST, act)
}

pub(super) fn put(act: Act) -> Handlers {
    handle(MethodFilter::PUT, act)
}

pub(super) fn patch(act: Act) -> Handlers {
    handle(MethodFilter::PATCH, act)
}

pub(super) fn delete(act: Act) -> Handlers {
    handle(MethodFilter::DELETE, act)
}

fn handle(method: MethodFilter, act: Act) -> Handlers {
    on(
        method,
        async move |State(service): State<Arc<Service>>,
                    method: Method,
                    uri: Uri,
                    path: RawPathParams,
                    RawQuery(query): RawQuery,
                    headers: HeaderMap,
                    body: Bytes|
                    -> Result<Response, Failure> {
            let path = path.iter().map(|(_, value)| value.to_owned()).collect();
            service.with(|world| {
                // The path below the API that was asked.
                let family = if uri.path().starts_with("/tags") { "tags" } else { "bmc" };
                let account = world.authorize(bearer(&headers), family, method != Method::GET)?;
                let ask = Ask {
                    account,
                    path,
                    query: form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                        .into_owned()
                        .collect(),
                    body: read(&headers, &body, world.settings.strict)?,
                    strict: world.settings.strict,
                };
                let answer = act(world, &ask)?;
                Ok(told::respond(answer, &world.settings))
            })
        },
    )
}

fn bearer(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = value.and_then(|value| value.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        token.trim()
    } else {
        ""
    }
}

fn read(headers: &HeaderMap, body: &[u8], strict: bool) -> Result<Value, Failure> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if strict && !kind.starts_with("application/json") {
        return Err(Failure::new(415, "Content type is not supported."));
    }
    serde_json::from_slice(body).map_err(|error| Failure::new(400, format!("Malformed request: {error}")))
}
