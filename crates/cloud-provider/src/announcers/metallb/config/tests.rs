use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::prelude::*;
use secrecy::SecretString;

use super::super::selectors::Requirement;
use super::*;

fn names() -> Names {
    Names::new("equinix-metal", "metal.equinix.com", "equinix-metal-bgp-adv")
}

fn web(name: &str) -> ServiceRef {
    ServiceRef::new("default", name)
}

/// A peer of host `n<n>`, needed by these Services.
fn peer(n: u8, services: &[&str]) -> Peer {
    let mut peer = Peer {
        my_asn: 65000,
        peer_asn: 65530,
        peer_address: format!("169.254.255.{n}"),
        node_selectors: vec![NodeSelector::host(&format!("n{n}"))],
        ..Peer::default()
    };
    for service in services {
        peer.add_service(&names(), &web(service));
    }
    peer
}

fn pool(n: u8) -> Pool {
    Pool {
        name: format!("default/s{n}"),
        protocol: "bgp".to_owned(),
        addresses: vec![format!("192.0.2.{n}/32"), format!("198.51.100.{n}/32")],
        auto_assign: Some(false),
        avoid_buggy_ips: Some(true),
        bgp_advertisements: vec![json!({"aggregation-length": 32}), json!({"localpref": 100})],
        ..Pool::default()
    }
}

