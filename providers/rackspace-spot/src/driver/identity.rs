//! Which wanted pool is which pool that is there.

use std::collections::BTreeSet;

use super::names::pool_name;
use super::observe::{LivePool, Observed};
use super::state::{Pool, State};

/// More pools than any cloudspace has.
const MOST: usize = 10_000;

/// Gives every wanted pool its name. A pool that has one keeps it, unless the pool of that name is of another class, which
/// cannot change. The others are matched with pools of ours that are there, the most alike first, so that an edit that
/// names no pools finds them again; what is left gets a derived name.
///
/// Asked again after any crash on the way it gives the same names.
pub(super) fn assign(state: &mut State, observed: &Observed, namespace: &str) {
    let mut taken = BTreeSet::new();
    for pool in &mut state.pools {
        let other_class = observed
            .pool(&pool.name)
            .is_some_and(|live| live.class != pool.class || live.kind != pool.kind);
        let doubled = !pool.name.is_empty() && !taken.insert(pool.name.clone());
        if other_class || doubled {
            pool.name.clear();
        }
    }
    for alike in [same as fn(&LivePool, &Pool) -> bool, same_bid, same_class] {
        for pool in state.pools.iter_mut().filter(|pool| pool.name.is_empty()) {
            let found = observed.ours().find(|live| {
                !live.deleting && !taken.contains(&live.name) && same_class(live, pool) && alike(live, pool)
            });
            if let Some(live) = found {
                taken.insert(live.name.clone());
                pool.name.clone_from(&live.name);
            }
        }
    }
    for pool in state.pools.iter_mut().filter(|pool| pool.name.is_empty()) {
        let free = (0..=MOST)
            .map(|number| pool_name(namespace, &state.cloudspace, pool.kind.as_str(), &pool.class, number))
            .find(|name| !taken.contains(name) && observed.pool(name).is_none());
        pool.name = free.unwrap_or_default();
        taken.insert(pool.name.clone());
    }
}

fn same_class(live: &LivePool, pool: &Pool) -> bool {
    live.kind == pool.kind && live.class == pool.class
}

fn same_bid(live: &LivePool, pool: &Pool) -> bool {
    live.bid == pool.bid
}

fn same(live: &LivePool, pool: &Pool) -> bool {
    same_bid(live, pool) && live.count == pool.count && live.autoscales() == pool.autoscaling.enabled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::plan::Kind;

    fn live(name: &str, class: &str, bid: &str, count: i64) -> LivePool {
        LivePool {
            name: name.to_owned(),
            class: class.to_owned(),
            bid: bid.to_owned(),
            count,
            ours: true,
            ..LivePool::default()
        }
    }

    fn want(name: &str, class: &str, bid: &str, count: i64) -> Pool {
        Pool {
            kind: Kind::Spot,
            name: name.to_owned(),
            class: class.to_owned(),
            bid: bid.to_owned(),
            count,
            ..Pool::default()
        }
    }

    fn names(pools: Vec<Pool>, observed: Vec<LivePool>) -> Vec<String> {
        let mut state = State {
            cloudspace: "c".to_owned(),
            pools,
            ..State::default()
        };
        let observed = Observed {
            pools: observed,
            ..Observed::default()
        };
        assign(&mut state, &observed, "ns");
        state.pools.into_iter().map(|pool| pool.name).collect()
    }

    #[test]
    fn pools_without_a_name_are_found_again() {
        let there = vec![
            live("1", "x", "0.01", 3),
            live("2", "x", "0.10", 3),
            live("3", "y", "0.01", 1),
        ];
        let wanted = vec![want("", "y", "0.02", 2), want("", "x", "0.10", 5)];
        assert_eq!(names(wanted, there), ["3", "2"]);
    }

    #[test]
    fn another_class_means_another_pool() {
        let given = names(vec![want("1", "y", "0.01", 3)], vec![live("1", "x", "0.01", 3)]);
        assert_eq!(given, [pool_name("ns", "c", "spot", "y", 0)]);
    }

    #[test]
    fn pools_of_others_and_pools_on_their_way_out_are_not_taken() {
        let foreign = LivePool {
            ours: false,
            ..live("1", "x", "0.01", 3)
        };
        let going = LivePool {
            deleting: true,
            ..live(&pool_name("ns", "c", "spot", "x", 0), "x", "0.01", 3)
        };
        let given = names(vec![want("", "x", "0.01", 3)], vec![foreign, going]);
        assert_eq!(given, [pool_name("ns", "c", "spot", "x", 1)]);
    }

    #[test]
    fn names_given_twice_are_used_once() {
        let given = names(vec![want("1", "x", "", 1), want("1", "x", "", 1)], vec![]);
        assert_eq!(given, ["1".to_owned(), pool_name("ns", "c", "spot", "x", 0)]);
    }
}
