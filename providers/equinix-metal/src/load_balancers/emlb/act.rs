//! Changing load balancers, one step at a time.

use cloud_provider::CloudError;
use kube_kit::Fence;

use super::plan::{Action, Backend, NewPool};
use crate::client::emlb::{EmlbClient, NewOrigin};

/// The only way in which load balancers are changed: the lease is looked at before every single request.
pub(super) struct Writer<'a> {
    client: &'a EmlbClient,
    fence: &'a Fence,
}

impl<'a> Writer<'a> {
    /// Writes while the fence is open.
    pub fn new(client: &'a EmlbClient, fence: &'a Fence) -> Self {
        Self { client, fence }
    }

    fn client(&self) -> Result<&EmlbClient, CloudError> {
        self.fence.check()?;
        Ok(self.client)
    }

    /// Makes a load balancer; gives its ID.
    pub async fn create(&self, name: &str, location: &str, provider: &str) -> Result<String, CloudError> {
        Ok(self.client()?.create_load_balancer(name, location, provider).await?)
    }

    /// Deletes a load balancer.
    pub async fn delete(&self, id: &str) -> Result<(), CloudError> {
        Ok(self.client()?.delete_load_balancer(id).await?)
    }

    /// Takes one step of what was planned for a load balancer.
    pub async fn act(&self, balancer: &str, action: Action) -> Result<(), CloudError> {
        match action {
            Action::Open {
                number,
                name,
                pools,
                create,
            } => {
                let pools = self.pools(pools, create).await?;
                let pools: Vec<&str> = pools.iter().map(String::as_str).collect();
                self.client()?.create_port(balancer, &name, number, &pools).await?;
            }
            Action::Attach { port, pools, create } => {
                let pools = self.pools(pools, create).await?;
                let pools: Vec<&str> = pools.iter().map(String::as_str).collect();
                self.client()?.change_port_pools(&port, &pools, &[]).await?;
            }
            Action::Fill {
                pool,
                name,
                next,
                backends,
            } => self.fill(&pool, &name, next, backends).await?,
            Action::DeleteOrigin(id) => self.client()?.delete_origin(&id).await?,
            Action::DeletePool(id) => self.client()?.delete_pool(&id).await?,
            Action::DeletePort(id) => self.client()?.delete_port(&id).await?,
        }
        Ok(())
    }

    /// The pools that are there, and those that are made.
    async fn pools(&self, there: Vec<String>, create: Vec<NewPool>) -> Result<Vec<String>, CloudError> {
        let mut ids = there;
        for wanted in create {
            let id = self.client()?.create_pool(&wanted.name, wanted.protocol).await?;
            self.fill(&id, &wanted.name, 0, wanted.backends).await?;
            ids.push(id);
        }
        Ok(ids)
    }

    async fn fill(&self, pool: &str, name: &str, next: usize, backends: Vec<Backend>) -> Result<(), CloudError> {
        for (backend, index) in backends.into_iter().zip(next..) {
            let origin = NewOrigin {
                name: format!("{name}-origin-{index}"),
                target: backend.target,
                port_number: backend.port,
            };
            self.client()?.create_origin(pool, &origin).await?;
        }
        Ok(())
    }
}