fn speaker(n: u8) -> Speaker {
    Speaker {
        node: format!("n{n}"),
        host: format!("n{n}"),
        source: format!("10.0.0.{n}"),
        local_asn: 65000,
        peer_asn: 65530,
        peers: vec![format!("169.254.255.{n}")],
        password: None,
    }
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

#[test]
fn peers_are_added_once_and_remember_their_services() {
    // upstream: ConfigFileAddPeer and ConfigFileAddPeerByService
    let cases = [
        (speaker(1), "a", 2, vec!["a"]),
        (speaker(2), "b", 2, vec!["a", "b"]),
        (speaker(3), "c", 3, vec!["c"]),
        (speaker(1), "z", 2, vec!["a", "z"]),
        (speaker(4), "a", 3, vec!["a"]),
    ];
    for (speaker, service, total, services) in &cases {
        let mut config = Config {
            peers: vec![peer(1, &["a"]), peer(2, &["a"])],
            ..Config::default()
        };
        // The others' peers stay because their hosts could not be asked about.
        let unknown: BTreeSet<String> = ["n1".to_owned(), "n2".to_owned()].into();
        config.set_speakers(&names(), &web(service), std::slice::from_ref(speaker), &unknown);
        assert_eq!(config.peers.len(), *total);
        let changed = config
            .peers
            .iter()
            .find(|peer| peer.host(&names()) == Some(&speaker.host))
            .unwrap();
        let expected: BTreeSet<ServiceRef> = services.iter().map(|name| web(name)).collect();
        assert_eq!(changed.services(&names()), expected);
    }
    println!("config map, adding peers: {} cases for upstream's 5", cases.len());
}

#[test]
fn a_service_that_goes_takes_its_peers_along_unless_others_need_them() {
    // upstream: ConfigFileRemovePeersByService and ConfigFileRemovePeer
    let services: [&[&str]; 3] = [&["a"], &["a", "b"], &["c"]];
    let cases = [("c", 2), ("b", 3), ("a", 2), ("d", 3), ("", 3), ("n1", 3), ("A", 3)];
    for (removed, left) in cases {
        let peers = services.iter().zip(1..).map(|(services, n)| peer(n, services));
        let mut config = Config {
            peers: peers.collect(),
            ..Config::default()
        };
        config.set_speakers(&names(), &web(removed), &[], &BTreeSet::new());
        assert_eq!(config.peers.len(), left, "{removed}");
        assert!(
            config
                .peers
                .iter()
                .all(|peer| !peer.services(&names()).contains(&web(removed)))
        );
    }
    println!("config map, removing peers: {} cases for upstream's 7", cases.len());
}

#[test]
fn pools_are_added_once_and_share_a_name_when_they_are_alike() {
    // upstream: ConfigFileAddAddressPool
    let mut renamed = pool(1);
    renamed.name = "newName".to_owned();
    let mut joined = pool(1);
    joined.name = "default/s1,newName".to_owned();
    let cases = [
        (pool(1), false, vec![pool(1), pool(2)]),
        (pool(2), false, vec![pool(1), pool(2)]),
        (renamed, true, vec![joined, pool(2)]),
        (pool(3), true, vec![pool(1), pool(2), pool(3)]),
    ];
    for (added, changed, expected) in &cases {
        let mut config = Config {
            address_pools: vec![pool(1), pool(2)],
            ..Config::default()
        };
        assert_eq!(config.add_pool(added.clone()), *changed);
        assert_eq!(config.address_pools, *expected);
    }
    println!("config map, adding pools: {} cases for upstream's 4", cases.len());
}

#[test]
fn a_pool_goes_with_its_last_service() {
    // upstream: ConfigFileRemoveAddressPoolByAddress, which forgets that others may use the pool
    let shared = Pool {
        name: "default/s3,default/t".to_owned(),
        ..pool(3)
    };
    for (removed, left) in [("s1", 2), ("s2", 2), ("s3", 3), ("t", 3), ("none", 3)] {
        let mut config = Config {
            address_pools: vec![pool(1), pool(2), shared.clone()],
            ..Config::default()
        };
        config.set_addresses(&Mode::Bgp, &web(removed), &[]);
        assert_eq!(config.address_pools.len(), left, "{removed}");
        assert!(!config.services(&names()).contains(&format!("default/{removed}")));
    }
    println!("config map, removing pools: 5 cases for upstream's 5");
}

#[test]
fn a_pool_that_has_the_address_serves_this_service_too_and_a_foreign_one_stays() {
    let foreign = Pool {
        name: "lab".to_owned(),
        ..pool(9)
    };
    let mut config = Config {
        address_pools: vec![pool(1), foreign.clone()],
        ..Config::default()
    };
    config.set_addresses(&Mode::Bgp, &web("x"), &[cidr("192.0.2.1/32")]);
    assert_eq!(config.address_pools[0].name, "default/s1,default/x");
    config.set_addresses(&Mode::Bgp, &web("y"), &[cidr("192.0.2.9/32")]);
    assert_eq!((config.address_pools.len(), &config.address_pools[1]), (2, &foreign));
    // Another address: the old pool is left to its other Service.
    config.set_addresses(&Mode::Bgp, &web("x"), &[cidr("192.0.2.77/32")]);
    assert_eq!(config.address_pools[0], pool(1));
    assert_eq!(config.address_pools[2].addresses, ["192.0.2.77/32"]);
}

fn selector(labels: Option<&[(&str, &str)]>, expressions: Option<&[Requirement]>) -> NodeSelector {
    let labels = labels.map(|list| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
    NodeSelector {
        match_labels: labels,
        match_expressions: expressions.map(<[Requirement]>::to_vec),
    }
}

fn requirement(key: &str, operator: &str, values: Option<&[&str]>) -> Requirement {
    Requirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: values.map(|list| list.iter().map(|value| (*value).to_owned()).collect()),
    }
}

fn requirements() -> BTreeMap<&'static str, Requirement> {
    [
        ("empty", requirement("", "", None)),
        ("ad", requirement("a", "d", Some(&[]))),
        ("dd", requirement("d", "d", Some(&[]))),
        ("ap", requirement("a", "p", Some(&[]))),
        ("ap-nil", requirement("a", "p", None)),
        ("ap-a", requirement("a", "p", Some(&["a"]))),
        ("ap-b", requirement("a", "p", Some(&["b"]))),
        ("ap-ab", requirement("a", "p", Some(&["a", "b"]))),
        ("ap-ap", requirement("a", "p", Some(&["a", "p"]))),
        ("ap-pa", requirement("a", "p", Some(&["p", "a"]))),
    ]
    .into()
}

