//! The load balancer API (EMLB). Every request carries a token that the API key was exchanged for.

use std::fmt;

use cloud_http::{Client, path};
use cloud_provider::meter::Meter;
use http::Method;
use kit::lenient::{list, nullable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{MetalError, MetalResult, timed};

/// The load balancers of one project. Clones share everything.
#[derive(Clone)]
pub struct EmlbClient {
    api: Client,
    project: String,
    meter: Meter,
}

impl fmt::Debug for EmlbClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmlbClient({}, project {})", self.api.base(), self.project)
    }
}

/// A load balancer. `pools[i]` are the pools of `ports[i]`, so nothing may be left out of either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct LoadBalancer {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<Port>,
    #[serde(deserialize_with = "nullable")]
    pub pools: Vec<Vec<Pool>>,
    /// Where it is reached; empty while it is being made.
    #[serde(deserialize_with = "list")]
    pub ips: Vec<String>,
}

/// A port that a load balancer listens on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct Port {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub number: u16,
    #[serde(deserialize_with = "list")]
    pub pool_ids: Vec<String>,
}

/// Where the traffic of ports goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct Pool {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// `tcp` or `udp`; empty where only ID and name are told.
    #[serde(deserialize_with = "nullable")]
    pub protocol: String,
}

/// One end of a pool's traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct Origin {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// An IP address.
    #[serde(deserialize_with = "nullable")]
    pub target: String,
    #[serde(deserialize_with = "nullable")]
    pub port_number: u16,
    #[serde(deserialize_with = "nullable")]
    pub active: bool,
}

/// An origin to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct NewOrigin {
    pub name: String,
    pub target: String,
    pub port_number: u16,
}

#[derive(Deserialize)]
struct Created {
    #[serde(default, deserialize_with = "nullable")]
    id: String,
}

impl EmlbClient {
    pub(super) fn new(api: Client, project: String, meter: Meter) -> Self {
        Self { api, project, meter }
    }

    /// All load balancers of the project.
    pub async fn load_balancers(&self) -> MetalResult<Vec<LoadBalancer>> {
        let path = path(&["v1", "projects", &self.project, "loadbalancers"]);
        self.list("list load balancers", path, "loadbalancers").await
    }

    /// One load balancer.
    pub async fn load_balancer(&self, id: &str) -> MetalResult<LoadBalancer> {
        let path = path(&["v1", "loadbalancers", id]);
        self.get("read load balancer", path).await
    }

    /// Makes a load balancer without ports; gives its ID. Look for the name before trying again.
    pub async fn create_load_balancer(&self, name: &str, location: &str, provider: &str) -> MetalResult<String> {
        let path = path(&["v1", "projects", &self.project, "loadbalancers"]);
        let body = json!({ "name": name, "location_id": location, "provider_id": provider, "port_ids": null });
        self.create("create load balancer", path, &body).await
    }

    /// Deletes a load balancer and its ports; its pools stay. That it is gone already is success.
    pub async fn delete_load_balancer(&self, id: &str) -> MetalResult<()> {
        self.delete("delete load balancer", path(&["v1", "loadbalancers", id]))
            .await
    }

    /// All pools of the project.
    pub async fn pools(&self) -> MetalResult<Vec<Pool>> {
        let path = path(&["v1", "projects", &self.project, "loadbalancers", "pools"]);
        self.list("list pools", path, "pools").await
    }

    /// Makes a pool for `tcp` or `udp`; gives its ID.
    pub async fn create_pool(&self, name: &str, protocol: &str) -> MetalResult<String> {
        let path = path(&["v1", "projects", &self.project, "loadbalancers", "pools"]);
        let body = json!({ "name": name, "protocol": protocol });
        self.create("create pool", path, &body).await
    }

    /// Deletes a pool and its origins. That it is gone already is success.
    pub async fn delete_pool(&self, id: &str) -> MetalResult<()> {
        self.delete("delete pool", path(&["v1", "loadbalancers", "pools", id]))
            .await
    }

