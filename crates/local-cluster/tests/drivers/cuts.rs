//! Every command of every driver is killed at every point: before, during and after each call of a tool, and at each phase.
//! The next command completes the work, or says exactly what to do, and that works.

use std::os::unix::process::ExitStatusExt as _;

use local_cluster::{ClusterConfig, Kind, State};
use serde_json::{Value, json};

use crate::world::{COLIMA, World, config, driven, runs};

/// A driver, its tools, and where its calls are cut: programs that stay are not cut after their end.
struct Subject {
    driver: &'static str,
    tools: &'static [&'static str],
    cuts: &'static [&'static str],
}

const EVERYWHERE: &[&str] = &["before", "midway", "after"];

impl Subject {
    async fn world(&self) -> World {
        let mut world = World::with(self.tools).await;
        if self.driver == "sim" {
            world.host.simulator = Some(vec![world.path("bin/sim").into_os_string()]);
        }
        world
    }

    /// A world where `verb` has something to do.
    async fn ready_for(&self, verb: &str) -> World {
        let world = self.world().await;
        if verb != "start" {
            self.manager(&world).start(&self.config()).await.unwrap();
        }
        world
    }

    fn manager(&self, world: &World) -> std::sync::Arc<dyn local_cluster::Manager> {
        world.manager(self.driver, "dev")
    }

    fn config(&self) -> ClusterConfig {
        ClusterConfig::defaults(self.driver)
    }

    /// Cuts one command everywhere, and returns at how many points.
    async fn cut(&self, verb: &str) -> usize {
        let world = self.ready_for(verb).await;
        plan(&world, 0, "after");
        let whole = driven(&world, verb, self.driver, &[]).await;
        assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
        let calls = std::fs::read(world.path("fake/cut.json")).unwrap();
        let calls = serde_json::from_slice::<Value>(&calls).unwrap()["calls"]
            .as_u64()
            .unwrap_or(0);
        let events = String::from_utf8_lossy(&whole.stderr);
        let phases = events.lines().filter(|line| line.starts_with("Phase")).count();
        let mut points = 0;
        for at in 1..=calls {
            // Only what is made can be made by half.
            for when in self.cuts.iter().filter(|when| verb == "start" || **when != "midway") {
                let world = self.ready_for(verb).await;
                plan(&world, at, when);
                self.killed(&world, verb, &[], &format!("{when} call {at}")).await;
                points += 1;
            }
        }
        for phase in 1..=phases {
            let world = self.ready_for(verb).await;
            let env = [("DIE_AT_PHASE", phase.to_string())];
            self.killed(&world, verb, &env, &format!("at phase {phase}")).await;
            points += 1;
        }
        points
    }