/// Pairs whose left comes first.
const REQUIREMENT_PAIRS: [(&str, &str); 9] = [
    ("empty", "ad"),
    ("ad", "dd"),
    ("ad", "ap"),
    ("ap-nil", "ap"),
    ("ap", "ap-a"),
    ("ap-nil", "ap-a"),
    ("ap-a", "ap-b"),
    ("ap-a", "ap-ab"),
    ("ap-ab", "ap-ap"),
];

#[test]
fn requirements_are_compared_as_upstream_does() {
    // upstream: SelectorRequirementsCompare and SelectorRequirementsSliceLess
    let all = requirements();
    for (less, more) in REQUIREMENT_PAIRS {
        assert_eq!(all[less].cmp(&all[more]), Ordering::Less, "{less} {more}");
        assert_eq!(all[more].cmp(&all[less]), Ordering::Greater, "{more} {less}");
        let lists = [&all[less], &all[more]].map(|one| selector(None, Some(std::slice::from_ref(one))));
        assert!(lists[0] < lists[1] && lists[1] >= lists[0]);
    }
    for (one, same) in [("ap", "ap"), ("ap-ap", "ap-pa"), ("ap-pa", "ap-ap")] {
        assert_eq!(all[one].cmp(&all[same]), Ordering::Equal);
    }
    println!("selector requirements: 21 comparisons and 18 of lists, for upstream's 21 and 19");
}

#[test]
fn node_selectors_are_compared_as_upstream_does() {
    // upstream: NodeSelectorsLess, NodeSelectorsEqual, NodeSelectorEqual, SelectorRequirementsSliceEqual
    let labels = |list| selector(Some(list), Some(&[]));
    let (a, ae, aq) = (
        labels(&[("a", "b")]),
        labels(&[("a", "b"), ("e", "f")]),
        labels(&[("a", "b"), ("q", "r")]),
    );
    let (empty, nil) = (labels(&[]), selector(None, None));
    let mut pairs = vec![
        (a.clone(), aq.clone()),
        (a.clone(), ae.clone()),
        (ae.clone(), aq.clone()),
        (empty.clone(), a.clone()),
        (nil.clone(), a.clone()),
        (nil.clone(), empty.clone()),
        (nil.clone(), selector(None, Some(&[]))),
        (
            selector(None, Some(&[])),
            selector(None, Some(&[requirement("a", "d", None)])),
        ),
        (nil.clone(), selector(None, Some(&[requirement("a", "d", None)]))),
    ];
    let all = requirements();
    let one = |name: &str| selector(None, Some(std::slice::from_ref(&all[name])));
    pairs.extend(
        REQUIREMENT_PAIRS
            .iter()
            .skip(1)
            .map(|(less, more)| (one(less), one(more))),
    );
    for (less, more) in &pairs {
        assert!(less < more && more >= less, "{less:?} {more:?}");
    }
    assert!(one("ap-ap") == one("ap-pa") && one("ap-ap") >= one("ap-pa"));
    let set = [a.clone(), ae.clone(), one("ad")];
    assert!(!is_same_set(&set, &set[..2]));
    assert!(!is_same_set(&set, &[a.clone(), ae.clone(), aq]));
    assert!(is_same_set(&set, &[one("ad"), a.clone(), ae]));
    let both = selector(Some(&[("a", "b")]), Some(std::slice::from_ref(&all["ad"])));
    assert_eq!(both, both.clone());
    for other in [
        selector(None, both.match_expressions.as_deref()),
        selector(Some(&[]), both.match_expressions.as_deref()),
        selector(Some(&[("x", "y")]), both.match_expressions.as_deref()),
        selector(Some(&[("a", "b")]), None),
        selector(Some(&[("a", "b")]), Some(&[])),
        selector(Some(&[("a", "b")]), Some(std::slice::from_ref(&all["dd"]))),
    ] {
        assert_ne!(both, other);
    }
    println!(
        "node selectors: {} comparisons for upstream's 36, and 10 of equality for its 11",
        2 * pairs.len() + 2
    );
}

