//! Services with a load balancer of the provider's own.

use cloud_sim::Fault;
use serde_json::{Value, json};

use crate::cluster::{SOON, addressed, delete, reserved, told, users_balancer, world};
use crate::harness::{World, seconds};

fn web(port: u16, udp: bool) -> Value {
    let mut ports = vec![json!({"name": "tcp", "port": port, "protocol": "TCP"})];
    if udp {
        ports.push(json!({"name": "udp", "port": port, "protocol": "UDP"}));
    }
    json!({"spec": {"ports": ports}})
}

/// Port, protocol and number of origins of all that load balancers do.
fn traffic(world: &World) -> Vec<(u64, String, usize)> {
    let mut traffic = Vec::new();
    for balancer in world.sim.load_balancers() {
        let ports = balancer["ports"].as_array().cloned().unwrap_or_default();
        let pools = balancer["pools"].as_array().cloned().unwrap_or_default();
        for (port, pools) in ports.iter().zip(&pools) {
            for pool in pools.as_array().into_iter().flatten() {
                let origins = pool["origins"].as_array().map_or(0, Vec::len);
                let protocol = pool["protocol"].as_str().unwrap_or_default().to_owned();
                traffic.push((port["number"].as_u64().unwrap(), protocol, origins));
            }
        }
    }
    traffic.sort();
    traffic
}

#[tokio::test(start_paused = true)]
async fn a_service_lives_and_dies() {
    let world = world("emlb:///da");
    let _ran = world.run(&[]);
    world.add_service("default", "web", &web(80, true));
    let address = addressed(&world, "web").await;
    let balancers = world.sim.load_balancers();
    assert_eq!(balancers.len(), 1);
    assert_eq!(balancers[0]["ips"][0], json!(address));
    let service = world.service("default", "web").unwrap();
    assert_eq!(
        service["metadata"]["annotations"]["equinix.com/loadbalancerID"],
        balancers[0]["id"]
    );
    assert_eq!(
        service["metadata"]["annotations"]["equinix.com/loadbalancerMetro"],
        "da"
    );
    let expected = |origins| vec![(80, "tcp".to_owned(), origins), (80, "udp".to_owned(), origins)];
    assert_eq!(traffic(&world), expected(2));
    assert!(
        reserved(&world).is_empty() && world.sim.bgp_sessions().is_empty(),
        "no BGP"
    );
    assert_eq!(world.asked("GET", "/bgp-config"), 0);
    // Nodes come and go.
    world.add_machine("n2");
    world
        .until("the new node gets traffic", SOON, |world| traffic(world) == expected(3))
        .await;
    world.kube.delete("nodes", None, "n0").unwrap();
    world
        .until("the old one gets none", SOON, |world| traffic(world) == expected(2))
        .await;
    delete(&world, "web").await;
    assert!(world.sim.load_balancers().is_empty());
    assert_eq!(
        world.sim.leaks()["pools"].as_array().map_or(0, Vec::len),
        0,
        "{}",
        world.sim.leaks()
    );
}

