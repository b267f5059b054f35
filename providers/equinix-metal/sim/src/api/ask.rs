//! A request: who asks, for what, with which query and body.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, json_response, no_content};
use crate::failure::Failure;
use crate::seed::Key;
use crate::service::Service;
use crate::settings::Foreign;
use crate::world::{Device, Project, World};

/// The header with the key.
pub(crate) const KEY_HEADER: &str = "x-auth-token";

/// Longer bodies are refused; the longest one that makes sense has a few kilobytes.
const LONGEST_BODY: usize = 1 << 20;

/// One request.
pub(crate) struct Ask {
    service: Arc<Service>,
    headers: HeaderMap,
    path: String,
    ids: Vec<(String, String)>,
    query: Vec<(String, String)>,
    body: Bytes,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    key: Key,
}

impl FromRequest<Arc<Service>> for Ask {
    type Rejection = Response;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let ids = RawPathParams::from_request_parts(&mut parts, service)
            .await
            .map_err(|_| Failure::not_found().into_response())?;
        let ids = ids
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let query = parts.uri.query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let body = axum::body::to_bytes(body, LONGEST_BODY)
            .await
            .map_err(|_| Failure::invalid("The request body is too long").into_response())?;
        Ok(Self {
            service: service.clone(),
            headers: parts.headers,
            path: parts.uri.path().to_owned(),
            ids,
            query,
            body,
        })
    }
}

impl Ask {
    /// A part of the path.
    pub(crate) fn id(&self, name: &str) -> &str {
        let found = self.ids.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The path as it was asked for.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The whole query.
    pub(crate) fn query(&self) -> &[(String, String)] {
        &self.query
    }

    /// The value of a query parameter that is not empty.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let found = self
            .query
            .iter()
            .find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a query parameter, repeated or in a list with commas, with or without brackets behind its name.
    pub(crate) fn params(&self, name: &str) -> Vec<String> {
        self.query
            .iter()
            .filter(|(known, _)| known.strip_suffix("[]").unwrap_or(known) == name)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The body; an empty one is an empty object.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        let value: Value = serde_json::from_slice(body).map_err(|error| Failure::bad_json(&error))?;
        serde_json::from_value(value).map_err(|error| Failure::invalid(error.to_string()))
    }

    /// A part of the bearer token of the request.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let value = self.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// What all handlers share.
    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    /// Answers a read of one object.
    pub(crate) fn read(&self, act: impl FnOnce(&World, &Caller) -> Result<Value, Failure>) -> Answer {
        self.service.with(|world| {
            let caller = self.caller(world)?;
            Ok(json_response(StatusCode::OK, &act(world, &caller)?))
        })
    }

    /// Answers a read of a list, which may be behind.
    pub(crate) fn list<R: ToString>(&self, act: impl FnOnce(&World, &Caller) -> Result<R, Failure>) -> Answer {
        self.service.with_lists(|world| {
            let caller = self.caller(world)?;
            Ok(json_response(StatusCode::OK, &act(world, &caller)?))
        })
    }

    /// Answers a write with this status, and the body if there is one.
    pub(crate) fn write(
        &self,
        status: StatusCode,
        act: impl FnOnce(&mut World, &Caller) -> Result<Option<Value>, Failure>,
    ) -> Answer {
        let body = self.service.write(|world| {
            let caller = self.caller(world)?;
            if caller.key.read_only {
                return Err(Failure::read_only());
            }
            act(world, &caller)
        })?;
        Ok(match body {
            Some(body) => json_response(status, &body),
            None if status == StatusCode::NO_CONTENT => no_content(),
            None => status.into_response(),
        })
    }

    fn caller(&self, world: &World) -> Result<Caller, Failure> {
        let given = self.headers.get(KEY_HEADER).and_then(|value| value.to_str().ok());
        Caller::by_key(world, given)
    }
}

impl Caller {
    /// Who has this key. Where no keys were given out, everybody is welcome.
    pub(crate) fn by_key(world: &World, given: Option<&str>) -> Result<Self, Failure> {
        if world.keys.is_empty() {
            return Ok(Self::default());
        }
        let key = given.and_then(|given| world.keys.get(given)).cloned();
        key.map(|key| Self { key }).ok_or_else(Failure::unauthorized)
    }

    /// Whether the key may not write.
    pub(crate) fn is_read_only(&self) -> bool {
        self.key.read_only
    }

    /// Whether a project is there for this caller.
    fn sees(&self, world: &World, project: &str) -> bool {
        world.project(project).is_some() && self.key.project.as_deref().is_none_or(|own| own == project)
    }

    /// A project, if it is the caller's.
    pub(crate) fn project<'a>(&self, world: &'a World, id: &str) -> Result<&'a Project, Failure> {
        world
            .project(id)
            .filter(|_| self.sees(world, id))
            .ok_or_else(Failure::not_found)
    }

    /// Refuses what is in somebody else's project, in the way the settings say.
    pub(crate) fn check(&self, world: &World, project: &str) -> Result<(), Failure> {
        if self.sees(world, project) {
            return Ok(());
        }
        Err(match world.settings.foreign {
            Foreign::Forbidden if world.project(project).is_some() => Failure::forbidden(),
            _ => Failure::not_found(),
        })
    }

    /// A device, if it is the caller's.
    pub(crate) fn device<'a>(&self, world: &'a World, id: &str) -> Result<&'a Device, Failure> {
        let device = world.device(id)?;
        self.check(world, &device.project)?;
        Ok(device)
    }
}
