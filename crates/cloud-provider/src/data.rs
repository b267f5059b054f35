//! Plain data: what controllers and clouds tell each other. No client types, nothing that is not read.

mod node;
mod object;
mod service;

pub use node::{Address, AddressType, Condition, Node, Ready, Taint};
pub(crate) use object::Slim;
pub use service::{Ingress, PortStatus, Service, ServicePort};

/// Where a pod network is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The cloud's name for it; empty in a route that is to be made.
    pub name: String,
    /// The node that the network belongs to.
    pub target_node: String,
    /// The node's addresses. Nothing in a listed route whose cloud does not keep them: then they are not compared.
    pub target_addresses: Option<Vec<Address>>,
    /// The pod network.
    pub destination: String,
    /// Whether it leads nowhere, because its instance is gone.
    pub blackhole: bool,
}
