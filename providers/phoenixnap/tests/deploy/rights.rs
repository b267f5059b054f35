//! The rights the provider needs beyond those of every controller manager.

use std::collections::BTreeSet;
use std::time::Duration;

use phoenixnap_sim::{Kind, Settings};
use provider_suite::rights::{Right, each_is_needed, run_as_shipped, used};
use serde_json::json;

use super::harness::{Pnap, World, minutes};

/// Changes what is MetalLB's behind the program's back, and gives it a reason to look.
fn spoil(world: &World) {
    for mut pool in world.kube.list("ipaddresspools.metallb.io") {
        pool["spec"]["addresses"] = json!(["192.0.2.1/32"]);
        world.kube.update(pool).unwrap();
    }
    let mut service = world.kube.get("services", Some("default"), "web").unwrap();
    service["spec"]["ports"][0]["port"] = 8080.into();
    world.kube.update(service).unwrap();
}

/// Makes Services come and go in a world with the rights that are shipped, and gives what was used of them.
async fn live(scheme: &str, share: bool) -> BTreeSet<Right> {
    let mut world = World::with(Settings::default(), json!({}));
    let network = world.sim.add(Kind::PublicNetwork, json!({"name": "services"})).unwrap();
    world.configure(json!({"loadbalancer": format!("{scheme}://{network}"), "shareIPBlocks": share}));
    world.install_metallb();
    world.add_machines(2);
    let ran = run_as_shipped(&world, &[]);
    let ingress = |world: &World, name: &str| {
        let service = world.kube.get("services", Some("default"), name).unwrap_or_default();
        service["status"]["loadBalancer"]["ingress"][0]["ip"].is_string()
    };
    for name in ["web", "api"] {
        world
            .kube
            .create(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
            }))
            .unwrap();
        world
            .until("it has an address", Duration::from_mins(5), |world| {
                ingress(world, name)
            })
            .await;
    }
    spoil(&world);
    minutes(2).await;
    for name in ["web", "api"] {
        world.kube.delete("services", Some("default"), name).unwrap();
        let gone = |world: &World| world.kube.get("services", Some("default"), name).is_none();
        world.until("it is gone", Duration::from_mins(5), gone).await;
    }
    minutes(30).await;
    assert!(world.sim.objects(Kind::Block).is_empty(), "{scheme}: blocks are left");
    ran.end().await.unwrap();
    used(&world)
}

#[tokio::test(start_paused = true)]
async fn everything_works_with_the_shipped_rights_and_each_of_our_own_is_needed() {
    let mut all = BTreeSet::new();
    for (scheme, share) in [("kube-vip", false), ("metallb", false), ("metallb", true)] {
        all.extend(live(scheme, share).await);
    }
    each_is_needed::<Pnap>(&all);
}
