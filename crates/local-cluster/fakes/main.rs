//! Plays the tools that clusters are made with, well enough to be believed: state in `FAKE_DIR`, the outputs and exit codes
//! of the real ones, and faults on demand. The name it is called by says which tool it is.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's tool prints, and whatever it does not expect is a failed test"
)]

mod client;
mod colima;
mod docker;
mod drive;
mod k3d;
mod kind;
mod minikube;
mod play;
mod serve;
mod servers;

use std::path::Path;

use play::Play;

fn main() {
    let mut words = std::env::args();
    let called = words.next().unwrap_or_default();
    let mut tool = Path::new(&called)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_owned();
    if tool == "fake-cluster-tool" {
        tool = words.next().unwrap_or_default();
    }
    let play = Play::new(&tool, words.collect());
    let code = match tool.as_str() {
        "k3d" => k3d::run(&play),
        "kind" => kind::run(&play),
        "minikube" => minikube::run(&play),
        "colima" => colima::run(&play),
        "docker" | "podman" => docker::run(&play),
        "etcd" => servers::etcd(&play),
        "kube-apiserver" => servers::api_server(&play),
        "kube-controller-manager" => servers::idle(),
        "sim" => servers::sim(&play),
        "drive" => drive::run(&play),
        // kubectl, limactl and such only have to be there.
        _ => 0,
    };
    play.end(code);
}
