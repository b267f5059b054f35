use proptest::prelude::*;

use super::*;

fn backend(target: &str, port: u16) -> Backend {
    Backend {
        target: target.to_owned(),
        port,
    }
}

fn listener(number: u16, protocol: &'static str, targets: &[&str]) -> Listener {
    Listener {
        number,
        protocol,
        backends: targets.iter().map(|target| backend(target, 30000 + number)).collect(),
    }
}

/// A load balancer in memory: what is planned is done.
#[derive(Clone, Default)]
struct World {
    observed: Observed,
    made: usize,
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        world.observed.name = "lb".to_owned();
        world
    }

    fn id(&mut self) -> String {
        self.made += 1;
        format!("id{:03}", self.made)
    }

    fn fill(&mut self, pool: &str, name: &str, next: usize, backends: Vec<Backend>) {
        for (backend, index) in backends.into_iter().zip(next..) {
            let origin = Origin {
                id: self.id(),
                name: format!("{name}-origin-{index}"),
                target: backend.target,
                port_number: backend.port,
                active: true,
            };
            let seen = self.observed.pools.iter_mut().find(|one| one.pool.id == pool).unwrap();
            assert!(
                seen.origins.iter().all(|one| one.name != origin.name),
                "{} twice",
                origin.name
            );
            seen.origins.push(origin);
        }
    }

    fn create(&mut self, pools: Vec<NewPool>) -> Vec<Pool> {
        let mut made = Vec::new();
        for wanted in pools {
            let pool = Pool {
                id: self.id(),
                name: wanted.name.clone(),
                protocol: wanted.protocol.to_owned(),
            };
            self.observed.pools.push(SeenPool {
                pool: pool.clone(),
                origins: Vec::new(),
            });
            self.fill(&pool.id, &wanted.name, 0, wanted.backends);
            made.push(pool);
        }
        made
    }

    fn known(&self, ids: &[String]) -> Vec<Pool> {
        let all = self.observed.pools.iter().map(|one| one.pool.clone());
        all.filter(|pool| ids.contains(&pool.id)).collect()
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Open {
                number,
                name,
                pools,
                create,
            } => {
                let mut all = self.known(&pools);
                all.extend(self.create(create));
                let port = Port {
                    id: self.id(),
                    name,
                    number,
                    pool_ids: all.iter().map(|pool| pool.id.clone()).collect(),
                };
                self.observed.ports.push(port);
                self.observed.attached.push(all);
            }
            Action::Attach { port, pools, create } => {
                let mut all = self.known(&pools);
                all.extend(self.create(create));
                let at = self.observed.ports.iter().position(|one| one.id == port).unwrap();
                self.observed.attached[at].extend(all);
            }
            Action::Fill {
                pool,
                name,
                next,
                backends,
            } => self.fill(&pool, &name, next, backends),
            Action::DeleteOrigin(id) => {
                for pool in &mut self.observed.pools {
                    pool.origins.retain(|one| one.id != id);
                }
            }
            Action::DeletePool(id) => {
                self.observed.pools.retain(|one| one.pool.id != id);
                for slot in &mut self.observed.attached {
                    slot.retain(|pool| pool.id != id);
                }
                for port in &mut self.observed.ports {
                    port.pool_ids.retain(|pool| *pool != id);
                }
            }
            Action::DeletePort(id) => {
                let at = self.observed.ports.iter().position(|one| one.id == id).unwrap();
                self.observed.ports.remove(at);
                self.observed.attached.remove(at);
            }
        }
    }

    fn ensure(&mut self, wanted: &[Listener]) -> usize {
        let actions = plan(&self.observed, wanted, true);
        let count = actions.len();
        for action in actions {
            self.apply(action);
        }
        count
    }

    /// Number, protocol, target and port of all traffic.
    fn traffic(&self) -> BTreeSet<(u16, String, String, u16)> {
        let mut traffic = BTreeSet::new();
        for (port, pools) in self.observed.ports.iter().zip(&self.observed.attached) {
            for pool in pools {
                let seen = self.observed.pools.iter().find(|one| one.pool.id == pool.id).unwrap();
                for origin in &seen.origins {
                    let end = (origin.target.clone(), origin.port_number);
                    traffic.insert((port.number, pool.protocol.clone(), end.0, end.1));
                }
            }
        }
        traffic
    }
}

fn traffic_of(wanted: &[Listener]) -> BTreeSet<(u16, String, String, u16)> {
    let all = wanted.iter().flat_map(|one| {
        one.backends
            .iter()
            .map(|end| (one.number, one.protocol.to_owned(), end.target.clone(), end.port))
    });
    all.collect()
}

