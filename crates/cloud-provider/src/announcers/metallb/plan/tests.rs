use proptest::prelude::*;
use secrecy::SecretString;

use super::*;

mod world;

use world::{World, cidr, names, service, speaker};

#[test]
fn the_first_service_makes_all_there_is_to_make() {
    let mut world = World::default();
    world.announce(&service("web"), &["192.0.2.1/32"], &[speaker(1)], &[]);
    let pool = &world.observed.pools[0];
    assert_eq!(name(pool), "default.web");
    assert_eq!(
        pool["spec"],
        json!({"addresses": ["192.0.2.1/32"], "autoAssign": false})
    );
    let expected = json!({"cloud-provider": "equinix-metal", "service-web": "namespace-default"});
    assert_eq!(pool["metadata"]["labels"], expected);
    let advertisement = &world.observed.advertisements[0];
    assert_eq!(name(advertisement), "equinix-metal-bgp-adv");
    assert_eq!(advertisement["spec"], json!({"ipAddressPools": ["default.web"]}));
    let peer = &world.observed.peers[0];
    assert_eq!(name(peer), "n1-0");
    assert_eq!(
        peer["spec"],
        json!({
            "myASN": 65000, "peerASN": 65530, "peerAddress": "169.254.255.1", "sourceAddress": "10.0.0.1",
            "password": "Passw0rd", "peerPort": 179, "holdTime": "0s", "keepaliveTime": "0s",
            "nodeSelectors": [
                {"matchLabels": {"kubernetes.io/hostname": "n1"}},
                {"matchLabels": {
                    "nomatch.metal.equinix.com/service-namespace": "default",
                    "nomatch.metal.equinix.com/service-name": "web",
                }},
            ],
        })
    );
    assert_eq!(world.observed.peers.len(), 2);
    assert_eq!(announced(&names(), &world.observed), ["default/web".to_owned()].into());
}

