//! The simulated server as a value.

mod builder;
mod control;
mod snapshot;

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kit::Clock;
use serde_json::Value;

pub use builder::{BuildError, Builder};
pub use control::Faults;
pub use snapshot::Snapshot;

use crate::authn::User;
use crate::body;
use crate::certs::Authority;
use crate::controllers::Controllers;
use crate::faults::{FaultState, LoggedRequest};
use crate::meta;
use crate::ops::{DeleteOptions, Deleted, State, Target, Write};
use crate::resource::Resource;
use crate::status::Status;
use crate::tokens::{Signer, StaticToken, StaticTokens};

/// An in-memory Kubernetes API server. Clones share one state.
#[derive(Clone, Debug)]
pub struct KubeSim(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub state: Mutex<State>,
    pub faults: Mutex<FaultState>,
    pub tokens: Mutex<StaticTokens>,
    pub clock: Clock,
    /// The `gitVersion` of `/version`.
    pub version: Mutex<String>,
    pub authority: Authority,
    pub signer: Signer,
    pub admin_token: String,
    pub hosts: Vec<String>,
    pub controllers: Controllers,
    pub token_delay: Option<Duration>,
    pub grace: Duration,
}

// Not derived: there are tokens in it.
impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeSim")
            .field("version", &self.version())
            .field("controllers", &self.controllers)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn faults(&self) -> MutexGuard<'_, FaultState> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tokens(&self) -> MutexGuard<'_, StaticTokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn version(&self) -> String {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A write by the server's own hand.
    pub fn write(&self, manager: &str) -> Write {
        Write {
            now: self.clock.now(),
            dry_run: false,
            manager: manager.to_owned(),
            subresource: String::new(),
            apply: false,
        }
    }

    /// Stores a whole new state of an object, whatever it was before.
    pub fn create(&self, object: Value, manager: &str) -> Result<Arc<Value>, Status> {
        let mut state = self.state();
        let (resource, namespace, object) = prepare(&state, object)?;
        state.create(&resource, &namespace, object, &self.write(manager))
    }
}

/// The resource, namespace and decoded form of an object that comes from code.
fn prepare(state: &State, object: Value) -> Result<(Arc<Resource>, String, Value), Status> {
    let text = |member: &str| object[member].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let resource = state
        .registry
        .by_kind(&api_version, &kind)
        .filter(|r| r.stored())
        .cloned();
    let resource = resource.ok_or_else(|| {
        Status::bad_request(format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\""
        ))
    })?;
    let namespace = match meta::namespace(&object) {
        _ if !resource.namespaced => String::new(),
        "" => "default".to_owned(),
        namespace => namespace.to_owned(),
    };
    let object = body::decode_object(&resource, object)?;
    let object = resource.rules.to_storage(object);
    Ok((resource, namespace, object))
}

impl KubeSim {
    /// Starts a description of a server.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A token of an administrator (group `system:masters`).
    pub fn admin_token(&self) -> &str {
        &self.0.admin_token
    }