#[tokio::test(start_paused = true)]
async fn the_token_is_exchanged_once_and_not_for_every_request() {
    let world = world("emlb:///da");
    let _ran = world.run(&[]);
    for name in ["a", "b", "c"] {
        world.add_service("default", name, &web(80, false));
        addressed(&world, name).await;
    }
    assert_eq!(world.asked("POST", "/api-keys/exchange"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_is_gone_is_made_again_and_holds_no_deletion_up() {
    let world = world("emlb:///da");
    let _ran = world.run(&["--load-balancer-resync-period=1m"]);
    world.add_service("default", "web", &web(80, false));
    addressed(&world, "web").await;
    let mut state = world.sim.state();
    let table = state.as_object_mut().unwrap();
    for name in ["balancers", "lb_ports", "pools", "origins"] {
        if table.contains_key(name) {
            table.insert(name.to_owned(), json!([]));
        }
    }
    world.sim.replace(state).unwrap();
    assert!(world.sim.load_balancers().is_empty());
    world
        .until("it is made again", SOON, |world| world.sim.load_balancers().len() == 1)
        .await;
    seconds(30).await;
    let id = world.sim.load_balancers()[0]["id"].clone();
    let service = world.service("default", "web").unwrap();
    assert_eq!(service["metadata"]["annotations"]["equinix.com/loadbalancerID"], id);
    delete(&world, "web").await;
    assert!(world.sim.load_balancers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_is_hidden_for_a_moment_is_not_made_again() {
    let world = world("emlb:///da");
    let ran = world.run(&[]);
    world.add_service("default", "web", &web(80, false));
    let address = addressed(&world, "web").await;
    seconds(10).await;
    ran.end().await.unwrap();
    let before = world.sim.load_balancers();
    let hidden = Fault::status(404).body(json!({"errors": ["Not found"]}));
    world.fault(hidden.on("GET", "/v1/loadbalancers/loadbal-[^/]*$").always());
    let empty = Fault::status(200).body(json!({"loadbalancers": []}));
    world.fault(empty.on("GET", "/v1/projects/[^/]*/loadbalancers$").always());
    let _ran = world.run(&["--load-balancer-resync-period=1m"]);
    let looks = world.asked("GET", "/loadbalancers");
    let looked = |world: &World| world.asked("GET", "/loadbalancers") > looks;
    world.until("it is looked for", SOON, looked).await;
    seconds(5).await;
    world.sim.front().clear_faults();
    seconds(600).await;
    assert_eq!(world.sim.load_balancers(), before);
    assert_eq!(world.asked("POST", "/loadbalancers"), 1);
    assert_eq!(world.ingress("default", "web"), [address]);
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_cannot_be_done_is_refused_before_anything_is_made() {
    let world = world("emlb:///da");
    let _ran = world.run(&[]);
    let sctp = json!({"spec": {"ports": [{"port": 80, "protocol": "SCTP"}]}});
    world.add_service("default", "web", &sctp);
    world
        .until("it is told", SOON, |world| told(world, "SyncLoadBalancerFailed"))
        .await;
    assert!(
        world
            .events()
            .iter()
            .any(|event| event.2.contains("EMLB cannot do SCTP"))
    );
    assert!(world.sim.load_balancers().is_empty());
    delete(&world, "web").await;
}

#[tokio::test(start_paused = true)]
async fn a_try_that_fails_halfway_leaves_no_second_load_balancer() {
    // The Go program notes the load balancer at its Service after all else worked, and makes another at each try.
    for (method, path) in [
        ("POST", "/loadbalancers/pools$"),
        ("POST", "/origins$"),
        ("POST", "/loadbalancers/[^/]*/ports$"),
    ] {
        let world = world("emlb:///da");
        let _ran = world.run(&[]);
        world.until_initialised(2).await;
        world.fault(Fault::status(422).on(method, path).times(3));
        world.add_service("default", "web", &web(80, false));
        addressed(&world, "web").await;
        assert_eq!(world.sim.load_balancers().len(), 1, "{path}");
        assert_eq!(world.asked("POST", "/loadbalancers"), 1, "{path}");
        assert_eq!(traffic(&world), [(80, "tcp".to_owned(), 2)], "{path}");
        delete(&world, "web").await;
        assert_eq!(world.sim.leaks()["pools"].as_array().map_or(0, Vec::len), 0, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_is_gone_or_forbidden_decides_when_its_service_goes() {
    let world = world("emlb:///da");
    let _ran = world.run(&[]);
    world.add_service("default", "web", &web(80, false));
    addressed(&world, "web").await;
    // 403 is no 404: what may not be seen may still be there.
    world.fault(Fault::status(403).on("GET", "/v1/loadbalancers/loadbal-").always());
    world.kube.delete("services", Some("default"), "web").unwrap();
    seconds(600).await;
    assert!(world.service("default", "web").is_some());
    assert_eq!(world.sim.load_balancers().len(), 1);
    world.sim.front().clear_faults();
    // Somebody deletes it by hand. The Go program keeps the Service for ever then.
    let mut state = world.sim.state();
    for table in ["balancers", "balancer_ports", "balancer_pools", "balancer_origins"] {
        state[table] = json!([]);
    }
    world.sim.replace(state).unwrap();
    world
        .until("the service is gone", 3 * SOON, |world| {
            world.service("default", "web").is_none()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_a_user_named_outlives_his_service() {
    let world = world("emlb:///da");
    let id = users_balancer(&world);
    let _ran = world.run(&[]);
    let mut more = web(80, false);
    more["metadata"] = json!({"annotations": {"equinix.com/loadbalancerID": id}});
    world.add_service("default", "web", &more);
    addressed(&world, "web").await;
    assert_eq!(traffic(&world), [(80, "tcp".to_owned(), 2)]);
    delete(&world, "web").await;
    assert_eq!(world.sim.load_balancers().len(), 1);
    assert_eq!(traffic(&world), [], "what was put there went");
}
