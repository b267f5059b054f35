//! What a configuration means to colima.

use crate::config::{self, Colima};
use crate::error::{Error, Fault};
use crate::host::Os;
use crate::needs::Program;
use crate::settings::{Applies, Setting, Settings};

/// An architecture by the one name colima stores: `host` is what this machine is.
pub(super) fn arch(name: &str) -> String {
    match name {
        "host" => std::env::consts::ARCH.to_owned(),
        "arm64" => "aarch64".to_owned(),
        "amd64" => "x86_64".to_owned(),
        other => other.to_owned(),
    }
}

fn one_of(field: &str, value: Option<&String>, allowed: &[&str]) -> Result<(), Error> {
    match value {
        Some(value) if !allowed.contains(&value.as_str()) => Err(Error::config(
            format!("colima.{field}"),
            format!("{value:?} is none of {}", allowed.join(", ")),
        )),
        _ => Ok(()),
    }
}

pub(super) fn wants(config: &Colima, os: &Os) -> Result<Settings, Error> {
    if config.cores == Some(0) {
        return Err(Error::config("colima.cores", "a machine has at least one"));
    }
    config::check_port("colima.k3sPort", config.k3s_port)?;
    one_of("arch", config.arch.as_ref(), &["host", "aarch64", "x86_64"])?;
    one_of("vmType", config.vm_type.as_ref(), &["qemu", "vz", "krunkit"])?;
    one_of("runtime", config.runtime.as_ref(), &["docker", "containerd"])?;
    one_of("mountType", config.mount_type.as_ref(), &["sshfs", "9p", "virtiofs"])?;
    if *os != Os::MacOs {
        for (field, given) in [
            ("vmType", config.vm_type.is_some()),
            ("networkAddress", config.network_address.is_some()),
        ] {
            if given {
                return Err(Error::config(
                    format!("colima.{field}"),
                    "colima has this on macOS only",
                ));
            }
        }
    }
    for (field, size) in [("disk", &config.disk), ("rootDisk", &config.root_disk)] {
        if let Some(size) = size.as_ref().filter(|size| size.in_gib().contains('.')) {
            return Err(Error::config(
                format!("colima.{field}"),
                format!("colima makes disks of whole GiB, and {size} is {}GiB", size.in_gib()),
            ));
        }
    }
    if let Some(mount) = config.mounts.iter().find(|mount| mount.location.contains(' ')) {
        return Err(Error::config(
            "colima.mounts",
            format!("{:?}: colima takes no paths with spaces", mount.location),
        ));
    }
    let text = |value: &Option<String>| value.as_ref().map(Setting::plain);
    let list = |items: Vec<String>| (!items.is_empty()).then(|| Setting::plain(items.join(" ")));
    let env = config.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let env = (!config.env.is_empty()).then(|| Setting::private(env));
    let fields = [
        ("cores", config.cores.map(Setting::plain)),
        ("memory", config.memory.as_ref().map(crate::Size::setting)),
        ("disk", config.disk.as_ref().map(crate::Size::setting)),
        ("rootDisk", config.root_disk.as_ref().map(crate::Size::setting)),
        ("arch", config.arch.as_deref().map(|name| Setting::plain(arch(name)))),
        ("vmType", text(&config.vm_type)),
        ("mountType", text(&config.mount_type)),
        ("runtime", text(&config.runtime)),
        ("kubernetesVersion", text(&config.kubernetes_version)),
        ("k3sArgs", list(config.k3s_args.clone())),
        ("k3sPort", config.k3s_port.map(Setting::plain)),
        ("networkAddress", config.network_address.map(Setting::plain)),
        ("mounts", list(config.mounts.iter().map(mount).collect())),
        ("dns", list(config.dns.clone())),
        ("env", env),
    ];
    Ok(fields
        .into_iter()
        .filter_map(|(field, setting)| Some((field.to_owned(), setting?)))
        .collect())
}

/// The programs colima runs for such a machine.
pub(crate) fn programs(os: &Os, config: &Colima) -> Vec<Program> {
    let program = |name, called, advice| Program { name, called, advice };
    let mut programs = vec![
        program("limactl", "lima", "install lima (brew install lima)"),
        program(
            "kubectl",
            "kubectl",
            "install kubectl; colima needs it to start Kubernetes",
        ),
    ];
    if config.runtime.as_deref().is_none_or(|runtime| runtime == "docker") {
        programs.push(program(
            "docker",
            "docker",
            "install the docker command (brew install docker), or choose runtime: containerd",
        ));
    }
    // Elsewhere than on macOS there is no other kind of machine.
    if *os != Os::MacOs || config.vm_type.as_deref() == Some("qemu") {
        programs.push(program("qemu-img", "qemu", "install qemu (qemu-img and qemu-system)"));
    }
    programs
}

