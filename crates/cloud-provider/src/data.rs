//! Plain data: what controllers and clouds tell each other. No client types, nothing that is not read.
//!
//! Nodes and Services are cut from the API server's objects; they are for reading, and what is changed in one goes nowhere.
//! A text that the object does not have is empty, a list that it does not have is empty, too, unless it says otherwise.

mod node;
mod object;
mod service;

pub use node::{Address, AddressType, Condition, Node, Ready, StringMap, Taint};
pub(crate) use object::Slim;
pub use service::{Ingress, PortStatus, Service, ServicePort};

/// Where a pod network is to be found.
///
/// One that is listed is right when node and destination are those of a node's pod network, letter by letter, it is no
/// blackhole, and it leads to the node's addresses where these are kept. One that is not right is removed if its
/// destination begins or ends in `--cluster-cidr`, else left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The cloud's name for it; empty in a route that is to be made.
    pub name: String,
    /// The name of the node that the network belongs to; empty when the cloud cannot tell, which no node has.
    pub target_node: String,
    /// The node's addresses, in any order. [`None`] in a listed route whose cloud does not keep them: then they are not
    /// compared. Always there in a route that is to be made.
    pub target_addresses: Option<Vec<Address>>,
    /// The pod network, as it stands in the node's `spec.podCIDRs`.
    pub destination: String,
    /// Whether it leads nowhere, because its instance is gone.
    pub blackhole: bool,
}
