//! What a load balancer needs, decided from what it has.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::emlb::{Origin, Pool, Port};

/// Between the name of a load balancer and the number of the port that a pool is for.
pub(super) const POOL: &str = "-pool-";

/// The beginning of the names of a load balancer's pools.
pub(super) fn pool_prefix(balancer: &str) -> String {
    format!("{balancer}{POOL}")
}

/// The name of a pool. Those for TCP are named as the Go program names all of them.
fn pool_name(balancer: &str, number: u16, protocol: &str) -> String {
    let more = if protocol == "tcp" { "" } else { "-udp" };
    format!("{balancer}{POOL}{number}{more}")
}

fn port_name(balancer: &str, number: u16) -> String {
    format!("{balancer}-port-{number}")
}

/// One end of traffic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Backend {
    /// An address of a node.
    pub target: String,
    /// The port there.
    pub port: u16,
}

/// A port that is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    /// Its number. Two listeners with one number differ in protocol.
    pub number: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Where its traffic goes.
    pub backends: Vec<Backend>,
}

/// A pool, with its origins.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenPool {
    /// The pool.
    pub pool: Pool,
    /// Its origins.
    pub origins: Vec<Origin>,
}

/// A load balancer as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// Its name.
    pub name: String,
    /// Its ports.
    pub ports: Vec<Port>,
    /// The pools of each port, in the same order.
    pub attached: Vec<Vec<Pool>>,
    /// All pools that bear its name, whether a port has them or not, in an order that does not change.
    pub pools: Vec<SeenPool>,
}

/// A pool that is to be made, and filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewPool {
    /// Its name.
    pub name: String,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Its origins.
    pub backends: Vec<Backend>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Makes pools, and a port that has them and those that were there.
    Open {
        /// The port's number.
        number: u16,
        /// The port's name.
        name: String,
        /// Pools that are there.
        pools: Vec<String>,
        /// Pools that are not.
        create: Vec<NewPool>,
    },
    /// Gives a port further pools.
    Attach {
        /// The port.
        port: String,
        /// Pools that are there.
        pools: Vec<String>,
        /// Pools that are not.
        create: Vec<NewPool>,
    },
    /// Adds origins to a pool.
    Fill {
        /// The pool.
        pool: String,
        /// Its name.
        name: String,
        /// The number of the first.
        next: usize,
        /// What to add.
        backends: Vec<Backend>,
    },
    /// Removes an origin.
    DeleteOrigin(String),
    /// Removes a pool and its origins.
    DeletePool(String),
    /// Removes a port.
    DeletePort(String),
}

impl Observed {
    /// The pools of a port, by both accounts.
    fn attached<'a>(&'a self, port: &'a Port) -> BTreeSet<&'a str> {
        let at = self.ports.iter().position(|one| one.id == port.id);
        let listed = at.and_then(|at| self.attached.get(at)).into_iter().flatten();
        listed
            .map(|pool| pool.id.as_str())
            .chain(port.pool_ids.iter().map(String::as_str))
            .collect()
    }

    /// Whether a port is one that we made.
    fn is_ours(&self, port: &Port) -> bool {
        port.name == port_name(&self.name, port.number)
    }
}

