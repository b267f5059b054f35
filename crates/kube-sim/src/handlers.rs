//! What is done for each verb.

mod options;
mod patch;
mod pods;
mod read;
mod reviews;
mod shown;
mod token;
mod watch;
mod write;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::discovery;
use crate::meta;
use crate::names;
use crate::resource::Resource;
use crate::respond::{Answer, Form, Payload, negotiate};
use crate::server::Call;
use crate::status::Status;
use crate::table;

/// Subresources that somebody else would have to answer.
const KUBELET: &[&str] = &["attach", "exec", "log", "portforward", "proxy"];

/// A call whose resource has been found.
pub(crate) struct Found {
    pub call: Call,
    pub resource: Arc<Resource>,
    pub form: Form,
}

/// Finds the resource of a call and does what the verb asks for.
pub(crate) fn resource(call: Call) -> Answer {
    let info = &call.info;
    let resource = {
        let state = call.inner.state();
        let Some(resource) = state.registry.get(&info.group, &info.version, &info.resource).cloned() else {
            return discovery::missing(&state.registry, &info.group, &info.version);
        };
        resource
    };
    if !info.rest.is_empty() || (!info.subresource.is_empty() && resource.subresource(&info.subresource).is_none()) {
        return Status::no_such_resource().into();
    }
    // A namespaced object has a namespace in its path, a cluster-scoped one has none.
    let namespaced_path = !info.namespace.is_empty() && info.resource != "namespaces";
    let needs_namespace =
        resource.namespaced && (!info.name.is_empty() && !is_collection(info.verb) || info.verb == "create");
    if namespaced_path && !resource.namespaced || needs_namespace && !namespaced_path {
        return Status::no_such_resource().into();
    }
    if !offered(&resource, &call) {
        return Status::method_not_allowed().into();
    }
    if resource.kind.ends_with("Review") {
        return reviews::answer(&call, &resource);
    }
    let form = match negotiate(&call.parts.headers, info.verb == "watch") {
        Ok((_, form)) => form,
        Err(status) => return status.into(),
    };
    let found = Found { call, resource, form };
    let deprecation = found.resource.deprecation.map(str::to_owned);
    perform(&found)
        .unwrap_or_else(Answer::from)
        .warn(deprecation.into_iter().collect())
}

fn perform(found: &Found) -> Result<Answer, Status> {
    let name = &found.call.info.name;
    if let Some(problem) = names::path_segment(name).first() {
        return Err(Status::bad_request(format!(
            "Name parameter invalid: {name:?}: {problem}"
        )));
    }
    if KUBELET.contains(&found.call.info.subresource.as_str()) {
        return Err(Status::new(
            503,
            "ServiceUnavailable",
            "there are no kubelets and no network behind this server",
        ));
    }
    match found.call.info.verb {
        "get" => read::get(found),
        "list" => read::list(found),
        "watch" => watch::answer(found),
        "create" if found.resource.kind == "Binding" => pods::bind(found),
        "create" => match found.call.info.subresource.as_str() {
            "token" => token::answer(found),
            "binding" => pods::bind(found),
            "eviction" => pods::evict(found),
            _ => write::create(found),
        },
        "update" => write::update(found),
        "patch" => patch::answer(found),
        "delete" => write::delete(found),
        "deletecollection" => write::delete_collection(found),
        _ => Err(Status::method_not_allowed()),
    }
}

fn is_collection(verb: &str) -> bool {
    matches!(verb, "list" | "watch" | "deletecollection")
}

fn offered(resource: &Resource, call: &Call) -> bool {
    let info = &call.info;
    match resource.subresource(&info.subresource) {
        Some(sub) => sub.verbs.contains(&info.verb),
        None if info.verb == "create" && !info.name.is_empty() => false,
        None if matches!(info.verb, "update" | "patch") && info.name.is_empty() => false,
        None => resource.verbs.contains(&info.verb),
    }
}

impl Found {
    pub fn namespace(&self) -> &str {
        if self.resource.namespaced {
            &self.call.info.namespace
        } else {
            ""
        }
    }

    /// An object as this resource shows it.
    pub fn view(&self, object: &Value) -> Value {
        let mut object = self.resource.rules.stored_as_seen(object).into_owned();
        object["apiVersion"] = json!(self.resource.api_version());
        object["kind"] = json!(self.resource.kind);
        object
    }

    /// An object's metadata, as this resource shows it.
    pub fn metadata(&self, object: &Value) -> Value {
        metadata_only(&self.resource.rules.stored_as_seen(object))
    }

    /// An answer with one object in the form that the client asked for.
    pub fn object(&self, status: u16, object: &Value) -> Answer {
        let shown = match self.form {
            Form::Whole => return self.written(status, &self.shown(object)),
            Form::Metadata => Ok(self.metadata(object)),
            Form::Table => {
                let object = self.view(object);
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                table::table(self, std::slice::from_ref(&object), metadata)
            }
            Form::MetadataList => Ok(self.view(object)),
        };
        shown.map_or_else(Answer::from, |object| Answer::new(status, Payload::Object(object)))
    }
}

/// An object cut down to its metadata.
pub(crate) fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// A delete that removed the object.
pub(crate) fn success(resource: &Resource, object: &Value) -> Value {
    let mut details = json!({"name": meta::name(object)});
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    details["kind"] = json!(resource.plural);
    details["uid"] = json!(meta::text(object, "uid"));
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

impl Found {
    /// The same call without its body: what a stream keeps.
    pub fn shallow(&self) -> Self {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = self.call.parts.method.clone();
        Self {
            call: Call {
                inner: self.call.inner.clone(),
                user: self.call.user.clone(),
                info: self.call.info.clone(),
                query: self.call.query.clone(),
                parts,
                body: axum::body::Bytes::new(),
            },
            resource: self.resource.clone(),
            form: self.form,
        }
    }
}
