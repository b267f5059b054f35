//! TokenRequest: a token for a service account.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::Found;
use super::write::decode_as;
use crate::field::FieldError;
use crate::meta;
use crate::ops::{State, Target};
use crate::respond::{Answer, Payload};
use crate::schema::{Shape, format_time};
use crate::status::{Named, Status};
use crate::tokens::{Claims, ISSUER};

const GROUP: &str = "authentication.k8s.io";
const HOUR: i64 = 3600;
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

pub(super) fn answer(found: &Found) -> Result<Answer, Status> {
    let mut request = decode_as(
        found,
        "authentication.k8s.io/v1",
        "TokenRequest",
        &Shape::builtin("TokenRequest"),
    )?;
    let target = Target {
        resource: &found.resource,
        namespace: found.namespace(),
        name: &found.call.info.name,
    };
    let invalid = |name: &str, error| Status::invalid(GROUP, "TokenRequest", name, &[error]);
    let given = meta::name(&request);
    if !given.is_empty() && given != target.name {
        let error = FieldError::invalid(
            "metadata.name",
            given,
            "must match the service account name if specified",
        );
        return Err(invalid(target.name, error));
    }
    let mut state = found.call.inner.state();
    let account = state.get(target)?;
    if request["spec"]["audiences"].as_array().is_none_or(Vec::is_empty) {
        request["spec"]["audiences"] = json!([ISSUER]);
    }
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(HOUR);
    request["spec"]["expirationSeconds"] = json!(seconds);
    let wrong = |why| invalid("", FieldError::invalid("spec.expirationSeconds", seconds, why));
    if seconds < SHORTEST {
        return Err(wrong("may not specify a duration less than 10 minutes"));
    }
    if seconds > LONGEST {
        return Err(wrong("may not specify a duration larger than 2^32 seconds"));
    }
    let bound = bound_object(&state, target.namespace, &request["spec"]["boundObjectRef"])?;
    let now = found.call.inner.clock.now();
    let expires = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    let audiences: Vec<String> = request["spec"]["audiences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    let id = state.new_uid();
    drop(state);
    let uid = meta::text(&account, "uid");
    let token = found.call.inner.signer.bound_token(&Claims {
        namespace: target.namespace,
        account: target.name,
        uid,
        audiences: &audiences,
        issued: now,
        expires,
        id: &id,
        bound,
    });
    request["metadata"] = json!({
        "name": target.name, "namespace": target.namespace, "uid": uid, "creationTimestamp": format_time(now),
    });
    request["status"] = json!({"token": token, "expirationTimestamp": format_time(expires)});
    Ok(Answer::new(201, Payload::Object(request)))
}

/// The object whose end is the token's end.
fn bound_object(state: &State, namespace: &str, reference: &Value) -> Result<Option<(String, String, String)>, Status> {
    if reference.is_null() {
        return Ok(None);
    }
    let text = |member: &str| reference[member].as_str().unwrap_or_default();
    let (collection, within) = match (text("apiVersion"), text("kind")) {
        ("v1", "Secret") => ("secrets", namespace),
        ("v1", "Pod") => ("pods", namespace),
        ("v1", "Node") => ("nodes", ""),
        (version, kind) => {
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            return Err(Status::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    let of = Named {
        group: "",
        resource: collection,
    };
    let object = state
        .store
        .get(collection, within, text("name"))
        .ok_or_else(|| Status::not_found(of, text("name")))?;
    let uid = meta::text(object, "uid");
    if !text("uid").is_empty() && text("uid") != uid {
        let why = format!(
            "the UID in the bound object reference ({}) does not match the UID in record. \
            The object might have been deleted and then recreated",
            text("uid")
        );
        return Err(Status::conflict(of, text("name"), &why));
    }
    Ok(Some((
        text("kind").to_ascii_lowercase(),
        text("name").to_owned(),
        uid.to_owned(),
    )))
}
