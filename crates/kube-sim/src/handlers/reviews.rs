//! Reviews: questions about tokens, users and rights. They are answered, not kept.

use serde_json::{Value, json};

use crate::authn::User;
use crate::authz::{self, Attributes, Decision};
use crate::body::{self, FieldValidation, Wanted};
use crate::field::FieldError;
use crate::resource::Resource;
use crate::respond::{Answer, Payload};
use crate::schema::format_time;
use crate::server::Call;
use crate::status::Status;

/// Answers one review.
pub(super) fn answer(call: &Call, resource: &Resource) -> Answer {
    let api_version = resource.api_version();
    let wanted = Wanted {
        api_version: &api_version,
        kind: &resource.kind,
        shape: &resource.shape,
        custom: None,
    };
    let result = body::decode(&call.parts.headers, &call.body, wanted, FieldValidation::Ignore)
        .and_then(|decoded| review(call, resource, decoded.object));
    match result {
        Ok(object) => Answer::new(201, Payload::Object(object)),
        Err(status) => status.into(),
    }
}

fn review(call: &Call, resource: &Resource, mut object: Value) -> Result<Value, Status> {
    match resource.kind.as_str() {
        "TokenReview" => {
            object["status"] = token_review(call, &object["spec"])?;
        }
        "SelfSubjectReview" => {
            object["metadata"]["creationTimestamp"] = json!(format_time(call.inner.clock.now()));
            object["status"] = json!({"userInfo": shown(&call.user)});
        }
        "SelfSubjectAccessReview" => {
            check(resource, &object["spec"], true)?;
            object["status"] = access(call, &call.user, &object["spec"]);
        }
        "SelfSubjectRulesReview" => {
            object["status"] = rules(call, object["spec"]["namespace"].as_str().unwrap_or_default());
            // The real server does not repeat the question.
            object["spec"] = json!({});
        }
        _ => {
            check(resource, &object["spec"], false)?;
            if resource.namespaced {
                object["metadata"]["namespace"] = json!(call.info.namespace);
            }
            let user = asked_about(&object["spec"]);
            object["status"] = access(call, &user, &object["spec"]);
        }
    }
    Ok(object)
}

fn shown(user: &User) -> Value {
    let mut out = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        out["uid"] = json!(user.uid);
    }
    if !user.extra.is_empty() {
        out["extra"] = json!(user.extra);
    }
    out
}

fn token_review(call: &Call, spec: &Value) -> Result<Value, Status> {
    let token = spec["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Status::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let audiences: Vec<String> = spec["audiences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    let now = call.inner.clock.now();
    if let Some(found) = call
        .inner
        .tokens()
        .get(token)
        .filter(|t| t.expires.is_none_or(|at| at > now))
    {
        return Ok(json!({"authenticated": true, "user": shown(&found.user)}));
    }
    let state = call.inner.state();
    Ok(match call.inner.signer.authenticate(&state, token, &audiences, now) {
        Ok(found) => json!({"authenticated": true, "user": shown(&found.user), "audiences": found.audiences}),
        Err(error) => json!({"user": {}, "error": error}),
    })
}

fn check(resource: &Resource, spec: &Value, own: bool) -> Result<(), Status> {
    let mut errors = Vec::new();
    let (resources, path) = (spec.get("resourceAttributes"), spec.get("nonResourceAttributes"));
    match (resources, path) {
        (Some(_), Some(path)) => {
            let shown = json!({"Path": path["path"], "Verb": path["verb"]});
            let why = "cannot be specified in combination with resourceAttributes";
            errors.push(FieldError::invalid("spec.nonResourceAttributes", shown, why));
        }
        (None, None) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(FieldError::invalid("spec.resourceAttributes", Value::Null, why));
        }
        _ => {}
    }
    if !own && spec.get("user").is_none() && spec.get("groups").is_none() {
        errors.push(FieldError::invalid(
            "spec.user",
            "",
            "at least one of user or group must be specified",
        ));
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(&resource.group, "", "", &errors))
}

fn asked_about(spec: &Value) -> User {
    let groups = spec["groups"].as_array().into_iter().flatten();
    User {
        name: spec["user"].as_str().unwrap_or_default().to_owned(),
        groups: groups.filter_map(|g| g.as_str().map(str::to_owned)).collect(),
        ..User::default()
    }
}

fn access(call: &Call, user: &User, spec: &Value) -> Value {
    let attributes = if let Some(path) = spec.get("nonResourceAttributes") {
        Attributes {
            verb: path["verb"].as_str().unwrap_or_default().to_owned(),
            path: Some(path["path"].as_str().unwrap_or_default().to_owned()),
            ..Attributes::default()
        }
    } else {
        let asked = &spec["resourceAttributes"];
        let text = |member: &str| asked[member].as_str().unwrap_or_default().to_owned();
        Attributes {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
            path: None,
        }
    };
    let state = call.inner.state();
    match authz::authorize(&state.store, user, &attributes) {
        Decision::Allowed(reason) if reason.is_empty() => json!({"allowed": true}),
        Decision::Allowed(reason) => json!({"allowed": true, "reason": reason}),
        Decision::NoOpinion => json!({"allowed": false}),
    }
}

fn rules(call: &Call, namespace: &str) -> Value {
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    if call.user.in_group("system:masters") {
        resources.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        paths.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    let state = call.inner.state();
    authz::visit_rules(&state.store, &call.user, namespace, |rule, _| {
        if rule.get("nonResourceURLs").is_some() {
            paths.push(rule.clone());
        } else {
            resources.push(rule.clone());
        }
        true
    });
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}