#[test]
fn the_second_service_shares_peers_and_the_advertisement_and_the_last_one_takes_them_along() {
    let mut world = World::default();
    world.announce(&service("a"), &["192.0.2.1/32"], &[speaker(1)], &[]);
    world.announce(&service("b"), &["192.0.2.2/32"], &[speaker(1)], &[]);
    assert_eq!((world.observed.pools.len(), world.observed.peers.len()), (2, 2));
    assert_eq!(
        world.observed.advertisements[0]["spec"]["ipAddressPools"],
        json!(["default.a", "default.b"])
    );
    assert_eq!(
        world.observed.peers[0]["spec"]["nodeSelectors"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    world.withdraw(&service("a"));
    assert_eq!(
        world.observed.advertisements[0]["spec"]["ipAddressPools"],
        json!(["default.b"])
    );
    assert_eq!((world.observed.pools.len(), world.observed.peers.len()), (1, 2));
    world.withdraw(&service("b"));
    assert!(world.is_empty());
}

#[test]
fn changes_of_a_session_are_put_right_without_losing_who_needs_it() {
    let mut world = World::default();
    world.announce(&service("a"), &["192.0.2.1/32"], &[speaker(1)], &[]);
    world.announce(&service("b"), &["192.0.2.2/32"], &[speaker(1)], &[]);
    let moved = Speaker {
        source: "10.0.0.99".to_owned(),
        password: None,
        peer_asn: 64999,
        ..speaker(1)
    };
    world.announce(&service("a"), &["192.0.2.1/32"], &[moved], &[]);
    let spec = &world.observed.peers[0]["spec"];
    assert_eq!(
        (&spec["sourceAddress"], &spec["peerASN"]),
        (&json!("10.0.0.99"), &json!(64999))
    );
    assert!(spec.get("password").is_none());
    assert_eq!(spec["nodeSelectors"].as_array().unwrap().len(), 3);
}

#[test]
fn peers_of_nodes_that_left_go_and_those_of_nodes_in_doubt_stay() {
    let mut world = World::default();
    world.announce(&service("a"), &["192.0.2.1/32"], &[speaker(1), speaker(2)], &[]);
    world.announce(&service("a"), &["192.0.2.1/32"], &[speaker(1)], &["n2"]);
    assert_eq!(world.observed.peers.len(), 4);
    world.announce(&service("a"), &["192.0.2.1/32"], &[speaker(1)], &[]);
    assert_eq!(world.observed.peers.len(), 2);
}

#[test]
fn peers_that_the_original_made_without_a_service_are_adopted_and_go_in_the_end() {
    let mut world = World::default();
    world.announce(&service("a"), &["192.0.2.1/32"], &[speaker(1)], &[]);
    for peer in &mut world.observed.peers {
        peer["spec"]["nodeSelectors"].as_array_mut().unwrap().truncate(1);
    }
    let orphaned = world.observed.clone();
    world.announce(&service("a"), &["192.0.2.1/32"], &[speaker(1)], &[]);
    assert_eq!(peers::services(&names(), &world.observed.peers[0]).len(), 1);
    world.withdraw(&service("a"));
    assert!(world.is_empty());
    // Not adopted before the Service went.
    world.observed = orphaned;
    world.withdraw(&service("a"));
    assert!(world.is_empty());
}

#[test]
fn an_address_that_changed_is_announced_instead_of_the_old_one() {
    let mut world = World::default();
    world.announce(&service("a"), &["192.0.2.1/32"], &[], &[]);
    world.announce(&service("a"), &["192.0.2.7/32"], &[], &[]);
    assert_eq!(world.observed.pools[0]["spec"]["addresses"], json!(["192.0.2.7/32"]));
    assert_eq!(world.observed.pools.len(), 1);
}

#[test]
fn two_services_with_one_address_share_a_pool() {
    let mut world = World::default();
    let other = Service {
        namespace: "other".to_owned(),
        ..service("a")
    };
    world.announce(&service("a"), &["192.0.2.1/32"], &[], &[]);
    world.announce(&other, &["192.0.2.1/32"], &[], &[]);
    assert_eq!(world.observed.pools.len(), 1);
    world.withdraw(&service("a"));
    assert_eq!(world.observed.pools.len(), 1, "the other one still needs it");
    world.withdraw(&other);
    assert!(world.is_empty());
}

#[test]
fn what_users_made_stays_as_it_is() {
    let foreign =
        json!({"metadata": {"name": "lab"}, "spec": {"addresses": ["192.0.2.0-192.0.2.9", "198.51.100.0/24"]}});
    let mut world = World::default();
    world.observed.pools.push(foreign.clone());
    // It has the address: no second pool, which MetalLB would refuse.
    for address in ["192.0.2.5/32", "198.51.100.7/32"] {
        world.announce(&service("a"), &[address], &[], &[]);
        assert_eq!(world.observed.pools, std::slice::from_ref(&foreign));
        assert!(world.observed.advertisements.is_empty());
    }
    // It has the name that ours would have.
    let mut world = World::default();
    world
        .observed
        .pools
        .push(json!({"metadata": {"name": "default.a"}, "spec": {"addresses": ["203.0.113.0/24"]}}));
    world.announce(&service("a"), &["192.0.2.5/32"], &[], &[]);
    assert_eq!(name(&world.observed.pools[1]), "default.a-equinix-metal");
    // A user's own advertisement with our label, wherever it stands in the list, keeps ours from being made …
    let labelled = |name: &str, pools: &[&str]| {
        json!({
            "metadata": {"name": name, "labels": {"cloud-provider": "equinix-metal"}},
            "spec": {"ipAddressPools": pools},
        })
    };
    let mut world = World::default();
    world.observed.advertisements.push(labelled("a-users", &["x"]));
    world.announce(&service("a"), &["192.0.2.5/32"], &[], &[]);
    assert_eq!(world.observed.advertisements, [labelled("a-users", &["x"])]);
    // … but not from being kept up to date.
    world
        .observed
        .advertisements
        .push(labelled("equinix-metal-bgp-adv", &["old"]));
    world.announce(&service("a"), &["192.0.2.5/32"], &[], &[]);
    assert_eq!(world.observed.advertisements[0], labelled("a-users", &["x"]));
    assert_eq!(
        world.observed.advertisements[1]["spec"]["ipAddressPools"],
        json!(["old", "default.a"])
    );
}

#[test]
fn layer_two_has_its_own_advertisement_and_no_peers() {
    let mut world = World {
        mode: Mode::Layer2 {
            interfaces: vec!["bond0.42".to_owned()],
            nodes: None,
        },
        ..World::default()
    };
    world.announce(&service("a"), &["192.0.2.1/32"], &[], &[]);
    let spec = &world.observed.advertisements[0]["spec"];
    assert_eq!(
        *spec,
        json!({"ipAddressPools": ["default.a"], "interfaces": ["bond0.42"]})
    );
    assert!(world.observed.peers.is_empty());
    // Configured otherwise since.
    let nodes = json!({"matchLabels": {"role": "edge"}});
    world.mode = Mode::Layer2 {
        interfaces: Vec::new(),
        nodes: Some(nodes.clone()),
    };
    world.announce(&service("a"), &["192.0.2.1/32"], &[], &[]);
    let spec = &world.observed.advertisements[0]["spec"];
    let expected = json!({"ipAddressPools": ["default.a"], "interfaces": ["bond0.42"], "nodeSelectors": [nodes]});
    assert_eq!(*spec, expected);
    world.withdraw(&service("a"));
    assert!(world.is_empty());
}

proptest! {
    #[test]
    fn twice_is_once_what_came_goes_and_what_is_foreign_stays(
        steps in prop::collection::vec((0..3_u8, 0..4_u8, prop::sample::subsequence(vec![1, 2, 3], 0..=3)), 0..6),
        password in prop::option::of(Just(SecretString::from("Passw0rd"))),
        last in prop::sample::subsequence(vec![1, 2, 3], 1..=3),
    ) {
        let speak = |n: &u8| Speaker { password: password.clone(), ..speaker(*n) };
        let mut world = World::with_foreign();
        let foreign = world.foreign();
        for (name, address, hosts) in &steps {
            let speakers: Vec<Speaker> = hosts.iter().map(speak).collect();
            let service = service(&format!("s{name}"));
            if *address == 0 {
                world.withdraw(&service);
            } else {
                world.announce(&service, &[&format!("192.0.2.{address}/32")], &speakers, &[]);
            }
        }
        let before = world.clone();
        let speakers: Vec<Speaker> = last.iter().map(speak).collect();
        let new = service("new");
        world.announce(&new, &["192.0.2.77/32"], &speakers, &[]);
        let target = [cidr("192.0.2.77/32")];
        prop_assert!(world.plan(&new, &target, &speakers, &[]).is_empty());
        prop_assert!(announced(&names(), &world.observed).contains("default/new"));
        world.withdraw(&new);
        prop_assert!(world.plan(&new, &[], &[], &[]).is_empty());
        prop_assert!(!announced(&names(), &world.observed).contains("default/new"));
        prop_assert_eq!(world.without_descriptions(), before.without_descriptions());
        for n in 0..3 {
            world.withdraw(&service(&format!("s{n}")));
        }
        prop_assert_eq!(world.foreign(), foreign);
        prop_assert!(world.is_empty());
    }
}
