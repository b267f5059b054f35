//! `--audit`: the program itself lists what was left behind, and changes nothing.

use std::process::Stdio;

use phoenixnap_sim::{CLIENT_ID, CLIENT_SECRET, Kind, Settings, TOKEN_PATH};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::{OWNER, world};
use crate::harness::World;

/// Runs the program against the world over real sockets, and gives what it printed.
async fn audit(world: &World, announcer: &str) -> String {
    let (dir, end) = (
        std::env::temp_dir().join(format!("audit-{}", std::process::id())),
        CancellationToken::new(),
    );
    std::fs::create_dir_all(&dir).unwrap();
    let (kube, cloud) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let kubeconfig = world
        .kube
        .kubeconfig(&format!("https://{}", kube.local_addr().unwrap()));
    let url = format!("http://{}", cloud.local_addr().unwrap());
    let config = json!({
        "clientID": CLIENT_ID, "clientSecret": CLIENT_SECRET, "base-url": url, "token-url": format!("{url}{TOKEN_PATH}"),
        "loadbalancer": format!("{announcer}://{}", world.public_network()), "deleteOrphanedIPBlocks": true,
    });
    std::fs::write(dir.join("kubeconfig"), kubeconfig).unwrap();
    std::fs::write(dir.join("cloud-sa.json"), config.to_string()).unwrap();
    tokio::spawn(kube_sim::serve::tls(world.kube.clone(), kube, end.clone()));
    tokio::spawn(cloud_sim::serve(world.sim.router(), cloud, end.clone()));
    let program = env!("CARGO_BIN_EXE_cloud-provider-phoenixnap");
    let output = Command::new(program)
        .env_clear()
        .arg("--audit")
        .arg(format!("--kubeconfig={}", dir.join("kubeconfig").display()))
        .arg(format!("--cloud-config={}", dir.join("cloud-sa.json").display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    end.cancel();
    std::fs::remove_dir_all(&dir).unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(!told.contains(CLIENT_SECRET));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn an_audit_lists_what_nobody_needs_and_touches_nothing() {
    let world = world(Settings::default(), json!({}));
    world.install_metallb();
    let tag = |name: &str, value: &str| json!({"name": name, "value": value});
    let cluster = [tag("usage", OWNER), tag("cluster", &world.uid())];
    let with = |more: Value| {
        let tags: Vec<Value> = cluster.iter().cloned().chain([more]).collect();
        json!({ "tags": tags })
    };
    world.sim.add(Kind::Tag, json!({"name": "sharedBlock"})).unwrap();
    world.add_service("web", &json!({}));
    let used = world.add_block("203.0.113.0/29", "web", &json!({}));
    let foreign = world.add_block("203.0.113.8/29", "web", &json!({"tags": []}));
    let left = [
        world.add_block("203.0.113.16/29", "vanished", &json!({})),
        world.add_block("203.0.113.24/29", "x", &with(tag("sharedBlock", "true"))),
        world.add_block("203.0.113.32/29", "x", &with(tag("delete", "true"))),
    ];
    let pool = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {
            "name": "default.web", "namespace": "metallb-system",
            "labels": {"cloud-provider": "phoenixnap", "service-web": "namespace-default"},
        },
        "spec": {"addresses": ["203.0.113.2/32"]},
    });
    world.kube.create(pool).unwrap();
    let state = |world: &World| {
        let listed = ["services", "events", "ipaddresspools.metallb.io"].map(|kind| world.kube.list(kind));
        (world.sim.objects(Kind::Block), listed)
    };
    let before = state(&world);
    let printed = audit(&world, "kube-vip").await;
    for id in &left {
        assert!(printed.contains(id.as_str()), "{id} in\n{printed}");
    }
    assert!(
        printed.contains("default/vanished") && printed.contains("MetalLB's namespace metallb-system"),
        "{printed}"
    );
    assert!(!printed.contains(&used) && !printed.contains(&foreign), "{printed}");
    assert!(state(&world) == before, "something was changed");
    let requests = world.sim.front().requests();
    let writes: Vec<_> = requests
        .iter()
        .filter(|it| it.method != "GET" && !it.path.ends_with("/token"))
        .collect();
    assert!(writes.is_empty() && requests.len() >= 3, "{writes:?}");
    let written: Vec<_> = world
        .kube
        .requests()
        .into_iter()
        .filter(|it| it.method != "GET")
        .collect();
    assert!(written.is_empty(), "{written:?}");
    // Where MetalLB announces, its pools are in place.
    let printed = audit(&world, "metallb").await;
    assert!(!printed.contains("MetalLB's namespace"), "{printed}");
}
