//! Routes in memory.

use async_trait::async_trait;
use kit::Class;

use super::{MemoryCloud, Op};
use crate::cloud::Routes;
use crate::data::Route;
use crate::error::CloudError;

impl MemoryCloud {
    /// All routes, by name.
    pub fn route_table(&self) -> Vec<Route> {
        self.lock().routes.values().cloned().collect()
    }

    /// Adds a route behind everybody's back.
    pub fn add_route(&self, route: Route) {
        self.lock().routes.insert(route.name.clone(), route);
    }

    /// From now on, routes that are made keep their node's addresses.
    pub fn keep_route_addresses(&self) {
        self.lock().keeps_route_addresses = true;
    }
}

#[async_trait]
impl Routes for MemoryCloud {
    async fn list(&self, cluster: &str) -> Result<Vec<Route>, CloudError> {
        self.request(Op::ListRoutes, cluster, |state| {
            Ok(state.routes.values().cloned().collect())
        })
        .await
    }

    async fn create(&self, cluster: &str, _hint: &str, route: &Route) -> Result<(), CloudError> {
        let name = format!("{cluster}-{}-{}", route.target_node, route.destination);
        self.request(Op::CreateRoute, &name, |state| {
            if state.routes.contains_key(&name) {
                return Err(CloudError::new(
                    Class::Conflict,
                    format!("route {name:?} already exists"),
                ));
            }
            let target_addresses = route.target_addresses.clone().filter(|_| state.keeps_route_addresses);
            state.routes.insert(
                name.clone(),
                Route {
                    name: name.clone(),
                    target_addresses,
                    ..route.clone()
                },
            );
            Ok(())
        })
        .await
    }

    async fn delete(&self, _cluster: &str, route: &Route) -> Result<(), CloudError> {
        self.request(Op::DeleteRoute, &route.name, |state| {
            state.routes.remove(&route.name);
            Ok(())
        })
        .await
    }
}
