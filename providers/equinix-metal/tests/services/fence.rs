//! A manager that lost its lease.

use std::sync::{Arc, OnceLock};

use cloud_provider::Cloud as _;
use cloud_provider::data::Node;
use cloud_sim::{Action, Fault};
use equinix_metal_sim::Settings;
use kube_kit::{Elector, Ended, Fence, LeaseConfig};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cluster::{context, cut, without_machines};
use crate::harness::{World, seconds};

/// Everything that changes something at the provider, so far.
fn writes(world: &World) -> Vec<String> {
    let requests = world.sim.front().requests().into_iter();
    let writes = requests.filter(|one| one.method != "GET" && !one.path.ends_with("/exchange"));
    writes.map(|one| format!("{} {}", one.method, one.path)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_loses_its_lease_halfway_changes_nothing_more() {
    const NODES: usize = 60;
    for (setting, slow) in [("emlb:///da", "/origins$"), ("kube-vip://", "/bgp/sessions$")] {
        let world = without_machines(Settings::default(), setting);
        world.add_machines(NODES);
        let ran = world.run(&[]);
        world.until_initialised(NODES).await;
        ran.end().await.unwrap();
        world.add_service("default", "web", &json!({}));
        let fence = Fence::closed();
        let context = context(&world, &fence);
        let cloud = world.cloud();
        cloud.initialize(&context).await.unwrap();
        let nodes = world.kube.list("nodes").into_iter();
        let nodes = nodes.map(|one| Arc::new(Node::cut(serde_json::from_value(one).unwrap())));
        let outcome = Arc::new(OnceLock::new());
        let (service, nodes): (_, Vec<Arc<Node>>) = (cut(&world, "web"), nodes.collect());
        // Each takes so long that the lease is gone long before the last.
        world.fault(Fault::new(Action::Delay { ms: 8_000 }).on("POST", slow).always());
        let elector = Elector::new(
            &world.client(),
            LeaseConfig::new("test", "me"),
            world.clock.clone(),
            fence,
        );
        let ended = elector.unwrap().run(CancellationToken::new(), |_| async {
            let (cloud, service, outcome) = (cloud.clone(), service.clone(), Arc::clone(&outcome));
            // As a process that was stopped for a while goes on: it has not heard yet.
            tokio::spawn(async move {
                let balancers = cloud.load_balancers().unwrap();
                let ensured = balancers.ensure("kubernetes", &service, &nodes).await;
                outcome.set(kit::chain(&ensured.unwrap_err())).unwrap();
            });
            seconds(5).await;
            world.kube.faults().fail(
                kube_sim::Matcher::any().verb("update").resource("leases"),
                503,
                1_000_000,
            );
            world.kube.faults().fail(
                kube_sim::Matcher::any().verb("patch").resource("leases"),
                503,
                1_000_000,
            );
            std::future::pending::<()>().await;
        });
        assert_eq!(ended.await, Ended::Lost);
        let before = writes(&world);
        seconds(600).await;
        let after = writes(&world);
        println!("{setting}: {} writes with the lease", before.len());
        assert!(!before.is_empty() && before.len() < NODES, "{setting}: {before:?}");
        assert_eq!(after[before.len()..], [] as [String; 0], "{setting}");
        let outcome = outcome.get().unwrap();
        assert!(
            outcome.contains("this process does not hold the lease"),
            "{setting}: {outcome}"
        );
        assert!(!outcome.contains("the connection broke"), "{setting}: {outcome}");
        context.stop.cancel();
    }
}
