//! What is on this machine, what is wrong with it for local clusters, and what to do about it.

mod creation;
mod files;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kit::{Finding, Verdict};

use crate::config;
use crate::drivers::KeptPort;
use crate::drivers::engine::Engine;
use crate::error::Fault;
use crate::host::Host;
use crate::ports;
use crate::tool::{Spec, Tool};
pub(crate) use creation::{check, programs};

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

/// Looks at everything side by side: tools and their versions, the container engines, the binaries of the `process` driver,
/// ports of our clusters, disk, memory, kernel limits, the kubeconfig, and what interrupted commands left.
pub async fn preflight(host: &Arc<Host>) -> Vec<Finding> {
    let tools = join_all([&K3D, &KIND, &MINIKUBE, &COLIMA].map(|spec| tool(host, spec)));
    let (tools, engines) = tokio::join!(tools, engines(host));
    let mut findings = tools;
    findings.extend(engines);
    if host.find("colima").is_some() {
        findings.extend(companions(host));
    }
    findings.push(binaries(host));
    findings.push(simulator(host));
    findings.extend(taken_ports(host));
    findings.extend(files::disk(host));
    findings.push(files::memory());
    findings.extend(files::inotify());
    findings.extend(files::kubeconfigs(host));
    findings.extend(files::interrupted(host));
    findings
}

async fn tool(host: &Arc<Host>, spec: &'static Spec) -> Finding {
    let name = spec.program;
    let Some(path) = host.find(name) else {
        return Finding::new(name, Verdict::Note, "not installed")
            .advice(format!("install it to use the driver {name}"));
    };
    let answer = tokio::time::timeout(PATIENCE, Tool::new(host, spec).ask(&["version"])).await;
    match answer {
        Ok(Ok(output)) if output.code == Some(0) => {
            let version = output.stdout.lines().next().unwrap_or_default().trim().to_owned();
            Finding::new(name, Verdict::Ok, format!("{version} at {}", path.display()))
        }
        Ok(Ok(output)) => Finding::new(name, Verdict::Warning, kit::chain(&output.failure(Fault::Unknown)))
            .advice(format!("run {name} version to see what is wrong with it")),
        Ok(Err(error)) => Finding::new(name, Verdict::Warning, kit::chain(&error)).advice(format!("reinstall {name}")),
        Err(_) => Finding::new(name, Verdict::Warning, "does not answer within 3s")
            .advice(format!("run {name} version to see what it waits for")),
    }
}

/// Each container engine that is installed: docker for k3d, any for kind, docker or podman for minikube.
async fn engines(host: &Arc<Host>) -> Vec<Finding> {
    const CHECK: &str = "container engine";
    let installed: Vec<_> = Engine::NAMES
        .into_iter()
        .filter(|name| host.find(name).is_some())
        .collect();
    let mut findings = Vec::new();
    if !installed.contains(&"docker") {
        findings.push(
            Finding::new(CHECK, Verdict::Note, "docker is not installed")
                .advice("k3d needs it; kind and minikube need it or another engine"),
        );
    }
    findings.extend(join_all(installed.into_iter().map(|name| engine(host, name))).await);
    findings
}

async fn engine(host: &Arc<Host>, name: &'static str) -> Finding {
    let check = format!("container engine {name}");
    match tokio::time::timeout(PATIENCE, Engine::named(host, name).ping()).await {
        Ok(Ok(version)) => Finding::new(check, Verdict::Ok, format!("it answers, version {version}")),
        Ok(Err(error)) => {
            let finding = Finding::new(check, Verdict::Warning, kit::chain(&error));
            finding.advice(error.advice().unwrap_or_else(|| format!("{name} info tells more")))
        }
        Err(_) => Finding::new(check, Verdict::Warning, "it does not answer within 3s")
            .advice("restart it: every command of a tool that uses it waits for it"),
    }
}

/// What colima needs beside itself.
fn companions(host: &Host) -> Vec<Finding> {
    let programs = crate::drivers::colima::programs(&host.os, &config::Colima::default());
    programs
        .into_iter()
        .filter(|program| host.find(program.name).is_none())
        .map(|program| {
            Finding::new(
                format!("colima: {}", program.name),
                Verdict::Problem,
                format!("{} is not on PATH, and colima needs it", program.name),
            )
            .advice(program.advice)
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
        .filter(|kept| kept.waits && !ports::is_free(kept.port))
        .map(|KeptPort { cluster, port, .. }| {
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
