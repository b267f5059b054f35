//! The pages that are made from the option table.

use kontainer_engine::wire::STATE_KEY;
use rackspace_spot::driver::option_table;

const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/rackspacespot-options.md"
);

fn page() -> String {
    format!(
        "# Options of the Rackspace Spot driver\n\nMade from the option table of `kontainer-engine-driver-rackspacespot`; to \
         make it again, run `ROADSTEAD_BLESS=1 cargo test -p rackspace-spot reference`.\n\n{}",
        option_table().markdown()
    )
}

#[test]
fn the_reference_page_is_that_of_the_option_table() {
    if std::env::var_os("ROADSTEAD_BLESS").is_some() {
        std::fs::write(PAGE, page()).unwrap();
    }
    let found = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert_eq!(found, page(), "docs/reference/rackspacespot-options.md is stale");
}

#[test]
fn every_flag_of_the_go_driver_is_there_with_its_default() {
    let flags = &option_table().create_flags().options.clone();
    for (name, kind, default) in [
        ("rackspace-spot-refresh-token", "string", ""),
        ("rackspace-spot-organization", "string", ""),
        ("rackspace-spot-region", "string", ""),
        ("kubernetes-version", "string", "1.33.0"),
        ("cni", "string", "calico"),
        ("gpu-enabled", "bool", ""),
        ("preemption-webhook-url", "string", ""),
        ("deployment-type", "string", ""),
        ("spot-node-pool-name", "string", ""),
        ("spot-server-class", "string", "gp.vs1.medium-iad"),
        ("spot-node-count", "int", "3"),
        ("spot-bid-price", "string", "0.01"),
        ("spot-autoscaling-enabled", "bool", ""),
        ("spot-autoscaling-min-nodes", "int", "1"),
        ("spot-autoscaling-max-nodes", "int", "10"),
        ("on-demand-enabled", "bool", ""),
        ("on-demand-node-pool-name", "string", ""),
        ("on-demand-server-class", "string", "gp.vs1.medium-iad"),
        ("on-demand-node-count", "int", "1"),
        ("on-demand-price-per-hour", "string", ""),
        ("additional-spot-pools", "string", ""),
        ("import-existing-cluster", "bool", ""),
        ("import-cloudspace-name", "string", ""),
    ] {
        let flag = flags.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!((flag.r#type.as_str(), flag.value.as_str()), (kind, default), "{name}");
    }
    let update = &option_table().update_flags().options.clone();
    for name in [
        "rackspace-spot-refresh-token",
        "kubernetes-version",
        "spot-node-count",
        "spot-bid-price",
        "spot-autoscaling-enabled",
        "on-demand-enabled",
        "additional-spot-pools",
        "spot-server-class",
        "preemption-webhook-url",
    ] {
        assert!(update.contains_key(name), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_new_in_the_state_fills_no_option() {
    let world = crate::harness::world();
    let info = world.create(&crate::harness::acme()).await.unwrap();
    let state: serde_json::Value = serde_json::from_str(&info.metadata[STATE_KEY]).unwrap();
    // The keys of the Go driver are spellings of options; an echo of these is taken out again. No other key may be one.
    let known = [
        "cni",
        "gpuEnabled",
        "kubernetesVersion",
        "onDemandEnabled",
        "onDemandPoolName",
        "onDemandServerClass",
        "onDemandNodeCount",
        "organization",
        "region",
        "spotAutoscaling",
        "spotBidPrice",
        "spotMaxNodes",
        "spotMinNodes",
        "spotNodeCount",
        "spotPoolName",
        "spotServerClass",
        "additionalSpotPools",
        "deploymentType",
    ];
    let new: Vec<String> = option_table()
        .shadowed_by(&state)
        .into_iter()
        .filter(|key| !known.contains(&key.as_str()))
        .collect();
    assert_eq!(new, Vec::<String>::new());
}
