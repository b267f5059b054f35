//! From the options of a call to the state that is wanted.

mod echo;
pub(super) mod said;
#[cfg(test)]
mod tests;

use kontainer_engine::{DriverError, Options};

use super::bid::Rounding;
use super::catalog::{HighBids, Rules};
use super::names::as_uuid;
use super::options as o;
use super::plan::Kind;
use super::state::{NodesReady, Pool, State};
use super::{custom, versions};
use crate::client::Autoscaling;

pub(super) use echo::{Echo, without_echo};
pub(super) use said::Said;

/// What the user said, seen in a certain way.
pub(super) struct Given<'a> {
    options: &'a Options,
    what_counts: WhatCounts<'a>,
}

/// Which of the values that were given are wishes.
#[derive(Clone, Copy, Debug)]
pub(super) enum WhatCounts<'a> {
    /// All of them.
    Everything,
    /// Those that say something else than at the last call, which said this. For imported cloudspaces: Rancher sends the
    /// defaults of its form with every call, and these describe nothing that is there.
    News(&'a Said),
    /// Those that say something else than the option's default. For cloudspaces imported by what keeps no [`Said`].
    NoDefaults,
}

impl<'a> Given<'a> {
    pub(super) fn new(options: &'a Options, what_counts: WhatCounts<'a>) -> Self {
        Self { options, what_counts }
    }

    fn counts(&self, name: &str, value: &str) -> bool {
        match self.what_counts {
            WhatCounts::Everything => true,
            WhatCounts::News(before) => before.get(name).is_none_or(|said| said != value),
            WhatCounts::NoDefaults => said::default_of(name).as_deref() != Some(value),
        }
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.options.non_empty(name).filter(|text| self.counts(name, text))
    }

    fn int(&self, name: &str) -> Option<i64> {
        let value = self.options.int(name)?;
        self.counts(name, &value.to_string()).then_some(value)
    }

    fn bool(&self, name: &str) -> Option<bool> {
        let value = self.options.bool(name)?;
        self.counts(name, &value.to_string()).then_some(value)
    }

    /// The options that repeat what they said before although something else is there, and are left out of account.
    pub(super) fn ignored(&self, there: &State) -> Option<String> {
        let names = said::ignored(self.options, |name, text| self.counts(name, text), there);
        (!names.is_empty()).then(|| {
            format!(
                "cloudspace {} was imported, and {} did not change since the last call: what is there stays; to have such a \
                 value applied, set another one first",
                there.cloudspace,
                names.join(", ")
            )
        })
    }

    /// How strictly to check what was said.
    pub(super) fn rules(&self) -> Rules {
        let yes = |name: &str| self.options.bool_or_default(name);
        Rules {
            rounding: if yes(o::ROUND_BID_UP) {
                Rounding::Up
            } else {
                Rounding::No
            },
            unlisted: if yes(o::ALLOW_UNLISTED_VERSION) {
                versions::Unlisted::Allowed
            } else {
                versions::Unlisted::Refused
            },
            high_bids: if yes(o::ALLOW_HIGH_BIDS) {
                HighBids::Allowed
            } else {
                HighBids::Refused
            },
        }
    }

    /// What was said but has no effect on the state it led to.
    pub(super) fn without_effect(&self, state: &State) -> Vec<String> {
        let mut warnings = Vec::new();
        let idle: Vec<&str> = o::OF_THE_ON_DEMAND_POOL
            .into_iter()
            .filter(|name| !state.extra.first_on_demand && said::beyond_default(self.options, name))
            .collect();
        if !idle.is_empty() {
            warnings.push(format!(
                "{} without effect: there is no on-demand pool; set {} to have one",
                idle.join(", "),
                o::ON_DEMAND
            ));
        }
        if self.options.non_empty(o::ON_DEMAND_PRICE).is_some() {
            warnings.push(format!(
                "{} has no effect: Rackspace fixes the price of on-demand machines",
                o::ON_DEMAND_PRICE
            ));
        }
        for name in [o::SPOT_NAME, o::ON_DEMAND_NAME] {
            if self.options.non_empty(name).is_some_and(|text| as_uuid(text).is_none()) {
                warnings.push(format!(
                    "{name} is not a UUID, which is what the API demands: a derived name is used instead"
                ));
            }
        }
        warnings
    }
}

