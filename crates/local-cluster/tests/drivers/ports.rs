//! Ports that several commands choose at the same moment.

use std::process::{Command, Stdio};

use local_cluster::Fault;

use crate::world::{FAKE, World, config, driving};

/// Where the system has few ports to give, those who choose at once get the same. Nobody asks the servers anything: each
/// question would come from one of these ports too.
#[tokio::test]
async fn clusters_that_are_started_at_once_get_different_ports() {
    let world = World::with(&["sim"]).await;
    let namespace = ["--user", "--map-root-user", "--net"];
    let few = "PATH=/usr/bin:/bin:/usr/sbin:/sbin; ip link set lo up && \
               echo 41000 41023 > /proc/sys/net/ipv4/ip_local_port_range";
    let allowed = Command::new("/usr/bin/unshare")
        .args(namespace)
        .args(["/bin/sh", "-c", few])
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("not run: this user may not make a network of its own (unshare --user --net)");
        return;
    }
    let script = format!(
        "{few}; for n in 1 2 3 4 5 6 7 8; do PATH=\"$TOOLS\" {FAKE} drive start sim c$n & P=\"$P $!\"; done; \
         for p in $P; do wait $p || S=1; done; \
         for n in 1 2 3 4 5 6 7 8; do PATH=\"$TOOLS\" {FAKE} drive stop sim c$n || S=1; done; exit $S"
    );
    let mut command = Command::new("/usr/bin/unshare");
    command.args(namespace).args(["/bin/sh", "-c", &script]);
    let drive = driving(&world, "start", "sim");
    let env = drive.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command
        .env_clear()
        .envs(env)
        .env("TOOLS", world.path("bin"))
        .env("DRIVE_WITHOUT_WAITING", "yes")
        .stdin(Stdio::null());
    let output = tokio::process::Command::from(command).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let ports: std::collections::BTreeSet<String> = (1..=8)
        .map(|n| std::fs::read_to_string(world.path(&format!("data/sim/c{n}/sim.json"))).unwrap())
        .collect();
    assert_eq!(ports.len(), 8, "{ports:?}");
}

#[tokio::test]
async fn a_port_that_was_taken_after_it_was_chosen_is_no_failure() {
    let mut world = World::with(&["sim"]).await;
    world.host.simulator = Some(vec![world.path("bin/sim").into_os_string()]);
    let taken = "exit:1:listen tcp 127.0.0.1:1: bind: address already in use";
    world.fault("sim", "--listen", taken);
    let manager = world.manager("sim", "dev");
    manager.start(&config("")).await.unwrap();
    let listened = |call: &String| call.split(' ').nth(1).unwrap().to_owned();
    let calls: Vec<_> = world.calls("sim").iter().map(listened).collect();
    assert!(calls.len() == 2 && calls[0] != calls[1], "{calls:?}");
    manager.stop().await.unwrap();
    world.fault("sim", "--listen", taken);
    let error = manager.start(&config("")).await.unwrap_err();
    assert_eq!(
        error.fault(),
        Some(Fault::PortInUse),
        "its own port it does not give up: {error}"
    );
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn ports_that_were_taken_while_processes_were_started_are_no_failure() {
    let world = World::with(&["etcd", "kube-apiserver"]).await;
    let taken = "exit:1:listen tcp 127.0.0.1:1: bind: address already in use";
    for (tool, verb) in [("etcd", "--name"), ("kube-apiserver", "--etcd-servers")] {
        world.forget_calls();
        world.fault(tool, verb, taken);
        let manager = world.manager("process", "dev");
        manager.start(&config("")).await.unwrap();
        let begun = |tool| {
            let calls = world.calls(tool).into_iter();
            calls.filter(|call| !call.contains("--version")).collect::<Vec<_>>()
        };
        let calls = begun(tool);
        assert!(calls.len() == 2 && calls[0] != calls[1], "{tool}: {calls:?}");
        // What had come up already stays.
        let others = ["etcd", "kube-apiserver"].map(|tool| begun(tool).len());
        assert_eq!(others.iter().sum::<usize>(), 3, "{tool}: {others:?}");
        manager.stop().await.unwrap();
        world.fault(tool, verb, taken);
        let error = manager.start(&config("")).await.unwrap_err();
        let fault = error.fault();
        assert_eq!(fault, Some(Fault::PortInUse), "its own ports it keeps: {error}");
        manager.destroy().await.unwrap();
    }
}
