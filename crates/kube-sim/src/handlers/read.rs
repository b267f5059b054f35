//! Get and list.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Found;
use super::options::{ListOptions, Selectors};
use super::shown::List;
use crate::ops::{State, Target};
use crate::resource::Resource;
use crate::respond::{Answer, Form};
use crate::status::Status;
use crate::store::Key;
use crate::table;

/// How many objects are read at once when a selector may drop most of them.
const EXPIRED_TOKEN: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new \
    list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
    Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between \
    the time the first chunk was returned and now may show up in the list.";

/// One object.
pub(super) fn get(found: &Found) -> Result<Answer, Status> {
    let state = found.call.inner.state();
    let version = found.call.query.text("resourceVersion");
    if !version.is_empty() {
        let wanted: u64 = version
            .parse()
            .map_err(|_| Status::internal_plain(bad_version(version)))?;
        if wanted > state.store.revision() {
            return Err(from_the_future(wanted, &state));
        }
    }
    let frozen = if version == "0" {
        found.call.inner.faults().frozen_at
    } else {
        None
    };
    let target = Target {
        resource: &found.resource,
        namespace: found.namespace(),
        name: &found.call.info.name,
    };
    if let Some(at) = frozen {
        let key = target.key();
        let past = state
            .store
            .list_at(&found.resource.storage, found.namespace(), at)
            .unwrap_or_default();
        let object = past.into_iter().find(|(k, _)| *k == key).map(|(_, object)| object);
        let object = object.ok_or_else(|| Status::not_found(found.resource.named(), target.name))?;
        return Ok(found.object(200, &object));
    }
    let object = state.get(target)?;
    drop(state);
    Ok(found.object(200, &object))
}

/// What a version that cannot be read is told.
pub(super) fn bad_version(text: &str) -> String {
    format!("resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax")
}

fn from_the_future(wanted: u64, state: &State) -> Status {
    let message = format!(
        "Too large resource version: {wanted}, current: {}",
        state.store.revision()
    );
    Status::timeout(message)
        .with_causes(json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]))
        .with_retry_after(1)
}

/// Where the next page begins.
struct Token {
    /// Nothing for a token that goes on at the newest version.
    revision: Option<u64>,
    after: Key,
}

impl Token {
    fn encode(&self) -> String {
        let revision = self.revision.map_or(-1, u64::cast_signed);
        let token =
            json!({"v": "meta.k8s.io/v1", "rv": revision, "start": format!("{}/{}\u{0}", self.after.0, self.after.1)});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn decode(text: &str) -> Option<Self> {
        let token: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        if token["v"] != "meta.k8s.io/v1" {
            return None;
        }
        let (namespace, name) = token["start"].as_str()?.trim_end_matches('\u{0}').split_once('/')?;
        let revision = match token["rv"].as_i64()? {
            -1 => None,
            0 => return None,
            other => Some(u64::try_from(other).ok()?),
        };
        Some(Self {
            revision,
            after: (namespace.to_owned(), name.to_owned()),
        })
    }
}

/// The objects that a list is made of, and the revision it reports.
type Snapshot = (Vec<(Key, Arc<Value>)>, u64);

fn snapshot(found: &Found, options: &ListOptions, token: Option<&Token>, state: &State) -> Result<Snapshot, Status> {
    let (storage, namespace) = (&found.resource.storage, found.namespace());
    let now = || (state.store.list(storage, namespace), state.store.revision());
    if let Some(token) = token {
        let Some(revision) = token.revision else {
            return Ok(now());
        };
        return state
            .store
            .list_at(storage, namespace, revision)
            .map(|objects| (objects, revision))
            .ok_or_else(|| {
                let rest = Token {
                    revision: None,
                    after: token.after.clone(),
                };
                Status::expired(EXPIRED_TOKEN).with_continue(rest.encode())
            });
    }
    let version = options.resource_version.as_str();
    if version.is_empty() {
        return Ok(now());
    }
    let wanted: u64 = version
        .parse()
        .map_err(|_| Status::bad_request(format!("invalid resource version: {}", bad_version(version))))?;
    if wanted > state.store.revision() {
        return Err(from_the_future(wanted, state));
    }
    let exact = options.version_match == "Exact" || options.version_match.is_empty() && options.limit > 0 && wanted > 0;
    if exact {
        let past = state.store.list_at(storage, namespace, wanted);
        return past
            .map(|objects| (objects, wanted))
            .ok_or_else(|| Status::expired("The resourceVersion for the provided list is too old."));
    }
    if wanted == 0
        && let Some(at) = found.call.inner.faults().frozen_at
        && let Some(past) = state.store.list_at(storage, namespace, at)
    {
        return Ok((past, at));
    }
    Ok(now())
}

/// Several objects.
pub(super) fn list(found: &Found) -> Result<Answer, Status> {
    let options = ListOptions::of(&found.call.query, false)?;
    let selectors = Selectors::of(found)?;
    let token = match options.token.as_str() {
        "" => None,
        text => Some(
            Token::decode(text).ok_or_else(|| Status::bad_request("continue key is not valid: illegal base64 data"))?,
        ),
    };
    if token.is_some() && !matches!(options.resource_version.as_str(), "" | "0") {
        return Err(Status::bad_request(
            "specifying resource version is not allowed when using continue",
        ));
    }
    let (objects, revision) = {
        let state = found.call.inner.state();
        snapshot(found, &options, token.as_ref(), &state)?
    };
    let mut matching: Vec<(Key, Arc<Value>)> = objects
        .into_iter()
        .filter(|(key, object)| token.as_ref().is_none_or(|t| *key > t.after) && selectors.matches(found, object))
        .collect();
    let mut metadata = list_metadata(&found.resource, revision);
    // A list from the watch cache is never cut into pages.
    let cached = options.resource_version == "0";
    if options.limit > 0 && matching.len() > options.limit && !cached {
        let rest = matching.len() - options.limit;
        matching.truncate(options.limit);
        if let Some((after, _)) = matching.last() {
            let next = Token {
                revision: Some(revision),
                after: after.clone(),
            };
            metadata["continue"] = json!(next.encode());
        }
        if selectors.is_empty() {
            metadata["remainingItemCount"] = json!(rest);
        }
    }
    if found.form == Form::Table {
        let objects: Vec<Value> = matching.iter().map(|(_, object)| found.view(object)).collect();
        return table::table(found, &objects, metadata).map(Answer::ok);
    }
    Ok(body(found, &matching, &metadata))
}

/// The metadata of a list. Lists of custom resources always have a continue token, empty at the end.
pub(super) fn list_metadata(resource: &Resource, revision: u64) -> Value {
    if resource.custom.is_some() {
        json!({"continue": "", "resourceVersion": revision.to_string()})
    } else {
        json!({"resourceVersion": revision.to_string()})
    }
}

fn body(found: &Found, objects: &[(Key, Arc<Value>)], metadata: &Value) -> Answer {
    if matches!(found.form, Form::Metadata | Form::MetadataList) {
        let items: Vec<Value> = objects.iter().map(|(_, object)| found.metadata(object)).collect();
        return Answer::ok(json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items,
        }));
    }
    let list = List {
        kind: &found.resource.list_kind,
        api_version: found.resource.api_version(),
        metadata,
        items: objects.iter().map(|(_, object)| found.item(object)).collect(),
    };
    found.written(200, &list)
}