/// The state for a new cluster: defaults where nothing was said.
pub(super) fn fresh(given: &Given<'_>) -> Result<State, DriverError> {
    let options = given.options;
    let mut state = State {
        refresh_token: options.secret(o::REFRESH_TOKEN),
        organization: options.string_or_default(o::ORGANIZATION).to_owned(),
        region: options.string_or_default(o::REGION).to_owned(),
        version: versions::expand(options.string_or_default(o::VERSION)),
        cni: options.string_or_default(o::CNI).to_owned(),
        gpu: options.bool_or_default(o::GPU),
        deployment_type: options.string_or_default(o::DEPLOYMENT_TYPE).to_owned(),
        ..State::default()
    };
    state.extra.owned = Some(false);
    state.pools.push(Pool {
        kind: Kind::Spot,
        name: options.non_empty(o::SPOT_NAME).and_then(as_uuid).unwrap_or_default(),
        class: options.string_or_default(o::SPOT_CLASS).to_owned(),
        count: options.int_or_default(o::SPOT_COUNT),
        bid: options.string_or_default(o::SPOT_BID).to_owned(),
        ..Pool::default()
    });
    merge(&mut state, given)?;
    Ok(state)
}

/// Puts what was said over the state. Texts count when they are not empty; numbers and yes-or-no also when 0 or no.
/// Mirrors `mergeState` of `driver/config.go`.
pub(super) fn merge(state: &mut State, given: &Given<'_>) -> Result<(), DriverError> {
    let mut problems = Vec::new();
    if let Some(token) = given.options.secret(o::REFRESH_TOKEN) {
        state.refresh_token = Some(token);
    }
    if let Some(version) = given.text(o::VERSION) {
        state.version = versions::expand(version);
    }
    if let Some(ha) = given.bool(o::HA) {
        state.extra.ha = Some(ha);
    }
    match given.text(o::WEBHOOK) {
        Some("-") => state.webhook = Some(String::new()),
        Some(url) => state.webhook = Some(url.to_owned()),
        None => {}
    }
    if let Some(policy) = given.text(o::NODES_READY) {
        state.extra.nodes_ready = NodesReady::parse(policy);
    }
    for (field, name) in [
        (&mut state.extra.nodes_timeout, o::NODES_TIMEOUT),
        (&mut state.extra.control_plane_timeout, o::CONTROL_PLANE_TIMEOUT),
    ] {
        if let Some(text) = given.text(name) {
            text.clone_into(field);
        }
    }
    let mut spot: Vec<Pool> = state.of_kind(Kind::Spot).cloned().collect();
    let mut bought: Vec<Pool> = state.of_kind(Kind::OnDemand).cloned().collect();
    if let Some(primary) = spot.first_mut() {
        merge_spot(primary, given);
        custom(
            primary,
            given,
            [o::SPOT_LABELS, o::SPOT_ANNOTATIONS, o::SPOT_TAINTS],
            &mut problems,
        );
    }
    let first_on_demand = merge_on_demand(&mut bought, state.extra.first_on_demand, given);
    state.extra.first_on_demand = first_on_demand;
    if let Some(first) = bought.first_mut().filter(|_| first_on_demand) {
        let names = [o::ON_DEMAND_LABELS, o::ON_DEMAND_ANNOTATIONS, o::ON_DEMAND_TAINTS];
        custom(first, given, names, &mut problems);
    }
    for (pools, kind, name) in [
        (&mut spot, Kind::Spot, o::MORE_SPOT),
        (&mut bought, Kind::OnDemand, o::MORE_ON_DEMAND),
    ] {
        let Some(text) = given.text(name) else { continue };
        match custom::pools(kind, text) {
            Ok(_) if state.imported && text == "[]" => {}
            Ok(more) => {
                // Without on-demand-enabled there is no first pool for the further ones to follow.
                let keep = usize::from(kind == Kind::Spot || first_on_demand).min(pools.len());
                pools.truncate(keep);
                pools.extend(more);
            }
            Err(problem) => problems.push(problem),
        }
    }
    state.pools = spot.into_iter().chain(bought).collect();
    problems.extend(check(state));
    if problems.is_empty() {
        Ok(())
    } else {
        Err(DriverError::invalid(problems.join("; ")))
    }
}

