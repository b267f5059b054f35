//! Checking what is wanted against what Rackspace sells, before anything is bought.

use std::collections::BTreeMap;

use kontainer_engine::DriverError;

use super::bid::{Bid, BidError, Rounding};
use super::observe::Observed;
use super::plan::Kind;
use super::prices::Prices;
use super::session::Session;
use super::state::State;
use super::versions::{self, Unlisted};
use crate::client::ServerClass;

/// How strictly to check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) rounding: Rounding,
    pub(super) unlisted: Unlisted,
    pub(super) high_bids: HighBids,
}

/// What to do with a bid that nobody can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HighBids {
    /// Refuse it.
    Refused,
    /// Let it pass.
    Allowed,
}

/// Checks everything that is about to be made or changed, and rounds bids where that was asked for. What is there and stays
/// as it is needs no check: an old bid may lie off a new ladder. All problems are told at once.
pub(super) async fn check(
    session: &Session,
    state: &mut State,
    observed: &Observed,
    rules: Rules,
) -> Result<(), DriverError> {
    let mut problems = Vec::new();
    if let Some(cloudspace) = &observed.cloudspace {
        problems.extend(fixed(state, observed));
        let running = &cloudspace.status.current_kubernetes_version;
        let from = if running.is_empty() {
            &cloudspace.spec.kubernetes_version
        } else {
            running
        };
        if !state.version.is_empty() && !versions::same(&state.version, &cloudspace.spec.kubernetes_version) {
            problems.extend(versions::check_upgrade(from, &state.version, rules.unlisted).err());
        }
    } else {
        problems.extend(versions::check_new(&state.version, rules.unlisted).err());
        problems.extend(region(session, &state.region).await?);
    }
    let region = observed
        .cloudspace
        .as_ref()
        .map_or_else(|| state.region.clone(), |cloudspace| cloudspace.spec.region.clone());
    problems.extend(pools(session, state, observed, &region, rules).await?);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(DriverError::invalid(problems.join("; ")))
    }
}

/// What cannot change once the cloudspace is there.
fn fixed(state: &State, observed: &Observed) -> Vec<String> {
    let Some(cloudspace) = &observed.cloudspace else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for (what, wanted, found) in [
        ("region", &state.region, &cloudspace.spec.region),
        ("cni", &state.cni, &cloudspace.spec.cni),
    ] {
        if !wanted.is_empty() && !found.is_empty() && wanted != found {
            problems.push(format!(
                "{what} of cloudspace {} is {found:?} and cannot become {wanted:?}",
                state.cloudspace
            ));
        }
    }
    problems
}

async fn region(session: &Session, wanted: &str) -> Result<Option<String>, DriverError> {
    let regions = session
        .client
        .regions()
        .await
        .map_err(|error| session.failed("read the list of regions", error))?;
    if regions.iter().any(|region| region.metadata.name == wanted) {
        return Ok(None);
    }
    let names = regions.into_iter().map(|region| region.metadata.name).collect();
    Ok(Some(format!(
        "region {wanted:?} does not exist; use one of {}",
        sorted(names)
    )))
}

async fn pools(
    session: &Session,
    state: &mut State,
    observed: &Observed,
    region: &str,
    rules: Rules,
) -> Result<Vec<String>, DriverError> {
    let changes = |index: usize, state: &State| {
        let pool = &state.pools[index];
        let live = observed.pool(&pool.name).filter(|live| !live.deleting);
        (
            live.is_none(),
            live.is_none_or(|live| live.bid != pool.bid) && pool.kind == Kind::Spot,
        )
    };
    if state
        .pools
        .iter()
        .enumerate()
        .all(|(index, _)| changes(index, state) == (false, false))
    {
        return Ok(Vec::new());
    }
    let classes: BTreeMap<String, ServerClass> = session
        .client
        .server_classes()
        .await
        .map_err(|error| session.failed("read the list of server classes", error))?
        .into_iter()
        .map(|class| (class.metadata.name.clone(), class))
        .collect();
    let mut problems = Vec::new();
    for index in 0..state.pools.len() {
        let (new, bids) = changes(index, state);
        let pool = &mut state.pools[index];
        let class = classes.get(&pool.class);
        if new {
            problems.extend(check_class(&pool.class, class, &classes, region));
        }
        if bids {
            let prices = class.map(Prices::of).unwrap_or_default();
            let bid = Bid::check(&pool.bid, &pool.class, prices.minimum, rules.rounding);
            match bid.and_then(|bid| sane(bid, &pool.class, &prices, rules.high_bids)) {
                Ok(bid) => {
                    pool.bid = bid.to_string();
                    warn_of_price(session, bid, &pool.class, &prices);
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
    }
    // Rounding may have made a bid what it is already: that is decided by the plan.
    Ok(problems)
}

/// A bid that somebody can mean.
fn sane(bid: Bid, class: &str, prices: &Prices, high_bids: HighBids) -> Result<Bid, BidError> {
    match prices.ceiling() {
        Some((most, why)) if bid > most && high_bids == HighBids::Refused => Err(BidError::TooHigh {
            bid,
            class: class.to_owned(),
            why,
        }),
        _ => Ok(bid),
    }
}

fn warn_of_price(session: &Session, bid: Bid, class: &str, prices: &Prices) {
    if let Some(price) = prices.on_demand.filter(|price| bid > *price) {
        session.call.warn(format!(
            "bid price {bid} is above the on-demand price {price} of server class {class}: an on-demand pool costs less and \
             is not taken away"
        ));
    }
}

fn check_class(
    name: &str,
    class: Option<&ServerClass>,
    classes: &BTreeMap<String, ServerClass>,
    region: &str,
) -> Option<String> {
    let allowed = || {
        let names = classes
            .values()
            .filter(|class| class.spec.region == region && class.is_available())
            .map(priced)
            .collect();
        sorted(names)
    };
    let problem = match class {
        None => format!("server class {name:?} does not exist"),
        Some(class) if class.spec.region != region => {
            format!(
                "server class {name:?} belongs to region {}, not to {region}",
                class.spec.region
            )
        }
        Some(class) if !class.is_available() => {
            format!(
                "server class {name:?} cannot be had now (it is {})",
                class.spec.availability
            )
        }
        Some(_) => return None,
    };
    Some(format!("{problem}; use one of {}", allowed()))
}

/// A class and what it costs.
fn priced(class: &ServerClass) -> String {
    let (name, prices) = (&class.metadata.name, Prices::of(class).to_string());
    if prices.is_empty() {
        name.clone()
    } else {
        format!("{name} ({prices})")
    }
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort_unstable();
    if names.is_empty() {
        "(none)".to_owned()
    } else {
        names.join(", ")
    }
}
