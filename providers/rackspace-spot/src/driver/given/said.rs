//! What was said at a call, to tell news from repetition.

use std::collections::BTreeMap;

use kontainer_engine::{DefaultValue, Options};

use super::super::options as o;
use super::super::plan::Kind;
use super::super::state::State;

/// Values of options as texts, by the options' names.
pub(in crate::driver) type Said = BTreeMap<String, String>;

/// The options that say what a cloudspace and its pools are to be. Those that say how to go about it count at every call.
const WISHES: [&str; 14] = [
    o::VERSION,
    o::HA,
    o::WEBHOOK,
    o::SPOT_CLASS,
    o::SPOT_COUNT,
    o::SPOT_BID,
    o::SPOT_AUTOSCALING,
    o::SPOT_MIN,
    o::SPOT_MAX,
    o::MORE_SPOT,
    o::ON_DEMAND,
    o::ON_DEMAND_CLASS,
    o::ON_DEMAND_COUNT,
    o::MORE_ON_DEMAND,
];

/// What the options say.
pub(in crate::driver) fn by(options: &Options) -> Said {
    WISHES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), text(options, name)?)))
        .collect()
}

fn text(options: &Options, name: &str) -> Option<String> {
    let text = options.non_empty(name).map(str::to_owned);
    let number = || options.int(name).map(|number| number.to_string());
    text.or_else(number)
        .or_else(|| options.bool(name).map(|yes| yes.to_string()))
}

/// What an option says where nobody gave it.
pub(super) fn default_of(name: &str) -> Option<String> {
    match o::spec(name)?.default {
        DefaultValue::Str(text) => Some(text.to_owned()),
        DefaultValue::Int(number) => Some(number.to_string()),
        DefaultValue::Bool(yes) => Some(yes.to_string()),
        DefaultValue::None | DefaultValue::Strings(_) => None,
    }
}

/// Whether an option was given, and with something else than its default.
pub(super) fn beyond_default(options: &Options, name: &str) -> bool {
    text(options, name).is_some_and(|text| default_of(name) != Some(text))
}

/// The names of the options that were given, do not count, and say something else than what is there.
pub(in crate::driver) fn ignored(options: &Options, counts: impl Fn(&str, &str) -> bool, there: &State) -> Vec<String> {
    let there = of_state(there);
    let given = by(options).into_iter();
    let differs = |name: &str, text: &str| there.get(name).is_some_and(|there| there != text);
    given
        .filter(|(name, text)| differs(name, text) && !counts(name, text))
        .map(|(name, _)| name)
        .collect()
}

/// What options would have to say to describe a state.
fn of_state(state: &State) -> Said {
    let mut said = Said::new();
    let mut say = |name: &str, value: String| drop(said.insert(name.to_owned(), value));
    say(o::VERSION, state.version.clone());
    if let Some(primary) = state.of_kind(Kind::Spot).next() {
        say(o::SPOT_CLASS, primary.class.clone());
        say(o::SPOT_COUNT, primary.count.to_string());
        say(o::SPOT_BID, primary.bid.clone());
        let limits = primary.autoscaling;
        say(o::SPOT_AUTOSCALING, limits.enabled.to_string());
        if limits.enabled {
            say(o::SPOT_MIN, limits.min_nodes.to_string());
            say(o::SPOT_MAX, limits.max_nodes.to_string());
        }
    }
    say(o::ON_DEMAND, state.extra.first_on_demand.to_string());
    let bought = state.of_kind(Kind::OnDemand).next();
    if let Some(first) = bought.filter(|_| state.extra.first_on_demand) {
        say(o::ON_DEMAND_CLASS, first.class.clone());
        say(o::ON_DEMAND_COUNT, first.count.to_string());
    }
    said
}
