//! Tools that ask, shout, leak and flood, and disks that are full.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use local_cluster::{ClusterConfig, Fault, Kind, State, list};

use crate::world::{ALL, FAKE, World, config, driven, driving};

const TOOLS: [&str; 4] = ["k3d", "kind", "minikube", "colima"];
const TOKEN: &str = "s3cr3t-join-token";

#[tokio::test]
async fn a_tool_that_asks_gets_no_answer_and_nobody_waits() {
    for driver in TOOLS {
        let world = World::with(&ALL).await;
        for tool in ALL {
            world.faults(tool, "", "reads_stdin", 99);
        }
        let manager = world.manager(driver, "dev");
        let all = ClusterConfig::defaults(driver);
        manager.start(&all).await.unwrap();
        manager.stop().await.unwrap();
        manager.destroy().await.unwrap();
        let read = std::fs::read_to_string(world.path("fake/read")).unwrap();
        assert_eq!(read, "", "{driver}: the end of input is all there is");
        let deletions = world
            .calls(driver)
            .into_iter()
            .filter(|call| call.starts_with("delete --profile"));
        assert!(deletions.into_iter().all(|call| call.contains("--force")), "{driver}");
    }
}

/// Everything a person, a script or another program could read.
fn readable(dir: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            readable(&path, into);
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            into.push((path.display().to_string(), text));
        }
    }
}

#[tokio::test]
async fn a_secret_gets_nowhere() {
    let plain = config("k3d: {agents: 1}");
    let verbs = ["list", "create", "start", "stop", "delete"].map(|verb| format!("cluster {verb}"));
    let mut said = Vec::new();
    for verb in verbs
        .into_iter()
        .chain(["kubeconfig get".to_owned(), "version".to_owned()])
    {
        let world = World::with(&["k3d", "docker"]).await;
        let manager = world.manager("k3d", "dev");
        if !["cluster create", "cluster list"].contains(&verb.as_str()) {
            manager.start(&plain).await.unwrap();
        }
        if verb == "cluster start" {
            manager.stop().await.unwrap();
        }
        world.faults("k3d", &verb, "token_leak", 2);
        let host = std::sync::Arc::new(world.host.clone());
        said.push((verb.clone(), format!("{:?}", list(&world.registry, &host).await)));
        world.faults("k3d", &verb, "token_leak", 99);
        let mut hurried = world.host.clone();
        hurried.limits.start = Some(std::time::Duration::from_millis(200));
        let manager = world
            .registry
            .manager("k3d", &std::sync::Arc::new(hurried), "dev")
            .unwrap();
        for outcome in [
            manager.start(&plain).await.map(drop),
            manager
                .status()
                .await
                .map(|status| said.push((verb.clone(), serde_json::to_string(&status).unwrap()))),
            manager.kubeconfig().await.map(|text| said.push((verb.clone(), text))),
            manager.recreate(&plain).await.map(drop),
            manager.stop().await.map(drop),
            manager.destroy().await.map(drop),
        ] {
            if let Err(error) = outcome {
                said.push((
                    verb.clone(),
                    format!("{error} {error:?} {:?} {}", error.advice(), kit::chain(&error)),
                ));
            }
        }
        said.extend(
            local_cluster::preflight(&host)
                .await
                .into_iter()
                .map(|one| (verb.clone(), format!("{one:?}"))),
        );
        said.push((verb.clone(), format!("{:?}", world.events())));
        for dir in ["data", "home"] {
            readable(&world.path(dir), &mut said);
        }
    }
    let world = World::with(&["k3d", "docker"]).await;
    for fault in ["truncate_json", "garbage_stdout"] {
        world.manager("k3d", "dev").start(&plain).await.unwrap();
        world.fault("k3d", "cluster list", fault);
        said.push((
            fault.to_owned(),
            format!("{:?}", world.manager("k3d", "dev").status().await),
        ));
    }
    said.push(("events".to_owned(), format!("{:?}", world.events())));
    readable(&world.path("data"), &mut said);
    assert!(
        said.iter().any(|(_, text)| text.contains("***")),
        "nothing was leaked to begin with"
    );
    assert!(said.len() > 60, "{}", said.len());
    for (place, text) in said {
        assert!(!text.contains(TOKEN), "{place}: {text}");
    }
}

#[tokio::test]
async fn ten_megabytes_instead_of_an_answer_are_never_an_absent_cluster() {
    let world = World::with(&ALL).await;
    for driver in TOOLS {
        world
            .manager(driver, "dev")
            .start(&ClusterConfig::defaults(driver))
            .await
            .unwrap();
    }
    for (driver, tool, verb) in [
        ("k3d", "k3d", "cluster list"),
        ("colima", "colima", "list"),
        ("colima", "colima", "status"),
        ("minikube", "minikube", "status"),
        ("kind", "docker", "ps"),
        ("kind", "docker", "inspect"),
    ] {
        let manager = world.manager(driver, "dev");
        for fault in ["big_stdout", "flood", "big_stderr"] {
            if fault == "flood" && tool != "k3d" {
                continue;
            }
            world.forget_calls();
            world.faults(tool, verb, fault, 9);
            let what = format!("{driver}: {fault} of {tool} {verb}");
            let mut errors = vec![
                manager.status().await.expect_err(&what),
                manager.start(&ClusterConfig::defaults(driver)).await.expect_err(&what),
            ];
            if fault == "big_stderr" {
                errors.push(manager.stop().await.expect_err(&what));
                errors.push(manager.destroy().await.expect_err(&what));
            }
            for error in errors {
                assert!(matches!(error.kind(), Kind::Tool(_)), "{what}: {error}");
                if fault == "big_stderr" {
                    assert!(error.to_string().contains("and then it failed"), "{what}: {error}");
                } else {
                    assert_eq!(error.fault(), Some(Fault::BadOutput), "{what}: {error}");
                }
                assert!(error.to_string().len() < 2_000, "{what}");
            }
            let _ = std::fs::remove_file(world.path("fake/faults.json"));
            for verb in [
                "cluster create",
                "create",
                "start --profile",
                "start -p",
                "delete",
                "cluster delete",
            ] {
                assert_eq!(world.count(driver, verb), 0, "{what}: nothing is changed on a guess");
            }
        }
        assert_eq!(manager.status().await.unwrap().state, State::Ready, "{driver}");
    }
}

