//! Objects over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::{authorize, identity};
use crate::failure::Failure;
use crate::resource::{GROUP, Resource};
use crate::service::Service;
use crate::settings::DeleteAnswer;
use crate::world::{ListOptions, World, name_of, text};

type Parameters = Query<BTreeMap<String, String>>;

const PATCHES: &str = "application/json-patch+json, application/merge-patch+json";

/// The kind of objects a path names, if there are namespaced ones (or not) of it.
fn kind(plural: &str, namespaced: bool) -> Result<Resource, Failure> {
    Resource::from_plural(plural)
        .filter(|found| found.namespaced() == namespaced)
        .ok_or_else(Failure::no_resource)
}

fn options(query: &BTreeMap<String, String>) -> Result<ListOptions, Failure> {
    let field = |name: &str| query.get(name).cloned().unwrap_or_default();
    if query.get("watch").is_some_and(|watch| watch != "false" && watch != "0") {
        return Err(Failure::no_method());
    }
    let limit = match field("limit").as_str() {
        "" => 0,
        limit => limit
            .parse()
            .map_err(|_| Failure::bad_request("limit must be a number"))?,
    };
    Ok(ListOptions {
        label_selector: field("labelSelector"),
        field_selector: field("fieldSelector"),
        limit,
        after: field("continue"),
    })
}

pub(super) async fn list_cluster(
    State(service): State<Arc<Service>>,
    Path(plural): Path<String>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Failure> {
    let resource = kind(&plural, false)?;
    service.with(|world| {
        identity(&service, world, &headers)?;
        world.list(resource, "", &options(&query)?).map(Json)
    })
}

pub(super) async fn read_cluster(
    State(service): State<Arc<Service>>,
    Path((plural, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Failure> {
    let resource = kind(&plural, false)?;
    service.with(|world| {
        identity(&service, world, &headers)?;
        world.read(resource, &name).map(Json)
    })
}

pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Path((namespace, plural)): Path<(String, String)>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Failure> {
    let resource = kind(&plural, true)?;
    service.with(|world| {
        authorize(&service, world, &headers, "list", resource, (&namespace, None))?;
        world.list(resource, &namespace, &options(&query)?).map(Json)
    })
}

pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Path((namespace, plural)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let resource = kind(&plural, true)?;
    service.with(|world| {
        authorize(&service, world, &headers, "create", resource, (&namespace, None))?;
        if media_type(&headers) != "application/json" {
            return Err(Failure::media_type("application/json"));
        }
        world
            .create(resource, &namespace, parse(&body)?)
            .map(|object| (StatusCode::CREATED, Json(object)))
    })
}

pub(super) async fn read(
    State(service): State<Arc<Service>>,
    Path((namespace, plural, name)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Failure> {
    let resource = kind(&plural, true)?;
    service.with(|world| {
        authorize(&service, world, &headers, "get", resource, (&namespace, Some(&name)))?;
        world.read(resource, &format!("{namespace}/{name}")).map(Json)
    })
}

pub(super) async fn replace(
    State(service): State<Arc<Service>>,
    Path((namespace, plural, name)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let resource = kind(&plural, true)?;
    service.with(|world| {
        authorize(&service, world, &headers, "update", resource, (&namespace, Some(&name)))?;
        if media_type(&headers) != "application/json" {
            return Err(Failure::media_type("application/json"));
        }
        world
            .replace(resource, &format!("{namespace}/{name}"), parse(&body)?)
            .map(Json)
    })
}

pub(super) async fn patch(
    State(service): State<Arc<Service>>,
    Path((namespace, plural, name)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let resource = kind(&plural, true)?;
    service.with(|world| {
        authorize(&service, world, &headers, "patch", resource, (&namespace, Some(&name)))?;
        let key = format!("{namespace}/{name}");
        let kind = media_type(&headers);
        let changed = match kind.as_str() {
            "application/merge-patch+json" => {
                let patch = parse(&body)?;
                if !patch.is_object() {
                    return Err(Failure::bad_request("a merge patch must be an object"));
                }
                world.change(resource, &key, |object| {
                    json_patch::merge(object, &patch);
                    Ok(())
                })
            }
            "application/json-patch+json" => {
                let patch: json_patch::Patch = serde_json::from_slice(&body)
                    .map_err(|error| Failure::bad_request(&format!("error decoding patch: {error}")))?;
                world.change(resource, &key, |object| {
                    json_patch::patch(object, &patch)
                        .map_err(|error| Failure::invalid_patch(resource, &name, &error.to_string()))
                })
            }
            _ => Err(Failure::media_type(PATCHES)),
        };
        changed.map(Json)
    })
}

pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    Path((namespace, plural, name)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let resource = kind(&plural, true)?;
    service.with(|world| {
        authorize(&service, world, &headers, "delete", resource, (&namespace, Some(&name)))?;
        let options = if body.is_empty() { Value::Null } else { parse(&body)? };
        let object = world.delete(resource, &format!("{namespace}/{name}"), options.get("preconditions"))?;
        Ok(match world.settings.delete_answer {
            DeleteAnswer::Object => Json(object).into_response(),
            DeleteAnswer::Empty => StatusCode::ACCEPTED.into_response(),
            DeleteAnswer::Status => Json(deleted(resource, &object)).into_response(),
        })
    })
}

/// Deletes every object of a kind there is in the namespace: real, and no client should ever want it.
pub(super) async fn delete_all(
    State(service): State<Arc<Service>>,
    Path((namespace, plural)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Failure> {
    let resource = kind(&plural, true)?;
    service.with(|world: &mut World| {
        authorize(
            &service,
            world,
            &headers,
            "deletecollection",
            resource,
            (&namespace, None),
        )?;
        let prefix = format!("{namespace}/");
        let keys: Vec<String> = world
            .objects(resource)
            .keys()
            .filter(|key| key.starts_with(&prefix))
            .cloned()
            .collect();
        for key in keys {
            world.delete(resource, &key, None)?;
        }
        Ok(Json(
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}),
        ))
    })
}

fn deleted(resource: Resource, object: &Value) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {
            "name": name_of(object), "group": GROUP, "kind": resource.plural(), "uid": text(object, "/metadata/uid"),
        },
    })
}

fn media_type(headers: &HeaderMap) -> String {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_lowercase()
}

fn parse(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::bad_request(&format!(
            "the object provided is unrecognized (must be of type JSON): {error}"
        ))
    })
}