/// What is changed, and how.
type Case<T> = (&'static str, fn(&mut T));

#[test]
fn peers_are_compared_as_upstream_does() {
    let change: [Case<Peer>; 11] = [
        ("my-asn", |peer| peer.my_asn += 1),
        ("peer-asn", |peer| peer.peer_asn += 1),
        ("port", |peer| peer.peer_port += 1),
        ("address", |peer| peer.peer_address.push('0')),
        ("hold time", |peer| peer.hold_time.push('0')),
        ("password", |peer| peer.password.push('0')),
        ("router ID", |peer| peer.router_id.push('0')),
        ("source", |peer| peer.source_address.push('0')),
        ("no selectors", |peer| peer.node_selectors.clear()),
        ("fewer selectors", |peer| peer.node_selectors.truncate(2)),
        ("other keys", |peer| {
            drop(peer.rest.insert("bfd-profile".to_owned(), json!("x")));
        }),
    ];
    let before = peer(1, &["a", "b"]);
    assert_eq!(before, before.clone());
    for (what, change) in change {
        let mut after = before.clone();
        change(&mut after);
        assert_ne!(before, after, "{what}");
    }
    let mut reordered = before.clone();
    reordered.node_selectors.reverse();
    assert_eq!(before, reordered);
    println!("peers: 13 comparisons for upstream's 13");
}

#[test]
fn pools_are_compared_as_upstream_does() {
    let change: [Case<Pool>; 15] = [
        ("protocol", |pool| pool.protocol.push('0')),
        ("name", |pool| pool.name.push('0')),
        ("avoid-buggy-ips", |pool| pool.avoid_buggy_ips = Some(false)),
        ("avoid-buggy-ips null", |pool| pool.avoid_buggy_ips = None),
        ("auto-assign", |pool| pool.auto_assign = Some(true)),
        ("auto-assign null", |pool| pool.auto_assign = None),
        ("no addresses", |pool| pool.addresses.clear()),
        ("first address", |pool| drop(pool.addresses.remove(0))),
        ("second address", |pool| drop(pool.addresses.remove(1))),
        ("other address", |pool| pool.addresses[0] = "x".to_owned()),
        ("no advertisements", |pool| pool.bgp_advertisements.clear()),
        ("first advertisement", |pool| drop(pool.bgp_advertisements.remove(0))),
        ("second advertisement", |pool| drop(pool.bgp_advertisements.remove(1))),
        ("other advertisement", |pool| {
            pool.bgp_advertisements[0] = json!({"localpref": 1});
        }),
        ("other keys", |pool| drop(pool.rest.insert("x".to_owned(), json!(1)))),
    ];
    let before = pool(1);
    assert_eq!(before, before.clone());
    for (what, change) in change {
        let mut after = before.clone();
        change(&mut after);
        assert_ne!(before, after, "{what}");
    }
    let mut reordered = before.clone();
    reordered.addresses.reverse();
    reordered.bgp_advertisements.reverse();
    assert_eq!(before, reordered);
    println!("pools: 17 comparisons for upstream's 17");
}

const WRITTEN_BY_THE_ORIGINAL: &str = "
address-pools:
- addresses: [192.0.2.1/32]
  auto-assign: null
  avoid-buggy-ips: null
  bgp-advertisements:
  - aggregation-length: null
    LocalPref: 100
    Communities: [vpn]
  name: default/web
  protocol: bgp
bfd-profiles:
- name: fast
bgp-communities: {vpn: '1:2'}
peers:
- hold-time: ''
  my-asn: 65000
  node-selectors:
  - match-expressions: []
    match-labels: {kubernetes.io/hostname: n1}
  - match-expressions: []
    match-labels: {nomatch.metal.equinix.com/service-name: web, nomatch.metal.equinix.com/service-namespace: default}
  - match-labels: {nomatch.metal.equinix.com/service-name: half}
  password: 12345
  peer-address: 169.254.255.1
  peer-asn: 65530
  peer-port: 0
  router-id: ''
- my-asn: 64512
  peer-asn: 64512
  peer-address: 10.9.9.9
  bfd-profile: fast
";

#[test]
fn what_is_not_known_here_is_kept_and_what_the_original_broke_is_put_right() {
    let mut config = Config::parse(WRITTEN_BY_THE_ORIGINAL).unwrap();
    assert_eq!(config.peers[0].password, "12345");
    let speaker = Speaker {
        peers: vec!["169.254.255.1".to_owned()],
        ..speaker(1)
    };
    config.set_speakers(&names(), &web("web"), &[speaker], &BTreeSet::new());
    // The old entry lacks a source address; it is completed, not doubled (#412, #427).
    assert_eq!(
        (config.peers.len(), config.peers[0].source_address.as_str()),
        (2, "10.0.0.1")
    );
    let text = config.to_yaml();
    let again = Config::parse(&text).unwrap();
    assert_eq!(config, again);
    assert_eq!(again.rest["bfd-profiles"], json!([{"name": "fast"}]));
    assert_eq!(again.rest["bgp-communities"], json!({"vpn": "1:2"}));
    assert_eq!(again.peers[1].rest["bfd-profile"], "fast");
    let advertisement = &again.address_pools[0].bgp_advertisements[0];
    assert_eq!(
        (&advertisement["localpref"], &advertisement["communities"]),
        (&json!(100), &json!(["vpn"]))
    );
    assert!(text.contains("service-name: half"), "{text}");
    assert!(!format!("{again:?}").contains("12345"));
}

#[test]
fn a_config_map_without_a_config_is_empty_and_a_broken_one_is_told_without_its_text() {
    for empty in ["", "  \n", "null", "{}", "peers: null\naddress-pools:\n"] {
        assert_eq!(Config::parse(empty), Ok(Config::default()), "{empty:?}");
    }
    for broken in [
        "peers: hunter2",
        "- hunter2",
        "peers: [{password: hunter2, my-asn: x}]",
        "a: 'hunter2",
    ] {
        let error = Config::parse(broken).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

fn any_config() -> impl Strategy<Value = Config> {
    let peers = prop::collection::vec((1..5_u8, prop::sample::subsequence(vec!["a", "b", "c"], 0..=3)), 0..4);
    let pools = prop::collection::btree_set(0..6_u8, 0..4);
    (peers, pools).prop_map(|(peers, pools)| Config {
        peers: peers.into_iter().map(|(n, services)| peer(n, &services)).collect(),
        address_pools: pools.into_iter().map(pool).collect(),
        ..Config::default()
    })
}

fn any_speakers() -> impl Strategy<Value = Vec<Speaker>> {
    let password = prop::option::of(Just(SecretString::from("Passw0rd")));
    (
        prop::sample::subsequence((1..6_u8).collect::<Vec<_>>(), 0..=5),
        password,
    )
        .prop_map(|(hosts, password)| {
            let speak = |n| Speaker {
                password: password.clone(),
                ..speaker(n)
            };
            hosts.into_iter().map(speak).collect()
        })
}

proptest! {
    #[test]
    fn twice_is_once_and_what_came_goes(before in any_config(), speakers in any_speakers(), n in 0..9_u8) {
        let service = web("new");
        let address = [cidr(&format!("192.0.2.{n}/32"))];
        let apply = |config: &mut Config| {
            config.set_speakers(&names(), &service, &speakers, &BTreeSet::new());
            config.set_addresses(&Mode::Bgp, &service, &address);
        };
        let mut once = before.clone();
        apply(&mut once);
        let mut twice = once.clone();
        apply(&mut twice);
        prop_assert_eq!(&once, &twice);
        prop_assert!(once.address_pools.iter().any(|pool| pool.has(&address[0])));
        let mut gone = once;
        gone.set_speakers(&names(), &service, &[], &BTreeSet::new());
        gone.set_addresses(&Mode::Bgp, &service, &[]);
        prop_assert!(!gone.services(&names()).contains("default/new"));
        // Others have what they had. Only what describes a session may have been put right.
        prop_assert_eq!(&gone.address_pools, &before.address_pools);
        let keys = |config: &Config| -> Vec<_> {
            config.peers.iter().map(|peer| (peer.peer_address.clone(), peer.services(&names()))).collect()
        };
        prop_assert_eq!(keys(&gone), keys(&before));
    }
}