    /// The certificate of the authority that signs the serving certificate, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.0.authority.pem()
    }

    /// From now on `/version` answers with this `gitVersion`, as after an upgrade of the control plane.
    pub fn set_version(&self, version: &str) {
        let mut running = self.0.version.lock().unwrap_or_else(PoisonError::into_inner);
        version.clone_into(&mut running);
    }

    /// The clock that everything here reads.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Lets `token` in as `user`, until `expires`. The group `system:authenticated` is added.
    pub fn add_token(&self, token: &str, user: &str, groups: &[&str], expires: Option<Timestamp>) {
        let user = User::new(user, groups);
        self.0.tokens().insert(token.to_owned(), StaticToken { user, expires });
    }

    /// A kubeconfig for this server at `server_url`, with the administrator's token.
    pub fn kubeconfig(&self, server_url: &str) -> String {
        use base64::Engine;
        let mut cluster = format!("    server: {server_url}\n");
        if server_url.starts_with("https:") {
            let data = base64::engine::general_purpose::STANDARD.encode(self.ca_pem());
            // Writing to a text cannot fail.
            let _ = writeln!(cluster, "    certificate-authority-data: {data}");
        }
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: kube-sim\n  cluster:\n{cluster}users:\n- name: admin\n  user:\n    \
             token: {}\ncontexts:\n- name: kube-sim\n  context:\n    cluster: kube-sim\n    user: admin\ncurrent-context: kube-sim\n",
            self.admin_token()
        )
    }

    /// Creates an object in the namespace of its metadata, `default` when it names none.
    pub fn create(&self, object: Value) -> Result<Value, Status> {
        self.0.create(object, "kube-sim").map(Arc::unwrap_or_clone)
    }

    /// Replaces an object through its main path; without a resourceVersion the last write wins where the kind allows it.
    pub fn update(&self, object: Value) -> Result<Value, Status> {
        self.replace(object, "")
    }

    /// Replaces the status of an object.
    pub fn update_status(&self, object: Value) -> Result<Value, Status> {
        self.replace(object, "status")
    }

    /// Creates the object, or replaces it and its status when it is there: what a test wants to be true.
    pub fn apply(&self, object: Value) -> Result<Value, Status> {
        match self.create(object.clone()) {
            Err(status) if status.reason() == "AlreadyExists" => {
                let mut replaced = object;
                meta::set(&mut replaced, "resourceVersion", None);
                let after = self.update(replaced.clone())?;
                if replaced.get("status").is_none() {
                    return Ok(after);
                }
                replaced["metadata"] = after["metadata"].clone();
                match self.update_status(replaced) {
                    Err(status) if status.code() == 404 => Ok(after),
                    other => other,
                }
            }
            other => other,
        }
    }

    fn replace(&self, object: Value, subresource: &str) -> Result<Value, Status> {
        let mut state = self.0.state();
        let (resource, namespace, object) = prepare(&state, object)?;
        if !subresource.is_empty() && resource.subresource(subresource).is_none() {
            return Err(Status::no_such_resource());
        }
        let name = meta::name(&object).to_owned();
        let target = Target {
            resource: &resource,
            namespace: &namespace,
            name: &name,
        };
        let mut write = self.0.write("kube-sim");
        subresource.clone_into(&mut write.subresource);
        state
            .update(target, &write, |_, _| Ok(object))
            .map(|(object, _)| Arc::unwrap_or_clone(object))
    }

    /// Deletes an object as a DELETE without options does; finalizers hold it back.
    pub fn delete(&self, resource: &str, namespace: Option<&str>, name: &str) -> Result<Value, Status> {
        let mut state = self.0.state();
        let found = state
            .registry
            .by_name(resource)
            .cloned()
            .ok_or_else(Status::no_such_resource)?;
        let target = Target {
            resource: &found,
            namespace: namespace.unwrap_or_default(),
            name,
        };
        let write = self.0.write("kube-sim");
        match state.delete(target, &DeleteOptions::default(), &write)? {
            Deleted::Object(object) | Deleted::Gone(object) => Ok(Arc::unwrap_or_clone(object)),
        }
    }

    /// One object, to be changed and written back. `resource` is a plural, with its group unless that is the core group:
    /// `leases.coordination.k8s.io`.
    pub fn get(&self, resource: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
        self.peek(resource, namespace, name).map(Arc::unwrap_or_clone)
    }

    /// One object, to be looked at: nothing is copied, so that it can be done often while the server is measured.
    pub fn peek(&self, resource: &str, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        let state = self.0.state();
        let resource = state.registry.by_name(resource)?;
        let found = state.store.get(&resource.storage, namespace.unwrap_or_default(), name);
        found.cloned()
    }

    /// All objects of a resource in all namespaces, by namespace and name. Nothing for a resource that is not there.
    pub fn list(&self, resource: &str) -> Vec<Value> {
        let state = self.0.state();
        let Some(resource) = state.registry.by_name(resource) else {
            return Vec::new();
        };
        state
            .store
            .list(&resource.storage, "")
            .into_iter()
            .map(|(_, object)| Arc::unwrap_or_clone(object))
            .collect()
    }

    /// The requests so far, oldest first; the log keeps the last ten thousand.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.0.faults().requests()
    }

    /// Forgets the requests so far; the numbers go on.
    pub fn clear_requests(&self) {
        self.0.faults().clear_log();
    }

    /// What tests can do to the server.
    pub fn faults(&self) -> Faults<'_> {
        Faults::new(&self.0)
    }

    /// The revision of the newest write.
    pub fn revision(&self) -> u64 {
        self.0.state().store.revision()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn an_upgraded_server_tells_its_new_version() {
        let sim = KubeSim::builder().version("v1.32.9").build();
        let told = async || {
            let request = axum::http::Request::get("/version")
                .header("authorization", format!("Bearer {}", sim.admin_token()))
                .body(Body::empty())
                .unwrap();
            let response = sim.router().oneshot(request).await.unwrap();
            let body = axum::body::to_bytes(response.into_body(), 65_536).await.unwrap();
            let answer: Value = serde_json::from_slice(&body).unwrap();
            (answer["minor"].clone(), answer["gitVersion"].clone())
        };
        assert_eq!(told().await, ("32".into(), "v1.32.9".into()));
        sim.set_version("v1.33.0");
        assert_eq!(told().await, ("33".into(), "v1.33.0".into()));
    }
}
