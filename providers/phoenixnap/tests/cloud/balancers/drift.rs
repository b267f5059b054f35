//! What others do to blocks, and what the service does wrong.

use cloud_sim::{Action, Fault};
use phoenixnap_sim::{Kind, Outcome, Settings, TagFilter};
use serde_json::json;
use std::time::Duration;

use super::{OWNER, plain_world, world};
use crate::harness::minutes;

#[tokio::test(start_paused = true)]
async fn an_assignment_that_fails_is_told_and_tried_again() {
    let world = world(
        Settings {
            assigning: Outcome::Error,
            ..Settings::default()
        },
        json!({}),
    );
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    minutes(3).await;
    let told = world
        .events()
        .into_iter()
        .any(|(reason, ..)| reason == "IPBlockNotAssigned");
    assert!(told, "{:?}", world.events());
    world.sim.set(|settings| settings.assigning = Outcome::Done);
    world.until_served(&["web"]).await;
    assert_eq!((world.bought(), world.blocks().len()), (1, 1));
}

/// A lost answer and a list that lags behind: still one block.
#[tokio::test(start_paused = true)]
async fn a_purchase_whose_answer_was_lost_is_not_made_twice() {
    for lag in [0, 60] {
        let settings = Settings {
            list_lag: Duration::from_secs(lag),
            ..Settings::default()
        };
        let world = world(settings, json!({}));
        world.fault(Fault::new(Action::DropAfter).on("POST", "/ips/v1/ip-blocks$"));
        world.add_service("web", &json!({}));
        let _ran = world.run(&[]);
        world.until_served(&["web"]).await;
        minutes(15).await;
        assert_eq!((world.bought(), world.blocks().len()), (1, 1), "a lag of {lag} s");
    }
}

#[tokio::test(start_paused = true)]
async fn new_blocks_that_lists_do_not_show_are_known_and_given_back() {
    let settings = Settings {
        list_lag: Duration::from_secs(90),
        ..Settings::default()
    };
    let world = world(settings, json!({}));
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world
        .until("bought", Duration::from_mins(2), |world| world.bought() == 1)
        .await;
    world.delete_service("web");
    world.until_no_blocks().await;
    minutes(3).await;
    assert!(world.service("web").is_none());
    assert_eq!(world.bought(), 1);
}

/// The API's filters are not relied on, nor its spelling.
#[tokio::test(start_paused = true)]
async fn filters_that_do_nothing_and_words_in_capitals_change_nothing() {
    for settings in [
        Settings {
            tag_filter: TagFilter::Ignored,
            ..Settings::default()
        },
        Settings {
            tag_filter: TagFilter::Any,
            ..Settings::default()
        },
        Settings {
            shouting: true,
            network_resource_type: "PUBLIC_NETWORK".to_owned(),
            ..Settings::default()
        },
        Settings {
            resource_while_assigning: true,
            extra_fields: true,
            ..Settings::default()
        },
        Settings {
            null_lists: true,
            missing_code: 404,
            ..Settings::default()
        },
        Settings {
            delete_assigned_code: 400,
            block_create: Some(Duration::from_secs(20)),
            ..Settings::default()
        },
    ] {
        let shown = format!("{settings:?}");
        let world = world(settings, json!({}));
        let tag = |name: &str, value: &str| json!({"name": name, "value": value});
        let other_cluster = [tag("usage", OWNER), tag("cluster", "other"), tag("serviceName", "web")];
        let other = world.add_block("203.0.113.64/29", "web", &json!({"tags": other_cluster}));
        world.add_service("web", &json!({}));
        let _ran = world.run(&[]);
        world.until_served(&["web"]).await;
        world.delete_service("web");
        world
            .until("only the other cluster's is left", Duration::from_mins(10), |world| {
                world.blocks().len() == 1
            })
            .await;
        assert_eq!(world.blocks()[0].id, other, "{shown}");
    }
}

