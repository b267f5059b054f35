//! What we add to the time of the tools: `make bench` prints it. The tools are played, each call taking a fixed time, so
//! that what is left is ours.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the tests; a helper of tests may panic"
)]
#[path = "../tests/drivers/world.rs"]
mod world;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use world::{ALL, World, config};

const LATENCY_MS: u64 = 100;
const TIMES: usize = 15;
/// What status may add.
const BOUND: Duration = Duration::from_secs(1);

/// The calls one operation cannot do without, those side by side in one group.
struct Case {
    name: &'static str,
    driver: &'static str,
    bare: &'static [&'static [&'static str]],
}

const CASES: &[Case] = &[
    Case {
        name: "status",
        driver: "k3d",
        bare: &[&["k3d cluster list -o json"]],
    },
    Case {
        name: "status",
        driver: "colima",
        bare: &[&["colima list --json", "colima status --profile dev --json"]],
    },
    Case {
        name: "status",
        driver: "kind",
        bare: &[
            &["docker ps -a --filter label=io.x-k8s.kind.cluster=dev"],
            &["docker inspect dev-control-plane"],
        ],
    },
    Case {
        name: "status",
        driver: "minikube",
        bare: &[&["minikube status -p dev -o json"]],
    },
    Case {
        name: "start (runs already)",
        driver: "k3d",
        bare: &[
            &["k3d cluster list -o json"],
            &["docker inspect k3d-dev-server-0"],
            &["k3d kubeconfig get dev"],
        ],
    },
    Case {
        name: "list (all drivers)",
        driver: "k3d",
        bare: &[&[
            "k3d cluster list -o json",
            "kind get clusters",
            "colima list --json",
            "minikube profile list -o json",
        ]],
    },
];

fn bare(world: &World, groups: &[&[&str]]) -> Duration {
    let begun = Instant::now();
    for group in groups {
        let children = group.iter().map(|line| {
            let mut words = line.split(' ');
            let program = world
                .path("bin")
                .join(words.next().expect("a command line has a first word"));
            let mut command = Command::new(program);
            command
                .args(words)
                .env_clear()
                .envs(&world.host.env)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.spawn()
        });
        for child in children.collect::<Vec<_>>() {
            let _ = child.and_then(|mut child| child.wait());
        }
    }
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut world = World::with(&ALL).await;
    let all = config("k3d: {}\nkind: {}\ncolima: {}\nminikube: {}");
    for driver in ["k3d", "kind", "colima", "minikube"] {
        world
            .manager(driver, "dev")
            .start(&all)
            .await
            .expect("the played tools make clusters");
    }
    world.set("FAKE_LATENCY_MS", LATENCY_MS.to_string());
    let mut table = kit::Table::new(["OPERATION", "DRIVER", "BARE CALLS", "OURS", "ADDED", "WITHIN 1s"]);
    for case in CASES {
        let (mut ours, mut tools) = (Vec::new(), Vec::new());
        let manager = world.manager(case.driver, "dev");
        let host = Arc::new(world.host.clone());
        for _ in 0..TIMES {
            tools.push(bare(&world, case.bare));
            let begun = Instant::now();
            match case.name {
                "status" => drop(manager.status().await.expect("a status")),
                "list (all drivers)" => drop(local_cluster::list(&world.registry, &host).await),
                _ => manager.start(&all).await.expect("a start"),
            }
            ours.push(begun.elapsed());
        }
        let (ours, tools) = (median(ours), median(tools));
        let added = ours.saturating_sub(tools);
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        table.row([
            case.name.to_owned(),
            if case.name.starts_with("list") {
                "all".to_owned()
            } else {
                case.driver.to_owned()
            },
            ms(tools),
            ms(ours),
            ms(added),
            if added < BOUND { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    println!("each call of a played tool takes {LATENCY_MS} ms; medians of {TIMES}\n\n{table}");
}
