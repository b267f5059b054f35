//! What a configuration means to k3d: the settings it asks for, and the command line that makes them.

use std::time::Duration;

use crate::config::{self, Filtered, K3d};
use crate::error::Error;
use crate::settings::{self, Setting, Settings};

/// What k3d calls the image of a k3s release.
fn image(config: &K3d) -> Option<String> {
    let release = config.kubernetes_version.as_ref();
    config
        .image
        .clone()
        .or_else(|| release.map(|version| format!("rancher/k3s:{}", version.replace('+', "-"))))
}

/// An image with what engines leave out of its name.
pub(super) fn canonical_image(image: &str) -> String {
    let image = image.strip_prefix("docker.io/").unwrap_or(image);
    image.to_owned()
}

/// `rancher/k3s:v1.35.5-k3s1` runs `v1.35.5+k3s1`.
pub(super) fn version_of_image(image: &str) -> Option<String> {
    let tag = image.split('@').next()?.rsplit_once(':')?.1;
    let (version, build) = tag.rsplit_once("-k3s")?;
    version.starts_with('v').then(|| format!("{version}+k3s{build}"))
}

/// Names that k3d resolves over the network; what they mean cannot be compared.
fn is_channel(image: &str) -> bool {
    image == "latest" || image == "stable" || image.starts_with('+')
}

pub(super) fn wants(config: &K3d) -> Result<Settings, Error> {
    config::check_port("k3d.apiPort", config.api_port)?;
    let mut wants = Settings::new();
    let mut put = |field: &str, value: String| wants.insert(field.to_owned(), Setting::plain(value));
    if let Some(servers) = config.servers {
        if servers == 0 {
            return Err(Error::config("k3d.servers", "a cluster has at least one server"));
        }
        put("servers", servers.to_string());
    }
    if let Some(agents) = config.agents {
        put("agents", agents.to_string());
    }
    if config.image.is_some() && config.kubernetes_version.is_some() {
        return Err(Error::config(
            "k3d",
            "image and kubernetesVersion say the same thing: give one",
        ));
    }
    if let Some(version) = &config.kubernetes_version
        && !version.starts_with('v')
    {
        return Err(Error::config(
            "k3d.kubernetesVersion",
            format!("{version:?} does not begin with v, as in v1.35.5+k3s1"),
        ));
    }
    if let Some(image) = image(config).filter(|image| !is_channel(image)) {
        put("image", canonical_image(&image));
    }
    if let Some(port) = config.api_port {
        put("apiPort", port.to_string());
    }
    if config.no_load_balancer {
        put("noLoadBalancer", "true".to_owned());
    }
    let comparable: Option<Vec<String>> = config.ports.iter().map(|port| host_and_inside(&port.port)).collect();
    if let Some(mut ports) = comparable.filter(|ports| !ports.is_empty()) {
        ports.sort();
        put("ports", ports.join(" "));
    }
    if let Some(timeout) = &config.timeout {
        kit::go_duration::parse(timeout).map_err(|error| Error::config("k3d.timeout", error.to_string()))?;
    }
    // These cannot be seen from outside; the record of what was asked for is what they are compared with.
    let texts = |items: Vec<String>| items.join(" ");
    if !config.volumes.is_empty() {
        put(
            "volumes",
            texts(config.volumes.iter().map(|one| with_filters(one, "")).collect()),
        );
    }
    if !config.k3s_args.is_empty() {
        put(
            "k3sArgs",
            texts(config.k3s_args.iter().map(|one| with_filters(one, "")).collect()),
        );
    }
    if config.registries != config::K3dRegistries::default() {
        put("registries", registries(&config.registries));
    }
    if let Some(host) = &config.api_host {
        put("apiHost", host.clone());
    }
    if let Some(network) = &config.network {
        put("network", network.clone());
    }
    if let Some(subnet) = &config.subnet {
        put("subnet", subnet.clone());
    }
    for (field, size) in [
        ("serversMemory", &config.servers_memory),
        ("agentsMemory", &config.agents_memory),
    ] {
        if let Some(size) = size {
            wants.insert(field.to_owned(), size.setting());
        }
    }
    if !config.env.is_empty() {
        let pairs = config.env.iter().map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        wants.insert("env".to_owned(), Setting::private(pairs));
    }
    Ok(wants)
}

/// What of a new cluster cannot be seen from outside, when nothing is said of it.
pub(super) fn unseen_defaults() -> Settings {
    settings::nothing([
        "volumes",
        "k3sArgs",
        "env",
        "registries",
        "subnet",
        "serversMemory",
        "agentsMemory",
    ])
}

fn registries(config: &config::K3dRegistries) -> String {
    let address = |one: &config::K3dRegistry| {
        let host = one.host.as_deref().unwrap_or_default();
        let port = one.host_port.map(|port| port.to_string()).unwrap_or_default();
        format!("create {} {host}:{port}", one.name)
    };
    let file = config.config.iter().map(|file| format!("config {}", file.display()));
    let used = config.r#use.iter().map(|name| format!("use {name}"));
    let all = config.create.iter().map(address).chain(used).chain(file);
    all.collect::<Vec<_>>().join(", ")
}

