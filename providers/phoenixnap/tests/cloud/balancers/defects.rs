//! Defects of the original (`phoenixnap/loadbalancers.go`) that are not told about elsewhere, one test each.

use std::time::Duration;

use cloud_sim::Fault;
use phoenixnap_sim::{Kind, Settings};
use serde_json::{Value, json};

use super::{caught, plain_world, world};
use crate::harness::minutes;

/// A block on its way is an error, nobody waits after adding it, and a conflict is an error.
#[tokio::test(start_paused = true)]
async fn assigning_is_waited_for_and_a_conflict_is_looked_at_again_without_a_warning() {
    let slow = Settings {
        block_move: Duration::from_mins(4),
        block_create: Some(Duration::from_secs(30)),
        ..Settings::default()
    };
    let world = world(slow, json!({}));
    let busy = Fault::status(409).body(json!({"message": "The public network is busy."}));
    world.fault(busy.on("POST", "/public-networks/.*/ip-blocks$").times(2));
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    assert_eq!(world.warnings("web"), Vec::<String>::new());
    let failed = world
        .events()
        .into_iter()
        .filter(|(reason, ..)| reason == "SyncLoadBalancerFailed");
    assert_eq!((failed.count(), world.bought()), (0, 1));
}

/// More than one block for a Service cannot be deleted.
#[tokio::test(start_paused = true)]
async fn a_service_with_several_blocks_goes_with_all_of_them() {
    let world = plain_world();
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    world.add_block("198.51.100.0/29", "web", &json!({}));
    let free = json!({"status": "unassigned", "target": Value::Null});
    world.add_block("198.51.100.8/29", "web", &free);
    world.delete_service("web");
    world
        .until("all are gone", Duration::from_mins(3), |world| {
            world.service("web").is_none() && world.blocks().is_empty()
        })
        .await;
    assert_eq!(world.warnings("web"), Vec::<String>::new());
}

/// The annotation is not implemented, and `location` is required.
#[tokio::test(start_paused = true)]
async fn the_place_comes_from_the_annotation_or_the_network_where_none_is_configured() {
    let world = world(Settings::default(), json!({"location": ""}));
    let at = |location: &str| json!({"metadata": {"annotations": {phoenixnap::ANNOTATION_IP_LOCATION: location}}});
    world.add_service("plain", &json!({}));
    world.add_service("here", &at("ash"));
    world.add_service("there", &at("PHX"));
    let _ran = world.run(&[]);
    world.until_served(&["plain", "here"]).await;
    minutes(2).await;
    assert_eq!((world.bought(), world.ingress("there").len()), (2, 0));
    let told = world.warnings("there");
    assert!(
        told.iter()
            .any(|text| text.contains("is in ASH, where a block of PHX cannot be used")),
        "{told:?}"
    );
    let places = world.sim.objects(Kind::Block);
    assert!(places.values().all(|block| block["location"] == "ASH"), "{places:?}");
}

/// Nobody looks whether a member of the network has the address already: the first that a Service gets is the first that a
/// server may take.
#[tokio::test(start_paused = true)]
async fn an_address_that_a_server_took_meanwhile_is_passed_over() {
    let world = plain_world();
    world.add_block("203.0.113.64/29", "web", &json!({}));
    let ips = json!(["203.0.113.66", "203.0.113.67 - 203.0.113.68"]);
    world.add_server(
        "n1",
        &json!({"public_networks": [{"id": world.public_network(), "ips": ips}]}),
    );
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    assert_eq!(world.ingress("web"), ["203.0.113.69"]);
}

/// A tag that another cluster made at the same moment is an error; all tags are read for each block.
#[tokio::test(start_paused = true)]
async fn tags_that_others_make_at_the_same_moment_are_there_and_are_read_once() {
    let world = plain_world();
    // Made between our look and our own: the list does not show them yet.
    for name in ["usage", "cluster"] {
        world.sim.add(Kind::Tag, json!({"name": name})).unwrap();
    }
    world.fault(Fault::status(200).body(json!([])).on("GET", "/tag-manager/v1/tags$"));
    let names = ["a", "b", "c"];
    for name in names {
        world.add_service(name, &json!({}));
    }
    let _ran = world.run(&[]);
    world.until_served(&names).await;
    assert_eq!(world.asked("GET", "/tag-manager/v1/tags"), 1);
    for name in names {
        assert_eq!(world.warnings(name), Vec::<String>::new());
    }
}

/// A bad flag is used before it is refused, and the log names the network's path, which is empty.
#[tokio::test(start_paused = true)]
async fn a_bad_flag_ends_the_program_with_a_word_and_the_log_names_the_network() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cloud-provider-phoenixnap"))
        .env_clear()
        .arg("--no-such-flag=1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("no-such-flag") && !told.contains("panicked"), "{told}");

    let (capture, _guard) = caught();
    let world = plain_world();
    let _ran = world.run(&[]);
    minutes(1).await;
    let expected = format!(
        "loadbalancer implementation enabled: kube-vip://{}",
        world.public_network()
    );
    assert!(capture.text().contains(&expected), "{}", capture.text());
}