#[tokio::test]
async fn a_tool_that_shouts_while_it_works_is_heard_in_part() {
    for (driver, verb) in [("k3d", "cluster create"), ("minikube", "start")] {
        let world = World::with(&ALL).await;
        world.fault(driver, verb, "flood");
        let output = driven(&world, "start", driver, &[]).await;
        assert!(output.status.success(), "{driver}");
        assert_eq!(world.manager(driver, "dev").status().await.unwrap().state, State::Ready);
        assert!(
            output.stderr.len() < 64 * 1024,
            "{driver}: {} bytes of events",
            output.stderr.len()
        );
        let peak: u64 = std::fs::read_to_string(world.path("fake/peak"))
            .unwrap()
            .parse()
            .unwrap_or(0);
        assert!(peak < 64 * 1024, "{driver}: {peak} KiB for 64 MiB of noise");
        println!("{driver}: at most {peak} KiB of memory for 64 MiB of noise");
        world.manager(driver, "dev").destroy().await.unwrap();
        world.fault(driver, verb, "big_stderr");
        let error = world
            .manager(driver, "dev")
            .start(&ClusterConfig::defaults(driver))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("and then it failed"), "{driver}: {error}");
    }
}

/// Runs a script where a directory of the world is a full disk of 64 KiB; nothing, when this user may not mount one.
async fn on_a_full_disk(world: &World, dir: &str, script: &str) -> Option<Output> {
    let namespace = ["--user", "--map-root-user", "--mount"];
    let dir = world.path(dir);
    std::fs::create_dir_all(&dir).unwrap();
    let allowed = Command::new("/usr/bin/unshare")
        .args(namespace)
        .args(["mount", "-t", "tmpfs", "none"])
        .arg(&dir)
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("not run: this user may not mount a small disk (unshare --user --mount)");
        return None;
    }
    let mut command = Command::new("/usr/bin/unshare");
    command.args(namespace).args(["/bin/sh", "-c"]).arg(format!(
        "M='mount -t tmpfs -o size=64k none'; D='{dir}'; F='{FAKE}'; fill() {{ cat /dev/zero > \"$D/filler\" 2>/dev/null; }}\n\
         PATH=/usr/bin:/bin:/usr/sbin:/sbin; $M \"$D\" || exit 99; {script}",
        dir = dir.display(),
    ));
    let of_driver = driving(world, "start", "k3d");
    let env = of_driver.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command
        .env_clear()
        .envs(env)
        .env("TOOLS", world.path("bin"))
        .stdin(Stdio::null());
    Some(tokio::process::Command::from(command).output().await.unwrap())
}

const RUN: &str = "PATH=\"$TOOLS\" \"$F\" drive";

#[tokio::test]
async fn a_full_disk_costs_what_we_remember_and_not_the_cluster() {
    let world = World::with(&["k3d", "docker"]).await;
    let script = format!("fill; {RUN} start k3d dev");
    let Some(output) = on_a_full_disk(&world, "data", &script).await else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("what was done is not recorded") && said.contains("No space left on device"),
        "{said}"
    );
    assert!(said.contains("Warning") && said.contains("of disk are free"), "{said}");
    // The disk is gone with the namespace, and the cluster works.
    assert!(world.kubeconfig().contains("name: k3d-dev"));
    let manager = world.manager("k3d", "dev");
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn a_kubeconfig_on_a_full_disk_stays_as_it_is() {
    let world = World::with(&["k3d", "docker"]).await;
    let script = format!(
        "printf 'apiVersion: v1\\nkind: Config\\n# mine\\n' > \"$D/config\"; cp \"$D/config\" \"$D/before\"; fill; \
         {RUN} start k3d dev; S=$?; cmp \"$D/config\" \"$D/before\" || exit 98; ls -A \"$D\"; exit $S"
    );
    let Some(output) = on_a_full_disk(&world, "home/.kube", &script).await else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "before\nconfig\nfiller\n",
        "no remains"
    );
    let manager = world.manager("k3d", "dev");
    assert_eq!(
        manager.status().await.unwrap().state,
        State::Ready,
        "the cluster itself is there"
    );
    manager.start(&config("k3d: {}")).await.unwrap();
    assert!(world.kubeconfig().contains("name: k3d-dev"));
}

#[tokio::test]
async fn what_cannot_begin_on_a_full_disk_does_not_begin() {
    for (driver, tools) in [
        ("kind", &["kind", "docker"][..]),
        ("process", &["etcd", "kube-apiserver"]),
        ("sim", &["sim"]),
    ] {
        let world = World::with(tools).await;
        let script = format!("fill; {RUN} start {driver} dev");
        let Some(output) = on_a_full_disk(&world, "data", &script).await else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{driver}: {said}");
        assert!(
            said.contains("cannot write") || said.contains("No space left"),
            "{driver}: {said}"
        );
        assert!(world.state(driver, "dev").is_none());
        let parts = world.log().into_iter().filter(|call| call["tool"] != "drive");
        let left: Vec<_> = parts.filter(|call| crate::world::runs(&call["pid"])).collect();
        assert!(left.is_empty(), "{driver}: {left:?}");
    }
}