/// The steps, in order: what traffic needs is made before anything goes. `own` says that the whole load balancer is ours,
/// so that ports which nobody wants go, whoever made them.
pub(super) fn plan(observed: &Observed, wanted: &[Listener], own: bool) -> Vec<Action> {
    let (mut make, mut remove) = (Vec::new(), Vec::new());
    let mut by_number: BTreeMap<u16, Vec<&Listener>> = BTreeMap::new();
    for listener in wanted {
        by_number.entry(listener.number).or_default().push(listener);
    }
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (number, listeners) in &by_number {
        let port = observed.ports.iter().find(|port| port.number == *number);
        let attached = port.map(|port| observed.attached(port)).unwrap_or_default();
        let (mut pools, mut create, mut keep) = (Vec::new(), Vec::new(), BTreeSet::new());
        for listener in listeners {
            let name = pool_name(&observed.name, *number, listener.protocol);
            let same = |one: &&SeenPool| one.pool.name == name;
            // The one that has traffic already, else any that an earlier try left.
            let found = observed
                .pools
                .iter()
                .filter(same)
                .find(|one| attached.contains(one.pool.id.as_str()));
            let Some(found) = found.or_else(|| observed.pools.iter().find(same)) else {
                create.push(NewPool {
                    name,
                    protocol: listener.protocol,
                    backends: listener.backends.clone(),
                });
                continue;
            };
            used.insert(&found.pool.id);
            keep.insert(found.pool.id.as_str());
            let (add, delete) = difference(&found.origins, &listener.backends);
            if !add.is_empty() {
                make.push(Action::Fill {
                    pool: found.pool.id.clone(),
                    name,
                    next: next_index(&found.origins),
                    backends: add,
                });
            }
            remove.extend(delete.into_iter().map(Action::DeleteOrigin));
            if !attached.contains(found.pool.id.as_str()) {
                pools.push(found.pool.id.clone());
            }
        }
        match port {
            None => make.push(Action::Open {
                number: *number,
                name: port_name(&observed.name, *number),
                pools,
                create,
            }),
            Some(port) if !pools.is_empty() || !create.is_empty() => make.push(Action::Attach {
                port: port.id.clone(),
                pools,
                create,
            }),
            Some(_) => {}
        }
    }
    let listed = |port: &&Port| !by_number.contains_key(&port.number) && (own || observed.is_ours(port));
    let mut pools: BTreeSet<&str> = BTreeSet::new();
    let mut ports = Vec::new();
    for port in observed.ports.iter().filter(listed) {
        // Pools first: without its port nobody would know of them any more.
        pools.extend(observed.attached(port));
        ports.push(Action::DeletePort(port.id.clone()));
    }
    if own {
        // Made by a try whose answer was lost, or of a port that is gone already.
        pools.extend(observed.pools.iter().map(|one| one.pool.id.as_str()));
    }
    let unused = pools.into_iter().filter(|id| !used.contains(id));
    remove.extend(unused.map(|id| Action::DeletePool(id.to_owned())));
    make.into_iter().chain(remove).chain(ports).collect()
}

/// What to take away from a load balancer that is not ours, when a Service with these ports goes.
pub(super) fn leave(observed: &Observed, numbers: &BTreeSet<u16>) -> Vec<Action> {
    let names: BTreeSet<String> = numbers
        .iter()
        .flat_map(|number| ["tcp", "udp"].map(|protocol| pool_name(&observed.name, *number, protocol)))
        .collect();
    let pools = observed.pools.iter().filter(|one| names.contains(&one.pool.name));
    let pools = pools.map(|one| Action::DeletePool(one.pool.id.clone()));
    let ports = observed
        .ports
        .iter()
        .filter(|port| numbers.contains(&port.number) && observed.is_ours(port));
    pools
        .chain(ports.map(|port| Action::DeletePort(port.id.clone())))
        .collect()
}

/// The backends without an origin, and the origins without a backend.
fn difference(origins: &[Origin], wanted: &[Backend]) -> (Vec<Backend>, Vec<String>) {
    let mut met = BTreeSet::new();
    let mut delete = Vec::new();
    for origin in origins {
        let backend = Backend {
            target: origin.target.clone(),
            port: origin.port_number,
        };
        if !wanted.contains(&backend) || !met.insert(backend) {
            delete.push(origin.id.clone());
        }
    }
    let add = wanted
        .iter()
        .filter(|backend| !met.contains(backend))
        .cloned()
        .collect();
    (add, delete)
}

/// The number behind the highest that an origin's name ends in.
fn next_index(origins: &[Origin]) -> usize {
    let numbers = origins
        .iter()
        .filter_map(|one| one.name.rsplit('-').next()?.parse::<usize>().ok());
    numbers.max().map_or(0, |highest| highest.saturating_add(1))
}

#[cfg(test)]
mod tests;
