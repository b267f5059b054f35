//! What colima and its files tell about a machine.

use std::path::PathBuf;

use serde::Deserialize;

use crate::error::Error;
use crate::host::Host;
use crate::settings::{Setting, Settings};
use crate::size::Size;
use crate::tool::{Output, classify};

const GIB: f64 = (1024 * 1024 * 1024) as f64;

/// A line of `colima list --json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) status: String,
    pub(super) address: String,
    cpus: u32,
    memory: u64,
    disk: u64,
}

/// What `colima status --json` says of a machine that runs.
pub(super) enum Live {
    Kubernetes,
    NoKubernetes,
    HalfStarted,
    Unknown(Error),
}

#[derive(Deserialize)]
struct StatusInfo {
    #[serde(default)]
    kubernetes: bool,
}

impl Live {
    pub(super) fn of(output: &Output) -> Self {
        if output.code == Some(0) {
            let line = output.stdout.lines().find(|line| line.trim_start().starts_with('{'));
            return match line.and_then(|line| serde_json::from_str::<StatusInfo>(line).ok()) {
                Some(StatusInfo { kubernetes: true }) => Self::Kubernetes,
                Some(StatusInfo { kubernetes: false }) => Self::NoKubernetes,
                None => Self::Unknown(output.unreadable("the JSON of colima status")),
            };
        }
        // colima keeps the runtime's name inside the machine and writes it last.
        if output.stderr.contains("empty value") {
            return Self::HalfStarted;
        }
        Self::Unknown(output.failure(classify(output)))
    }
}

/// The file the machine was booted with: `colima.yaml` in its directory, not the profile's, which is what was last asked
/// for.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Booted {
    cpu: Option<u32>,
    memory: Option<f64>,
    disk: Option<f64>,
    root_disk: Option<f64>,
    arch: Option<String>,
    vm_type: Option<String>,
    mount_type: Option<String>,
    runtime: Option<String>,
    network: BootedNetwork,
    kubernetes: BootedKubernetes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BootedNetwork {
    address: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BootedKubernetes {
    version: Option<String>,
    k3s_args: Option<Vec<String>>,
    port: Option<u16>,
}

/// Where colima keeps its things, by its own rules.
fn base_dir(host: &Host) -> PathBuf {
    let set = |name: &str| host.var(name).map(PathBuf::from);
    let old = host.home.join(".colima");
    if let Some(chosen) = set("COLIMA_HOME").filter(|dir| dir.exists()) {
        return chosen;
    }
    if old.exists() {
        return old;
    }
    if let Some(config) = set("XDG_CONFIG_HOME") {
        return config.join("colima");
    }
    let config = host.home.join(".config/colima");
    if config.exists() || host.os != crate::Os::MacOs {
        config
    } else {
        old
    }
}

/// The settings a machine runs with.
pub(super) fn settings(host: &Host, id: &str, instance: &Instance) -> Settings {
    let lima = host
        .var("LIMA_HOME")
        .map_or_else(|| base_dir(host).join("_lima"), PathBuf::from);
    let text = std::fs::read_to_string(lima.join(id).join("colima.yaml")).unwrap_or_default();
    // Without the file, which an interrupted first start does not write, the listing has to do.
    let booted: Booted = serde_saphyr::from_str(&text).unwrap_or_default();
    let mut settings = Settings::new();
    let gib = |amount: f64| Size::bytes((amount * GIB) as u64).setting();
    let size = |amount: Option<f64>, listed: u64| {
        amount
            .map(gib)
            .or_else(|| (listed > 0).then(|| Size::bytes(listed).setting()))
    };
    let plain = |value: Option<String>| value.filter(|value| !value.is_empty()).map(Setting::plain);
    let cores = booted.cpu.or((instance.cpus > 0).then_some(instance.cpus));
    for (field, setting) in [
        ("cores", cores.map(Setting::plain)),
        ("memory", size(booted.memory, instance.memory)),
        ("disk", size(booted.disk, instance.disk)),
        ("rootDisk", size(booted.root_disk, 0)),
        ("arch", plain(booted.arch.map(|arch| super::plan::arch(&arch)))),
        ("vmType", plain(booted.vm_type)),
        ("mountType", plain(booted.mount_type)),
        ("runtime", plain(booted.runtime)),
        ("networkAddress", booted.network.address.map(Setting::plain)),
        ("kubernetesVersion", plain(booted.kubernetes.version)),
        (
            "k3sArgs",
            booted.kubernetes.k3s_args.map(|args| Setting::plain(args.join(" "))),
        ),
        (
            "k3sPort",
            booted.kubernetes.port.filter(|port| *port != 0).map(Setting::plain),
        ),
    ] {
        if let Some(setting) = setting {
            settings.insert(field.to_owned(), setting);
        }
    }
    settings
}