    /// The origins of a pool.
    pub async fn origins(&self, pool: &str) -> MetalResult<Vec<Origin>> {
        let path = path(&["v1", "loadbalancers", "pools", pool, "origins"]);
        self.list("list origins", path, "origins").await
    }

    /// Makes an origin, switched on; gives its ID.
    pub async fn create_origin(&self, pool: &str, origin: &NewOrigin) -> MetalResult<String> {
        let path = path(&["v1", "loadbalancers", "pools", pool, "origins"]);
        let body = json!({
            "name": origin.name, "target": origin.target, "port_number": origin.port_number, "active": true,
            "pool_id": pool,
        });
        self.create("create origin", path, &body).await
    }

    /// Deletes an origin. That it is gone already is success.
    pub async fn delete_origin(&self, id: &str) -> MetalResult<()> {
        self.delete("delete origin", path(&["v1", "loadbalancers", "pools", "origins", id]))
            .await
    }

    /// Makes a port whose traffic goes to these pools; gives its ID.
    pub async fn create_port(&self, balancer: &str, name: &str, number: u16, pools: &[&str]) -> MetalResult<String> {
        let path = path(&["v1", "loadbalancers", balancer, "ports"]);
        let body = json!({ "name": name, "number": number, "pool_ids": pools });
        self.create("create port", path, &body).await
    }

    /// Sends a port's traffic to further pools, or to some no more.
    pub async fn change_port_pools(&self, port: &str, add: &[&str], remove: &[&str]) -> MetalResult<()> {
        const OPERATION: &str = "change port";
        let call = self
            .api
            .call(OPERATION, Method::PATCH, path(&["v1", "loadbalancers", "ports", port]))
            .body(&json!({ "add_pool_ids": add, "remove_pool_ids": remove }))
            // Adding twice is once.
            .repeatable();
        timed(&self.meter, OPERATION, async { call.send().await.map(drop) }).await
    }

    /// Deletes a port. That it is gone already is success.
    pub async fn delete_port(&self, id: &str) -> MetalResult<()> {
        self.delete("delete port", path(&["v1", "loadbalancers", "ports", id]))
            .await
    }

    async fn get<T: DeserializeOwned + Send>(&self, operation: &'static str, path: String) -> MetalResult<T> {
        let call = self.api.call(operation, Method::GET, path);
        timed(&self.meter, operation, call.json()).await
    }

    async fn list<T: DeserializeOwned + Send>(
        &self,
        operation: &'static str,
        path: String,
        key: &'static str,
    ) -> MetalResult<Vec<T>> {
        let call = async {
            let unreadable = |text: String| cloud_http::Error::new(operation, kit::Class::Transient, text);
            let mut answer: Value = self.api.call(operation, Method::GET, path).json().await?;
            // An answer without its list is not an empty list.
            let items = answer.get_mut(key).map(Value::take);
            let items = items.ok_or_else(|| unreadable(format!("the answer has no {key}")))?;
            list(items).map_err(|error: serde_json::Error| {
                let text = self.api.secrets().tidy(&error.to_string());
                unreadable(format!("the answer cannot be understood: {text}"))
            })
        };
        timed(&self.meter, operation, call).await
    }

    async fn create(&self, operation: &'static str, path: String, body: &Value) -> MetalResult<String> {
        let call = self.api.call(operation, Method::POST, path).body(body);
        let created: Created = timed(&self.meter, operation, call.json()).await?;
        if created.id.is_empty() {
            let text = "the answer has no id";
            return Err(MetalError::from(cloud_http::Error::new(
                operation,
                kit::Class::Transient,
                text,
            )));
        }
        Ok(created.id)
    }

    async fn delete(&self, operation: &'static str, path: String) -> MetalResult<()> {
        let call = self.api.call(operation, Method::DELETE, path);
        let call = async {
            match call.send().await {
                Err(error) if !error.is_not_found() => Err(error),
                _ => Ok(()),
            }
        };
        timed(&self.meter, operation, call).await
    }
}