/// The form of `--mount`.
fn mount(mount: &crate::config::Mount) -> String {
    let point = mount
        .mount_point
        .as_ref()
        .map(|point| format!(":{point}"))
        .unwrap_or_default();
    let mode = if mount.writable { ":w" } else { "" };
    format!("{}{point}{mode}", mount.location)
}

/// colima silently keeps what it cannot change: the architecture, the kind of machine, and everything that would make a
/// disk smaller.
pub(super) fn applies(field: &str, have: &Setting, want: &Setting) -> Applies {
    let mib = |setting: &Setting| setting.value.trim_end_matches("MiB").parse::<u64>().unwrap_or(0);
    match field {
        "arch" | "vmType" | "runtime" | "mountType" => Applies::Recreate,
        "disk" | "rootDisk" if mib(want) < mib(have) => Applies::Recreate,
        "networkAddress" if want.value == "false" => Applies::Recreate,
        _ => Applies::Restart,
    }
}

/// Whether a help text lists a flag.
pub(super) fn lists(help: &str, flag: &str) -> bool {
    help.split(|c: char| c.is_whitespace() || c == ',' || c == '=')
        .any(|word| word == flag)
}

/// Whether a help text says that a flag takes a whole number.
fn takes_whole(help: &str, flag: &str) -> bool {
    let of_flag = |line: &str| {
        line.split_once(flag)
            .is_some_and(|(_, rest)| rest.trim_start().starts_with("int"))
    };
    help.lines().any(of_flag)
}

/// The command line that starts the machine with Kubernetes in it. Which flags there are depends on colima's version and
/// the operating system: `help` says.
pub(super) fn start(profile: &str, config: &Colima, help: &str) -> Result<Vec<String>, Error> {
    let mut args: Vec<String> = ["start", "--profile", profile, "--kubernetes"]
        .map(ToOwned::to_owned)
        .into();
    let mut need = |flag: &str, value: Option<String>| {
        let Some(value) = value else { return Ok(()) };
        // The hidden old spelling of --cpus works everywhere.
        if flag != "--cpu" && !lists(help, flag) {
            let message = format!("this colima has no flag {flag}, which the configuration needs");
            return Err(Error::tool("colima", "start", Fault::BackendTooOld, message));
        }
        if takes_whole(help, flag) && value.contains('.') {
            let message = format!("this colima takes a whole number for {flag}, and the configuration needs {value}");
            return Err(Error::tool("colima", "start", Fault::BackendTooOld, message));
        }
        args.extend([flag.to_owned(), value]);
        Ok(())
    };
    let runtime = config.runtime.clone().unwrap_or_else(|| "docker".to_owned());
    need("--runtime", Some(runtime))?;
    need("--cpu", config.cores.map(|cores| cores.to_string()))?;
    need("--memory", config.memory.as_ref().map(crate::Size::in_gib))?;
    need("--disk", config.disk.as_ref().map(crate::Size::in_gib))?;
    need("--root-disk", config.root_disk.as_ref().map(crate::Size::in_gib))?;
    need("--arch", config.arch.as_deref().map(arch))?;
    need("--vm-type", config.vm_type.clone())?;
    need("--mount-type", config.mount_type.clone())?;
    need("--kubernetes-version", config.kubernetes_version.clone())?;
    for arg in &config.k3s_args {
        need("--k3s-arg", Some(arg.clone()))?;
    }
    need("--k3s-listen-port", config.k3s_port.map(|port| port.to_string()))?;
    for one in &config.mounts {
        need("--mount", Some(mount(one)))?;
    }
    for server in &config.dns {
        need("--dns", Some(server.clone()))?;
    }
    for (name, value) in &config.env {
        need("--env", Some(format!("{name}={value}")))?;
    }
    if config.network_address == Some(true) {
        if !lists(help, "--network-address") {
            return Err(Error::tool(
                "colima",
                "start",
                Fault::BackendTooOld,
                "this colima has no flag --network-address",
            ));
        }
        args.push("--network-address".to_owned());
    }
    // Without these, another profile's context becomes the current one and a template changes what was asked for.
    for flag in ["--activate", "--template", "--ssh-config"] {
        if lists(help, flag) {
            args.push(format!("{flag}=false"));
        }
    }
    Ok(args)
}
