//! Objects for tests, written as sentences.
//!
//! ```
//! use kube_sim::{KubeSim, build};
//! let sim = KubeSim::builder().build();
//! sim.create(build::node("a").ready().address("InternalIP", "10.0.0.1").label("zone", "x").into()).unwrap();
//! sim.create(build::service("web").kind("LoadBalancer").port(80, "TCP").into()).unwrap();
//! sim.create(build::lease("leader").held_by("me", 15).into()).unwrap();
//! assert_eq!(sim.get("nodes", None, "a").unwrap()["status"]["addresses"][0]["address"], "10.0.0.1");
//! ```

use serde_json::{Value, json};

/// An object that is being described. It becomes JSON with `into()`.
#[derive(Clone, Debug)]
#[must_use = "a description does nothing until it is created"]
pub struct Object(Value);

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        object.0
    }
}

/// A node without conditions.
pub fn node(name: &str) -> Object {
    Object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}, "status": {}}))
}

/// A ClusterIP service without ports in namespace `default`.
pub fn service(name: &str) -> Object {
    Object(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "default"}, "spec": {"type": "ClusterIP"},
    }))
}

/// A lease that nobody holds in namespace `kube-system`.
pub fn lease(name: &str) -> Object {
    Object(json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-system"}, "spec": {},
    }))
}

impl Object {
    /// Sets any member, named by a JSON pointer without escapes such as `/spec/unschedulable`; parents are made.
    pub fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.0;
        for member in pointer.split('/').skip(1) {
            place = &mut place[member];
        }
        *place = value.into();
        self
    }

    fn push(mut self, section: &str, list: &str, item: Value) -> Self {
        match &mut self.0[section][list] {
            Value::Array(items) => items.push(item),
            missing => *missing = json!([item]),
        }
        self
    }

    /// Puts it into another namespace.
    pub fn namespace(self, namespace: &str) -> Self {
        self.with("/metadata/namespace", namespace)
    }

    /// Adds a label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][name] = json!(value);
        self
    }

    /// Adds an annotation.
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][name] = json!(value);
        self
    }

    /// Adds a finalizer.
    pub fn finalizer(self, name: &str) -> Self {
        self.push("metadata", "finalizers", json!(name))
    }

    /// A node: adds a condition.
    pub fn condition(self, kind: &str, status: &str) -> Self {
        self.push("status", "conditions", json!({"type": kind, "status": status}))
    }

    /// A node: is ready.
    pub fn ready(self) -> Self {
        self.condition("Ready", "True")
    }

    /// A node: is not ready.
    pub fn not_ready(self) -> Self {
        self.condition("Ready", "False")
    }

    /// A node: adds a taint.
    pub fn tainted(self, key: &str, effect: &str) -> Self {
        self.push("spec", "taints", json!({"key": key, "effect": effect}))
    }

    /// A node: adds an address.
    pub fn address(self, kind: &str, address: &str) -> Self {
        self.push("status", "addresses", json!({"type": kind, "address": address}))
    }

    /// A node: sets the provider ID.
    pub fn provider_id(self, id: &str) -> Self {
        self.with("/spec/providerID", id)
    }

    /// A service: sets the type.
    pub fn kind(self, kind: &str) -> Self {
        self.with("/spec/type", kind)
    }

    /// A service: adds a port, named after its number.
    pub fn port(self, port: u16, protocol: &str) -> Self {
        let name = format!("{}-{port}", protocol.to_lowercase());
        self.push(
            "spec",
            "ports",
            json!({"name": name, "port": port, "protocol": protocol}),
        )
    }

    /// A lease: is held by `identity` for so many seconds.
    pub fn held_by(self, identity: &str, seconds: u32) -> Self {
        self.with("/spec/holderIdentity", identity)
            .with("/spec/leaseDurationSeconds", seconds)
    }
}
