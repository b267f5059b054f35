//! A dry run tells the commands that would change something, and runs only those that look.

use local_cluster::{ClusterConfig, Event};

use crate::world::{ALL, World};

const EVERYTHING: [&str; 6] = ["k3d", "kind", "minikube", "colima", "process", "sim"];

/// The calls that only look, by how they begin.
const LOOKS: [&str; 13] = [
    "k3d cluster list",
    "k3d kubeconfig get",
    "kind get",
    "docker ps",
    "docker inspect",
    "docker info",
    "minikube status",
    "minikube profile list",
    "colima list",
    "colima status",
    "colima start --help",
    "colima delete --help",
    "kube-apiserver --version",
];

async fn world() -> World {
    let mut world = World::with(&ALL).await;
    world.install(&["etcd", "kube-apiserver", "sim"]);
    world.host.simulator = Some(vec![world.path("bin/sim").into_os_string()]);
    world
}

/// What a dry run of one command told. Nothing that changes anything was run, and no file was written.
async fn told(world: &mut World, driver: &str, verb: &str) -> Vec<String> {
    world.host.dry_run = true;
    world.forget_calls();
    let before = (files(world, "data"), files(world, "home"), world.events().len());
    let (manager, config) = (world.manager(driver, "dev"), ClusterConfig::defaults(driver));
    let outcome = match verb {
        "start" => manager.start(&config).await,
        "stop" => manager.stop().await,
        "restart" => manager.restart(&config).await,
        "recreate" => manager.recreate(&config).await,
        _ => manager.destroy().await,
    };
    outcome.unwrap_or_else(|error| panic!("{driver} {verb}: {error}"));
    world.host.dry_run = false;
    for call in world.log() {
        let argv: Vec<_> = call["argv"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arg| arg.as_str().unwrap())
            .collect();
        let line = format!("{} {}", call["tool"].as_str().unwrap(), argv.join(" "));
        assert!(
            LOOKS.iter().any(|look| line.starts_with(look)),
            "{driver} {verb} runs {line}"
        );
    }
    assert_eq!(
        (files(world, "data"), files(world, "home")),
        (before.0, before.1),
        "{driver} {verb}"
    );
    let command = |event| match event {
        Event::Command { line } => Some(line),
        _ => None,
    };
    world.events().into_iter().skip(before.2).filter_map(command).collect()
}

fn files(world: &World, dir: &str) -> Vec<(std::path::PathBuf, u64)> {
    fn below(dir: &std::path::Path, found: &mut Vec<(std::path::PathBuf, u64)>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                below(&entry.path(), found);
            }
            found.push((entry.path(), entry.metadata().unwrap().len()));
        }
    }
    let mut found = Vec::new();
    below(&world.path(dir), &mut found);
    // The logs of programs that run grow by themselves.
    found.retain(|(path, _)| path.is_dir() || path.extension().is_none_or(|kind| kind != "log"));
    found.sort();
    found
}

#[tokio::test]
async fn each_command_of_each_driver_can_be_rehearsed() {
    for driver in EVERYTHING {
        let mut world = world().await;
        let absent = told(&mut world, driver, "start").await;
        assert!(!absent.is_empty(), "{driver}");
        for verb in ["stop", "destroy"] {
            assert!(
                told(&mut world, driver, verb).await.is_empty(),
                "{driver} {verb}: there is nothing"
            );
        }
        assert_eq!(
            told(&mut world, driver, "recreate").await.len(),
            absent.len(),
            "{driver}"
        );
        assert_eq!(
            told(&mut world, driver, "restart").await.len(),
            absent.len(),
            "{driver}"
        );

        let manager = world.manager(driver, "dev");
        manager.start(&ClusterConfig::defaults(driver)).await.unwrap();
        assert!(told(&mut world, driver, "start").await.is_empty(), "{driver}: it runs");
        let stop = told(&mut world, driver, "stop").await;
        assert!(!stop.is_empty(), "{driver}");
        let restart = told(&mut world, driver, "restart").await;
        assert!(
            restart.len() > stop.len() && restart[..stop.len()] == stop[..],
            "{driver}: {restart:?}"
        );
        let destroy = told(&mut world, driver, "destroy").await;
        assert!(!destroy.is_empty(), "{driver}");
        let recreate = told(&mut world, driver, "recreate").await;
        assert!(
            recreate.len() > destroy.len() && recreate[..destroy.len()] == destroy[..],
            "{driver}: {recreate:?}"
        );

        manager.stop().await.unwrap();
        let resume = told(&mut world, driver, "start").await;
        assert!(
            !resume.is_empty() && told(&mut world, driver, "stop").await.is_empty(),
            "{driver}"
        );
        manager.destroy().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_told_is_what_is_run() {
    let number = regex::Regex::new(r"\d+").unwrap();
    for driver in ["k3d", "kind", "minikube", "colima"] {
        let mut world = world().await;
        for verb in ["start", "stop", "start", "destroy"] {
            let told = told(&mut world, driver, verb).await;
            world.forget_calls();
            let manager = world.manager(driver, "dev");
            match verb {
                "start" => manager.start(&ClusterConfig::defaults(driver)).await,
                "stop" => manager.stop().await,
                _ => manager.destroy().await,
            }
            .unwrap();
            let ran: Vec<_> = world
                .log()
                .iter()
                .map(|call| {
                    let argv = call["argv"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
                    format!(
                        "{} {}",
                        call["tool"].as_str().unwrap(),
                        argv.collect::<Vec<_>>().join(" ")
                    )
                })
                .filter(|line| !LOOKS.iter().any(|look| line.starts_with(look)))
                .filter(|line| !line.starts_with("colima ssh") && !line.starts_with("minikube update-context"))
                .collect();
            // Ports and deadlines are found anew each time.
            let plain = |lines: &[String]| -> Vec<String> {
                lines
                    .iter()
                    .map(|line| number.replace_all(line, "0").into_owned())
                    .collect()
            };
            assert_eq!(plain(&told), plain(&ran), "{driver} {verb}");
        }
    }
}
