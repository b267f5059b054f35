use kontainer_engine::{DriverOptions, Phase};
use secrecy::{ExposeSecret as _, SecretString};

use super::*;
use crate::driver::option_table;

#[derive(Default)]
struct Say(DriverOptions);

impl Say {
    fn text(mut self, key: &str, value: &str) -> Self {
        self.0.string_options.insert(key.to_owned(), value.to_owned());
        self
    }

    fn int(mut self, key: &str, value: i64) -> Self {
        self.0.int_options.insert(key.to_owned(), value);
        self
    }

    fn bool(mut self, key: &str, value: bool) -> Self {
        self.0.bool_options.insert(key.to_owned(), value);
        self
    }

    fn options(&self) -> Options {
        option_table().parse(&self.0, Phase::Update).unwrap()
    }
}

fn pool(kind: Kind, class: &str, count: i64) -> Pool {
    Pool {
        kind,
        class: class.to_owned(),
        count,
        bid: "0.01".to_owned(),
        ..Pool::default()
    }
}

#[test]
fn false_and_zero_replace_true_and_more() {
    let mut state = State {
        refresh_token: Some(SecretString::from("old-token")),
        pools: vec![
            Pool {
                autoscaling: Autoscaling {
                    enabled: true,
                    min_nodes: 1,
                    max_nodes: 10,
                },
                ..pool(Kind::Spot, "gp.vs1.medium-iad", 3)
            },
            pool(Kind::Spot, "ch.vs1.medium-iad", 2),
            pool(Kind::OnDemand, "gp.vs1.medium-iad", 2),
        ],
        ..State::default()
    };
    state.extra.first_on_demand = true;
    let say = Say::default()
        .text("rackspaceSpotRefreshToken", "new-token")
        .text("additionalSpotPools", "[]")
        .int("spotNodeCount", 0)
        .int("spotAutoscalingMinNodes", 0)
        .int("spotAutoscalingMaxNodes", 0)
        .int("onDemandNodeCount", 0)
        .bool("spotAutoscalingEnabled", false)
        .bool("onDemandEnabled", false);
    let options = say.options();
    merge(&mut state, &Given::new(&options, WhatCounts::Everything)).unwrap();
    assert_eq!(state.pools, [pool(Kind::Spot, "gp.vs1.medium-iad", 0)]);
    assert!(!state.extra.first_on_demand);
    assert_eq!(state.refresh_token.unwrap().expose_secret(), "new-token");
}

#[test]
fn a_token_that_is_not_given_is_kept() {
    let mut state = State {
        refresh_token: Some(SecretString::from("kept")),
        ..State::default()
    };
    let options = Say::default().options();
    merge(&mut state, &Given::new(&options, WhatCounts::Everything)).unwrap();
    assert_eq!(state.refresh_token.unwrap().expose_secret(), "kept");
}

#[test]
fn what_is_not_given_for_a_new_cluster_has_its_default() {
    let say = Say::default()
        .text("rackspaceSpotRefreshToken", "token")
        .text("rackspaceSpotOrganization", "acme")
        .text("rackspaceSpotRegion", "us-east-1");
    let options = say.options();
    let state = fresh(&Given::new(&options, WhatCounts::Everything)).unwrap();
    assert_eq!(
        (state.region.as_str(), state.version.as_str(), state.cni.as_str()),
        ("us-east-1", "1.33.0", "calico")
    );
    assert_eq!(state.pools, [pool(Kind::Spot, "gp.vs1.medium-iad", 3)]);
    assert!(!state.gpu && !state.extra.first_on_demand && state.webhook.is_none());
}

#[test]
fn more_than_one_pool_that_scales_by_itself_is_refused() {
    let say = Say::default()
        .bool("spotAutoscalingEnabled", true)
        .text("additionalSpotPools", r#"[{"serverClass":"x","autoscaling":true}]"#);
    let options = say.options();
    let error = fresh(&Given::new(&options, WhatCounts::Everything)).unwrap_err();
    assert!(error.text().contains("(API limit)"), "{}", error.text());
}

#[test]
fn of_an_imported_cloudspace_only_news_count() {
    let before = said::by(
        &Say::default()
            .int("spotNodeCount", 3)
            .text("spotBidPrice", "0.01")
            .options(),
    );
    let options = Say::default()
        .int("spotNodeCount", 3)
        .text("spotBidPrice", "0.02")
        .bool("onDemandEnabled", false)
        .options();
    let given = Given::new(&options, WhatCounts::News(&before));
    assert_eq!(
        (
            given.int(o::SPOT_COUNT),
            given.text(o::SPOT_BID),
            given.bool(o::ON_DEMAND)
        ),
        (None, Some("0.02"), Some(false))
    );
    let there = State {
        cloudspace: "theirs".to_owned(),
        pools: vec![pool(Kind::Spot, "gp.vs1.medium-iad", 5)],
        ..State::default()
    };
    assert!(
        given
            .ignored(&there)
            .unwrap()
            .contains("spot-node-count did not change")
    );
    let given = Given::new(&options, WhatCounts::NoDefaults);
    assert_eq!(
        (
            given.int(o::SPOT_COUNT),
            given.text(o::SPOT_BID),
            given.bool(o::ON_DEMAND)
        ),
        (None, Some("0.02"), None)
    );
}

#[test]
fn options_of_an_on_demand_pool_that_is_not_there_are_told() {
    let warned = |say: Say| {
        let options = say.options();
        let given = Given::new(&options, WhatCounts::Everything);
        let state = fresh(&given).unwrap();
        given.without_effect(&state).join("\n")
    };
    let told = warned(
        Say::default()
            .int("onDemandNodeCount", 5)
            .text("onDemandNodeLabels", "a=b"),
    );
    assert!(
        told.contains("on-demand-node-count, on-demand-node-labels without effect"),
        "{told}"
    );
    // What Rancher's form always sends is no wish.
    assert_eq!(
        warned(
            Say::default()
                .int("onDemandNodeCount", 1)
                .bool("onDemandEnabled", false)
        ),
        ""
    );
    assert_eq!(
        warned(Say::default().int("onDemandNodeCount", 5).bool("onDemandEnabled", true)),
        ""
    );
}
