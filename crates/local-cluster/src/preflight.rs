//! What is on this machine, what is wrong with it for local clusters, and what to do about it.

mod files;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kit::{Finding, Verdict};

use crate::drivers::engine::Engine;
use crate::error::Fault;
use crate::host::Host;
use crate::ports;
use crate::tool::{Spec, Tool};

/// No check takes longer than this.
const PATIENCE: Duration = Duration::from_secs(3);

macro_rules! version_spec {
    ($name:ident, $program:literal) => {
        static $name: Spec = Spec {
            program: $program,
            advice: "",
            hidden: |_| false,
            set: &[],
        };
    };
}
version_spec!(K3D, "k3d");
version_spec!(KIND, "kind");
version_spec!(MINIKUBE, "minikube");
version_spec!(COLIMA, "colima");

/// Looks at everything side by side: tools and their versions, the container engine, the binaries of the `process` driver,
/// ports of our clusters, disk, memory, kernel limits, the kubeconfig, and what interrupted commands left.
pub async fn preflight(host: &Arc<Host>) -> Vec<Finding> {
    let tools = [
        (&K3D, "version"),
        (&KIND, "version"),
        (&MINIKUBE, "version"),
        (&COLIMA, "version"),
    ];
    let tools = join_all(tools.map(|(spec, verb)| tool(host, spec, verb)));
    let (tools, engine) = tokio::join!(tools, engine(host));
    let mut findings = tools;
    findings.push(engine);
    if host.find("colima").is_some() {
        findings.extend(companions(host));
    }
    findings.push(binaries(host));
    findings.push(simulator(host));
    findings.extend(taken_ports(host));
    findings.extend(files::disk(host));
    findings.extend(files::memory());
    findings.extend(files::inotify());
    findings.extend(files::kubeconfigs(host));
    findings.extend(files::interrupted(host));
    findings
}

async fn tool(host: &Arc<Host>, spec: &'static Spec, verb: &str) -> Finding {
    let name = spec.program;
    let Some(path) = host.find(name) else {
        return Finding::new(name, Verdict::Note, "not installed")
            .advice(format!("install it to use the driver {name}"));
    };
    let answer = tokio::time::timeout(PATIENCE, Tool::new(host, spec).ask(&[verb])).await;
    match answer {
        Ok(Ok(output)) if output.code == Some(0) => {
            let version = output.stdout.lines().next().unwrap_or_default().trim().to_owned();
            Finding::new(name, Verdict::Ok, format!("{version} at {}", path.display()))
        }
        Ok(Ok(output)) => Finding::new(name, Verdict::Warning, kit::chain(&output.failure(Fault::Unknown)))
            .advice(format!("run {name} {verb} to see what is wrong with it")),
        Ok(Err(error)) => Finding::new(name, Verdict::Warning, kit::chain(&error)).advice(format!("reinstall {name}")),
        Err(_) => Finding::new(name, Verdict::Warning, "does not answer within 3s")
            .advice(format!("run {name} {verb} to see what it waits for")),
    }
}

async fn engine(host: &Arc<Host>) -> Finding {
    const CHECK: &str = "container engine";
    if host.find("docker").is_none() {
        return Finding::new(CHECK, Verdict::Note, "docker is not installed")
            .advice("k3d, kind and most minikube clusters need it");
    }
    match tokio::time::timeout(PATIENCE, Engine::docker(host).ping()).await {
        Ok(Ok(version)) => Finding::new(CHECK, Verdict::Ok, format!("docker answers, version {version}")),
        Ok(Err(error)) => {
            let finding = Finding::new(CHECK, Verdict::Warning, kit::chain(&error));
            finding.advice(error.advice().unwrap_or_else(|| "docker info tells more".to_owned()))
        }
        Err(_) => Finding::new(CHECK, Verdict::Warning, "docker does not answer within 3s")
            .advice("restart the container engine; every k3d, kind and minikube command waits for it"),
    }
}

/// What colima needs beside itself.
fn companions(host: &Host) -> Vec<Finding> {
    ["limactl", "kubectl"]
        .into_iter()
        .filter(|name| host.find(name).is_none())
        .map(|name| {
            Finding::new(
                format!("colima: {name}"),
                Verdict::Problem,
                format!("{name} is not on PATH, and colima needs it"),
            )
            .advice(format!("install {}", if name == "limactl" { "lima" } else { name }))
        })
        .collect()
}

fn binaries(host: &Host) -> Finding {
    let missing: Vec<_> = ["etcd", "kube-apiserver"]
        .into_iter()
        .filter(|name| crate::drivers::process::find(host, None, name).is_none())
        .collect();
    if missing.is_empty() {
        Finding::new("process", Verdict::Ok, "etcd and kube-apiserver are there")
    } else {
        Finding::new("process", Verdict::Note, format!("{} not found", missing.join(" and ")))
            .advice("the driver process needs them: --bin-dir, KUBEBUILDER_ASSETS or PATH")
    }
}

fn simulator(host: &Host) -> Finding {
    if host.simulator.is_some() {
        Finding::new("sim", Verdict::Ok, "built in: an API without containers, needs nothing")
    } else {
        Finding::new("sim", Verdict::Note, "this program comes without a simulator")
    }
}

/// The ports that stopped clusters of ours will want back.
fn taken_ports(host: &Host) -> Vec<Finding> {
    crate::drivers::kept_ports(host)
        .into_iter()
        .filter(|(_, port)| !ports::is_free(*port))
        .map(|(cluster, port)| {
            let holder = ports::owner(port).map_or_else(|| "another program".to_owned(), |owner| owner.to_string());
            Finding::new(
                format!("port {port}"),
                Verdict::Warning,
                format!("taken by {holder}, but {cluster} wants it back"),
            )
            .advice("stop that program, or start the cluster with another apiPort")
        })
        .collect()
}