#[test]
fn names_are_those_of_the_original_and_udp_has_its_own() {
    let mut world = World::new();
    world.ensure(&[listener(53, "tcp", &["192.0.2.1"]), listener(53, "udp", &["192.0.2.1"])]);
    assert_eq!(world.observed.ports[0].name, "lb-port-53");
    let pools: Vec<(&str, &str)> = world
        .observed
        .pools
        .iter()
        .map(|one| (one.pool.name.as_str(), one.pool.protocol.as_str()))
        .collect();
    assert_eq!(pools, [("lb-pool-53", "tcp"), ("lb-pool-53-udp", "udp")]);
    assert_eq!(world.observed.pools[0].origins[0].name, "lb-pool-53-origin-0");
    assert_eq!(world.observed.ports.len(), 1, "one port for both");
}

#[test]
fn only_what_differs_is_changed() {
    let mut world = World::new();
    let before = [listener(80, "tcp", &["192.0.2.1", "192.0.2.2"])];
    world.ensure(&before);
    assert!(plan(&world.observed, &before, true).is_empty());
    let kept = world.observed.pools[0].origins[0].id.clone();
    let actions = plan(
        &world.observed,
        &[listener(80, "tcp", &["192.0.2.1", "192.0.2.3"])],
        true,
    );
    assert_eq!(actions.len(), 2, "{actions:?}");
    for action in actions {
        world.apply(action);
    }
    assert_eq!(world.observed.pools[0].origins[0].id, kept);
}

#[test]
fn what_a_lost_answer_left_is_used_and_what_is_too_much_goes() {
    let mut world = World::new();
    let left = NewPool {
        name: "lb-pool-80".to_owned(),
        protocol: "tcp",
        backends: Vec::new(),
    };
    world.create(vec![left.clone(), left]);
    let wanted = [listener(80, "tcp", &["192.0.2.1"])];
    world.ensure(&wanted);
    assert_eq!(world.observed.pools.len(), 1);
    assert_eq!(world.traffic(), traffic_of(&wanted));
}

#[test]
fn a_load_balancer_of_somebody_else_keeps_his_ports() {
    let mut world = World::new();
    world.observed.ports.push(Port {
        id: "his".to_owned(),
        name: "his".to_owned(),
        number: 22,
        pool_ids: vec!["his-pool".to_owned()],
    });
    world.observed.attached.push(vec![Pool {
        id: "his-pool".to_owned(),
        ..Pool::default()
    }]);
    for action in plan(&world.observed, &[listener(443, "tcp", &["192.0.2.1"])], false) {
        world.apply(action);
    }
    assert_eq!(world.observed.ports.len(), 2);
    let actions = leave(&world.observed, &[443, 22].into());
    assert_eq!(actions.len(), 2, "our pool and our port: {actions:?}");
    for action in actions {
        world.apply(action);
    }
    assert_eq!(world.observed.ports[0].id, "his");
    assert_eq!(world.observed.attached[0].len(), 1);
}

#[test]
fn parallel_lists_that_do_not_match_are_no_disaster() {
    let mut world = World::new();
    world.ensure(&[listener(80, "tcp", &["192.0.2.1"])]);
    world.observed.attached.clear();
    assert!(plan(&world.observed, &[listener(80, "tcp", &["192.0.2.1"])], true).is_empty());
}

fn any_wanted() -> impl Strategy<Value = Vec<Listener>> {
    let targets = prop::sample::subsequence(vec!["192.0.2.1", "192.0.2.2", "192.0.2.3"], 0..=3);
    let one = (prop::sample::select(vec![80_u16, 443, 53]), prop::bool::ANY, targets);
    prop::collection::vec(one, 0..4).prop_map(|list| {
        let mut seen = BTreeSet::new();
        list.into_iter()
            .map(|(number, udp, targets)| listener(number, if udp { "udp" } else { "tcp" }, &targets))
            .filter(|one| seen.insert((one.number, one.protocol)))
            .collect()
    })
}

proptest! {
    #[test]
    fn traffic_becomes_what_is_wanted_wherever_it_was_cut_off(
        first in any_wanted(), second in any_wanted(), cut in 0..12_usize,
    ) {
        let mut world = World::new();
        world.ensure(&first);
        prop_assert_eq!(world.traffic(), traffic_of(&first));
        for action in plan(&world.observed, &second, true).into_iter().take(cut) {
            world.apply(action);
        }
        world.ensure(&second);
        prop_assert_eq!(world.traffic(), traffic_of(&second));
        prop_assert_eq!(world.ensure(&second), 0);
        let pools: usize = world.observed.attached.iter().map(Vec::len).sum();
        prop_assert_eq!(pools, world.observed.pools.len(), "no pool without a port");
    }
}