/// `127.0.0.1:8080:80/tcp` as `8080:80`; `None` for ranges and random ports, which cannot be compared.
fn host_and_inside(port: &str) -> Option<String> {
    let plain = port.trim_end_matches("/tcp");
    let mut parts = plain.rsplit(':');
    let (inside, outside) = (parts.next()?, parts.next()?);
    let number = |text: &str| text.trim_end_matches("/udp").parse::<u16>().is_ok();
    (number(inside) && number(outside)).then(|| format!("{outside}:{inside}"))
}

/// The ports of this machine that it asks for.
pub(super) fn host_ports(config: &K3d) -> Vec<u16> {
    let mapped = config.ports.iter().filter_map(|port| host_and_inside(&port.port));
    let mapped = mapped.filter(|pair| !pair.ends_with("/udp"));
    let outside = mapped.filter_map(|pair| pair.split(':').next()?.parse().ok());
    let registry = config
        .registries
        .create
        .iter()
        .filter_map(|registry| registry.host_port);
    config.api_port.into_iter().chain(outside).chain(registry).collect()
}

/// What its nodes may use, where that is limited.
pub(super) fn memory(config: &K3d) -> u64 {
    let of = |count: u32, size: &Option<crate::Size>| u64::from(count) * size.as_ref().map_or(0, crate::Size::in_bytes);
    let servers = of(config.servers.unwrap_or(1), &config.servers_memory);
    servers + of(config.agents.unwrap_or(0), &config.agents_memory)
}

/// The form k3d's flags take: the text, its `@` escaped, and the nodes it is for.
fn with_filters(item: &impl Filtered, usual: &str) -> String {
    let text = item.text().replace('@', "\\@");
    let filters = item.filters().join(";");
    match (filters.as_str(), usual) {
        ("", "") => text,
        ("", usual) => format!("{text}@{usual}"),
        (filters, _) => format!("{text}@{filters}"),
    }
}

/// The command line that creates the cluster.
pub(super) fn create(name: &str, config: &K3d, port: u16, remote_engine: bool, limit: Duration) -> Vec<String> {
    let mut args: Vec<String> = ["cluster", "create", name].map(ToOwned::to_owned).into();
    let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
    let servers = config.servers.unwrap_or(1);
    let agents = config.agents.unwrap_or(0);
    // The load balancer is a node too, as far as filters are concerned.
    let several = servers + agents + u32::from(!config.no_load_balancer) > 1;
    let everywhere = |usual: &'static str| if several { usual } else { "" };
    flag("--servers", servers.to_string());
    flag("--agents", agents.to_string());
    if let Some(image) = image(config) {
        flag("--image", image);
    }
    // With an engine elsewhere, k3d puts its address into the kubeconfig, but only if no host is given.
    let host = config
        .api_host
        .clone()
        .or_else(|| (!remote_engine).then(|| "127.0.0.1".to_owned()));
    flag(
        "--api-port",
        host.map_or_else(|| port.to_string(), |host| format!("{host}:{port}")),
    );
    for port in &config.ports {
        let usual = if config.no_load_balancer {
            everywhere("server:0")
        } else {
            "loadbalancer"
        };
        flag("--port", with_filters(port, usual));
    }
    for volume in &config.volumes {
        flag("--volume", with_filters(volume, everywhere("all")));
    }
    for env in &config.env {
        flag("--env", env.clone());
    }
    for arg in &config.k3s_args {
        flag("--k3s-arg", with_filters(arg, everywhere("server:*")));
    }
    if let Some(create) = &config.registries.create {
        let host = create.host.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
        let port = create.host_port.map(|port| format!(":{port}")).unwrap_or_default();
        flag("--registry-create", format!("{}:{host}{port}", create.name));
    }
    for registry in &config.registries.r#use {
        flag("--registry-use", registry.clone());
    }
    if let Some(file) = &config.registries.config {
        flag("--registry-config", file.display().to_string());
    }
    if let Some(network) = &config.network {
        flag("--network", network.clone());
    }
    if let Some(subnet) = &config.subnet {
        flag("--subnet", subnet.clone());
    }
    if let Some(memory) = &config.servers_memory {
        flag("--servers-memory", format!("{}m", memory.mib()));
    }
    if let Some(memory) = &config.agents_memory {
        flag("--agents-memory", format!("{}m", memory.mib()));
    }
    let asked = config
        .timeout
        .as_deref()
        .and_then(|text| kit::go_duration::parse(text).ok());
    flag(
        "--timeout",
        format!("{}s", asked.map_or(limit, |asked| asked.min(limit)).as_secs().max(1)),
    );
    if config.no_load_balancer {
        args.push("--no-lb".to_owned());
    }
    args.extend(
        [
            "--wait",
            "--kubeconfig-update-default=false",
            "--kubeconfig-switch-context=false",
        ]
        .map(ToOwned::to_owned),
    );
    args
}

#[cfg(test)]
mod tests;