fn merge_spot(pool: &mut Pool, given: &Given<'_>) {
    if let Some(class) = given.text(o::SPOT_CLASS) {
        class.clone_into(&mut pool.class);
    }
    if let Some(count) = given.int(o::SPOT_COUNT) {
        pool.count = count;
    }
    if let Some(bid) = given.text(o::SPOT_BID) {
        bid.clone_into(&mut pool.bid);
    }
    let limits = &mut pool.autoscaling;
    if let Some(enabled) = given.bool(o::SPOT_AUTOSCALING) {
        limits.enabled = enabled;
    }
    if let Some(least) = given.int(o::SPOT_MIN) {
        limits.min_nodes = least;
    }
    if let Some(most) = given.int(o::SPOT_MAX) {
        limits.max_nodes = most;
    }
    if limits.enabled {
        if limits.min_nodes == 0 && given.int(o::SPOT_MIN).is_none() {
            limits.min_nodes = o::DEFAULT_MIN;
        }
        if limits.max_nodes == 0 && given.int(o::SPOT_MAX).is_none() {
            limits.max_nodes = o::DEFAULT_MAX;
        }
    } else {
        *limits = Autoscaling::default();
    }
}

/// Puts what was said over the first on-demand pool, and answers whether there is one now; `first` says whether the first of
/// the pools has been it. What is said of it while there is none means nothing, and must not reach a further pool.
fn merge_on_demand(pools: &mut Vec<Pool>, first: bool, given: &Given<'_>) -> bool {
    let first = first && !pools.is_empty();
    match given.bool(o::ON_DEMAND) {
        Some(true) if !first => pools.insert(
            0,
            Pool {
                kind: Kind::OnDemand,
                name: given
                    .options
                    .non_empty(o::ON_DEMAND_NAME)
                    .and_then(as_uuid)
                    .unwrap_or_default(),
                class: given.options.string_or_default(o::ON_DEMAND_CLASS).to_owned(),
                count: given.options.int_or_default(o::ON_DEMAND_COUNT),
                ..Pool::default()
            },
        ),
        Some(false) => {
            pools.clear();
            return false;
        }
        None if !first => return false,
        Some(true) | None => {}
    }
    if let Some(pool) = pools.first_mut() {
        if let Some(class) = given.text(o::ON_DEMAND_CLASS) {
            class.clone_into(&mut pool.class);
        }
        if let Some(count) = given.int(o::ON_DEMAND_COUNT) {
            pool.count = count;
        }
    }
    true
}

fn custom(pool: &mut Pool, given: &Given<'_>, [labels, annotations, taints]: [&str; 3], problems: &mut Vec<String>) {
    let mut problem = |name: &str, text: String| problems.push(format!("{name} {text}"));
    if let Some(text) = given.text(labels) {
        match custom::labels(text) {
            Ok(map) => pool.labels = Some(map),
            Err(text) => problem(labels, text),
        }
    }
    if let Some(text) = given.text(annotations) {
        match custom::map(text) {
            Ok(map) => pool.annotations = Some(map),
            Err(text) => problem(annotations, text),
        }
    }
    if let Some(text) = given.text(taints) {
        match custom::taints(text) {
            Ok(list) => pool.taints = Some(list),
            Err(text) => problem(taints, text),
        }
    }
}

/// What is wrong with a state whatever the cloud says.
fn check(state: &State) -> Vec<String> {
    let mut problems = Vec::new();
    let autoscaling: Vec<&Pool> = state.pools.iter().filter(|pool| pool.autoscaling.enabled).collect();
    if autoscaling.len() > 1 {
        problems.push("only one spot node pool may have autoscaling enabled per cloudspace (API limit)".to_owned());
    }
    for pool in autoscaling {
        let Autoscaling {
            min_nodes, max_nodes, ..
        } = pool.autoscaling;
        if min_nodes < 1 || max_nodes < min_nodes {
            problems.push(format!(
                "autoscaling from {min_nodes} to {max_nodes} nodes makes no sense: the least must be at least 1, and not more \
                 than the most"
            ));
        }
    }
    if !matches!(state.deployment_type.as_str(), "" | "gen2") && !state.imported {
        problems.push(format!(
            "deployment-type {:?} cannot be made; leave it empty or use gen2",
            state.deployment_type
        ));
    }
    problems
}
