//! Where the engine is that docker talks to, and k3d, kind and minikube with it.

use std::path::PathBuf;

use serde::Deserialize;

use crate::host::Host;

/// Where the engine is when nothing is said.
const USUAL: &str = "unix:///var/run/docker.sock";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    current_context: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    name: String,
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Endpoint {
    host: String,
}

/// Its address by the rules of docker's command line: `DOCKER_HOST`, else that of the context in `DOCKER_CONTEXT`, else that
/// of the current context in docker's configuration. Empty for the usual one, and for a context that is not described.
pub(crate) fn address(host: &Host) -> String {
    let text = |name: &str| host.var(name).map(|value| value.to_string_lossy().into_owned());
    let address = text("DOCKER_HOST").or_else(|| {
        let dir = host
            .var("DOCKER_CONFIG")
            .map_or_else(|| host.home.join(".docker"), PathBuf::from);
        let current = || {
            let config = std::fs::read(dir.join("config.json")).ok()?;
            Some(serde_json::from_slice::<Config>(&config).ok()?.current_context)
        };
        let name = text("DOCKER_CONTEXT").or_else(current)?;
        // Each is in a directory whose name is a digest of its own.
        let kept = std::fs::read_dir(dir.join("contexts/meta")).ok()?.flatten();
        let mut contexts = kept.filter_map(|entry| {
            let text = std::fs::read(entry.path().join("meta.json")).ok()?;
            serde_json::from_slice::<Context>(&text).ok()
        });
        Some(contexts.find(|context| context.name == name)?.endpoints.docker.host)
    });
    address.filter(|address| address != USUAL).unwrap_or_default()
}

/// Whether the engine is on another machine, or in one of its own that has another address.
pub(crate) fn is_remote(host: &Host) -> bool {
    let address = address(host);
    let here = ["unix:", "npipe:", "fd:"];
    !address.is_empty() && !here.iter().any(|scheme| address.starts_with(scheme))
}