    async fn killed(&self, world: &World, verb: &str, env: &[(&str, String)], point: &str) {
        let what = format!("{} {verb}, killed {point}", self.driver);
        let end = driven(world, verb, self.driver, env).await.status;
        assert_eq!(end.signal(), Some(9), "{what}: {end}");
        let _ = std::fs::remove_file(world.path("fake/cut.json"));
        let manager = self.manager(world);
        let between = manager.status().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        match verb {
            "start" => {
                match manager.start(&self.config()).await {
                    Ok(()) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), Kind::Partial, "{what}: {error}");
                        assert!(error.advice().unwrap().contains("start --recreate"), "{what}");
                        assert_ne!(between.state, State::Ready, "{what}");
                        manager
                            .recreate(&self.config())
                            .await
                            .unwrap_or_else(|error| panic!("{what}: {error}"));
                    }
                }
                self.works(world, &what).await;
            }
            "stop" => {
                manager.stop().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                let status = manager.status().await.unwrap();
                assert_eq!((status.state, status.exists), (State::Stopped, true), "{what}");
                manager
                    .start(&self.config())
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                self.works(world, &what).await;
            }
            _ => {}
        }
        manager
            .destroy()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        self.is_gone(world, &what).await;
    }

    async fn works(&self, world: &World, what: &str) {
        let status = self.manager(world).status().await.unwrap();
        assert_eq!(status.state, State::Ready, "{what}: {status:?}");
        assert!(world.kubeconfig().contains(&status.kube_context), "{what}");
        assert_eq!(world.record(self.driver, "dev").unwrap()["phase"], "ready", "{what}");
    }

    async fn is_gone(&self, world: &World, what: &str) {
        let context = self.manager(world).context();
        let status = self.manager(world).status().await.unwrap();
        assert!(!status.exists, "{what}: {status:?}");
        assert!(!world.kubeconfig().contains(&format!("name: {context}")), "{what}");
        assert!(world.record(self.driver, "dev").is_none(), "{what}");
        for left in [
            format!("data/kubeconfigs/{context}.yaml"),
            format!("data/clusters/{}/dev.tool", self.driver),
            format!("data/{}/dev", self.driver),
        ] {
            assert!(!world.path(&left).exists(), "{what}: {left}");
        }
        let left: Vec<_> = world.log().into_iter().filter(|call| runs(&call["pid"])).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
    }

    async fn cut_everything(&self) {
        let mut points = 0;
        for verb in ["start", "stop", "destroy"] {
            points += self.cut(verb).await;
        }
        println!("{}: killed at {points} points", self.driver);
        assert!(points > 10, "{points}");
    }
}

fn plan(world: &World, at: u64, when: &str) {
    std::fs::write(world.path("fake/cut.json"), json!({"at": at, "when": when}).to_string()).unwrap();
}

#[tokio::test]
async fn k3d_is_killed_everywhere() {
    let (tools, cuts): (&[&str], _) = (&["k3d", "docker"], EVERYWHERE);
    Subject {
        driver: "k3d",
        tools,
        cuts,
    }
    .cut_everything()
    .await;
}

#[tokio::test]
async fn kind_is_killed_everywhere() {
    let (tools, cuts): (&[&str], _) = (&["kind", "docker"], EVERYWHERE);
    Subject {
        driver: "kind",
        tools,
        cuts,
    }
    .cut_everything()
    .await;
}

#[tokio::test]
async fn minikube_is_killed_everywhere() {
    let (tools, cuts): (&[&str], _) = (&["minikube", "docker"], EVERYWHERE);
    Subject {
        driver: "minikube",
        tools,
        cuts,
    }
    .cut_everything()
    .await;
}

#[tokio::test]
async fn colima_is_killed_everywhere() {
    let (tools, cuts): (&[&str], _) = (&COLIMA, EVERYWHERE);
    Subject {
        driver: "colima",
        tools,
        cuts,
    }
    .cut_everything()
    .await;
}

#[tokio::test]
async fn processes_are_killed_everywhere() {
    let (tools, cuts): (&[&str], &[&str]) = (&["etcd", "kube-apiserver", "kube-controller-manager"], &["before"]);
    Subject {
        driver: "process",
        tools,
        cuts,
    }
    .cut_everything()
    .await;
}

#[tokio::test]
async fn the_simulator_is_killed_everywhere() {
    let (tools, cuts): (&[&str], &[&str]) = (&["sim"], &["before"]);
    Subject {
        driver: "sim",
        tools,
        cuts,
    }
    .cut_everything()
    .await;
}

#[tokio::test]
async fn a_whole_replacement_that_was_killed_is_completed() {
    let subject = Subject {
        driver: "k3d",
        tools: &["k3d", "docker"],
        cuts: EVERYWHERE,
    };
    for at in 1..=9 {
        let world = subject.ready_for("stop").await;
        plan(&world, at, "after");
        driven(&world, "recreate", "k3d", &[]).await;
        let _ = std::fs::remove_file(world.path("fake/cut.json"));
        world.manager("k3d", "dev").recreate(&config("k3d: {}")).await.unwrap();
        subject
            .works(&world, &format!("recreation, killed after call {at}"))
            .await;
    }
}