/// I.1 4, for blocks: rights that are lost look like things that are gone, and nothing comes of it.
#[tokio::test(start_paused = true)]
async fn an_hour_without_rights_releases_nothing_and_ends_well() {
    for status in [401, 403, 404, 500] {
        let world = plain_world();
        world.add_service("web", &json!({}));
        world.add_service("going", &json!({}));
        let _ran = world.run(&[]);
        world.until_served(&["web", "going"]).await;
        let address = world.ingress("web");
        world.fault(Fault::status(status).body(json!({"message": "no"})).always());
        world.delete_service("going");
        world.add_service("new", &json!({}));
        minutes(60).await;
        assert_eq!(
            (world.blocks().len(), world.ingress("web")),
            (2, address.clone()),
            "{status}"
        );
        assert!(world.service("going").is_some(), "it waits for its block");
        world.sim.front().clear_faults();
        world.until_served(&["new"]).await;
        minutes(15).await;
        assert!(world.service("going").is_none());
        assert_eq!(
            (world.blocks().len(), world.ingress("web"), world.sold()),
            (2, address, 3),
            "{status}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_that_somebody_gave_to_a_server_is_left_to_him() {
    let world = plain_world();
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    let server = world.add_server("n1", &json!({}));
    let id = world.blocks()[0].id.clone();
    world
        .sim
        .change(
            Kind::Block,
            &id,
            &json!({"target": {"network": null, "server": server}}),
        )
        .unwrap();
    world.delete_service("web");
    minutes(20).await;
    let left: Vec<(String, String)> = world
        .blocks()
        .into_iter()
        .map(|block| (block.id, block.status))
        .collect();
    assert_eq!(left, [(id, "assigned".to_owned())]);
    let warnings = world.warnings("web");
    assert!(
        warnings.iter().any(|text| text.contains("unassign it by hand")),
        "{warnings:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_block_that_a_server_uses_is_not_pulled_from_under_it() {
    let world = plain_world();
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    let block = world.blocks()[0].clone();
    let second: std::net::Ipv4Addr = block.cidr.split_once('/').unwrap().0.parse().unwrap();
    let address = std::net::Ipv4Addr::from(u32::from(second) + 4).to_string();
    let ips = json!({"public_networks": [{"id": world.public_network(), "ips": [address]}]});
    let server = world.add_server("n1", &ips);
    world.delete_service("web");
    minutes(10).await;
    assert_eq!(world.blocks()[0].status, "assigned");
    let warnings = world.warnings("web");
    assert!(
        warnings.iter().any(|text| text.contains("uses an address of it")),
        "{warnings:?}"
    );
    world.sim.remove(Kind::Server, &server).unwrap();
    world.until_no_blocks().await;
}

#[tokio::test(start_paused = true)]
async fn a_block_that_somebody_deleted_is_replaced() {
    let world = plain_world();
    world.add_service("web", &json!({}));
    let ran = world.run(&[]);
    world.until_served(&["web"]).await;
    let id = world.blocks()[0].id.clone();
    world.sim.remove(Kind::Block, &id).unwrap();
    ran.end().await.unwrap();
    let _ran = world.run(&[]);
    world
        .until("there is another", Duration::from_mins(10), |world| {
            world.blocks().iter().any(|block| block.status == "assigned")
        })
        .await;
    minutes(1).await;
    assert_eq!(
        (world.blocks().len(), world.ingress("web").len(), world.bought()),
        (1, 1, 2)
    );
}

/// Blocks whose Service vanished while nobody looked cost money: told, and given back where that is wanted.
#[tokio::test(start_paused = true)]
async fn orphans_are_counted_and_given_back_only_where_that_is_wanted() {
    for wanted in [false, true] {
        let world = world(Settings::default(), json!({"deleteOrphanedIPBlocks": wanted}));
        world.add_block("203.0.113.64/29", "vanished", &json!({}));
        world.add_block("203.0.113.72/29", "web", &json!({}));
        world.add_service("web", &json!({}));
        let ran = world.run(&[]);
        world.until_served(&["web"]).await;
        minutes(5).await;
        let metrics = ran.metrics.render();
        assert!(
            metrics.contains("phoenixnap_ip_blocks{state=\"orphaned\"} 1"),
            "{metrics}"
        );
        assert!(
            metrics.contains("phoenixnap_ip_blocks{state=\"in-use\"} 1"),
            "{metrics}"
        );
        minutes(60).await;
        let left = world.blocks().len();
        assert_eq!(
            (left, world.ingress("web")),
            (if wanted { 1 } else { 2 }, vec!["203.0.113.74".to_owned()])
        );
    }
}

/// The network is asked about at the start, and a place that cannot work ends the process with the reason.
#[tokio::test(start_paused = true)]
async fn a_location_that_is_not_the_networks_is_refused_at_the_start() {
    let world = world(Settings::default(), json!({"location": "PHX"}));
    let error = world.run(&[]).ended().await.unwrap_err();
    let text = kit::chain(&error);
    assert!(
        text.contains("is in ASH, where a block of PHX cannot be used"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn sold_out_is_told_and_passes() {
    let world = world(Settings::default(), json!({}));
    world.fault(
        Fault::status(406)
            .body(json!({"message": "none left"}))
            .on("POST", "/ip-blocks$")
            .times(3),
    );
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    let warnings = world.warnings("web");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("no IP block of size /29 left in ASH")),
        "{warnings:?}"
    );
}

/// Bought by a process that died before it could know, and missing from the list that its successor read.
#[tokio::test(start_paused = true)]
async fn a_second_block_that_turns_up_late_is_given_back() {
    let world = plain_world();
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    let address = world.ingress("web");
    world.add_block("198.51.100.0/29", "web", &json!({}));
    minutes(30).await;
    assert_eq!((world.blocks().len(), world.ingress("web")), (1, address));
}
