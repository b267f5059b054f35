//! A cloud in memory whose behaviour can be scripted: for tests, and as the worked example of a [`Cloud`].
//!
//! It answers as an HTTP API would: lists come in pages of 1000, an instance that no list shows is asked for by its ID,
//! load balancers are made in steps, and each of these is a request that is counted and can fail, be slow, or lose its
//! reply.
//!
//! ```
//! use cloud_provider::memory::{Instance, MemoryCloud, Op};
//! let cloud = MemoryCloud::new("fake");
//! cloud.add(Instance::new("12345", "node-1").internal("10.0.0.1"));
//! cloud.script().fail(Op::ListInstances, 3, kit::Class::Unauthorized);
//! assert_eq!(cloud.script().count(Op::ListInstances), 0);
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kit::Class;

use crate::cloud::{Cloud, Context, Instances, LoadBalancers, Routes};
use crate::data::Route;
use crate::error::CloudError;

mod balancers;
mod instances;
mod routes;
mod script;

pub use balancers::MemoryBalancer;
pub use instances::{Instance, Lie};
pub use script::{Call, Op, Reply, Script};

/// A cloud in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryCloud(Arc<Inner>);

struct Inner {
    name: String,
    state: Mutex<State>,
    script: Script,
}

/// What the cloud holds.
#[derive(Debug, Default)]
struct State {
    instances: BTreeMap<String, Instance>,
    lie: Option<Lie>,
    balancers: BTreeMap<String, MemoryBalancer>,
    /// Addresses that were reserved for a load balancer, by its name: what leaks when nobody cleans up.
    addresses: BTreeMap<String, String>,
    routes: BTreeMap<String, Route>,
    keeps_route_addresses: bool,
    offers: Offers,
}

/// What the cloud offers.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct Offers {
    pub instances: bool,
    pub load_balancers: bool,
    pub routes: bool,
}

impl Default for Offers {
    fn default() -> Self {
        Self {
            instances: true,
            load_balancers: true,
            routes: true,
        }
    }
}

impl MemoryCloud {
    /// An empty cloud that offers everything.
    pub fn new(name: &str) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            state: Mutex::default(),
            script: Script::default(),
        }))
    }

    /// The cloud, offering only this.
    #[must_use]
    pub fn offering(self, offers: Offers) -> Self {
        self.lock().offers = offers;
        self
    }

    /// What it does and what it was asked.
    pub fn script(&self) -> &Script {
        &self.0.script
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request: recorded, delayed, failed or lost as the script says, and otherwise carried out.
    async fn request<T>(
        &self,
        op: Op,
        subject: &str,
        act: impl FnOnce(&mut State) -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        let broken = |what: &str| CloudError::new(Class::Transient, format!("{op:?} {subject}: {what}"));
        match self.0.script.meet(op, subject).await? {
            Reply::Answered => act(&mut self.lock()),
            Reply::NotSent => Err(broken("connection refused")),
            Reply::Lost => {
                let _ = act(&mut self.lock());
                Err(broken("connection reset"))
            }
        }
    }
}

#[async_trait]
impl Cloud for MemoryCloud {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn initialize(&self, _context: &Context) -> Result<(), CloudError> {
        self.request(Op::Initialize, "", |_| Ok(())).await
    }

    fn instances(&self) -> Option<&dyn Instances> {
        self.lock().offers.instances.then_some(self as &dyn Instances)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        self.lock().offers.load_balancers.then_some(self as &dyn LoadBalancers)
    }

    fn routes(&self) -> Option<&dyn Routes> {
        self.lock().offers.routes.then_some(self as &dyn Routes)
    }
}

#[cfg(test)]
mod tests;
