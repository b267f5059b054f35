//! Finding etcd and kube-apiserver, by the rules of envtest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{API_SERVER, CONTROLLERS, ETCD};
use crate::config;
use crate::error::{Error, Fault};
use crate::host::{Host, is_program};

const ADVICE: &str = "unpack the Kubernetes server and etcd releases, or an envtest bundle, and pass the directory with \
                      --bin-dir or KUBEBUILDER_ASSETS; the driver sim needs nothing";
/// Where envtest looks when nothing else is said.
const DEFAULT_DIR: &str = "/usr/local/kubebuilder/bin";

pub(super) struct Binaries {
    etcd: PathBuf,
    api_server: PathBuf,
    pub(super) controllers: Option<PathBuf>,
}

pub(super) fn missing(name: &str) -> Error {
    Error::tool(
        name,
        "run",
        Fault::BackendMissing,
        format!("there is no {name} on this machine"),
    )
    .advise(ADVICE)
}

/// One program: the configured directory, the command line's, the variable for this program, `KUBEBUILDER_ASSETS`, `PATH`,
/// and envtest's own directory.
pub(crate) fn find(host: &Host, configured: Option<&Path>, name: &str) -> Option<PathBuf> {
    let dirs = [configured.map(PathBuf::from), host.bin_dir.clone()];
    let chosen: Vec<_> = dirs.into_iter().flatten().collect();
    if !chosen.is_empty() {
        // Who names a directory does not mean another one.
        return chosen
            .into_iter()
            .map(|dir| dir.join(name))
            .find(|path| is_program(path));
    }
    let own = format!(
        "TEST_ASSET_{}",
        name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    );
    host.var(&own)
        .map(PathBuf::from)
        .into_iter()
        .chain(host.var("KUBEBUILDER_ASSETS").map(|dir| Path::new(dir).join(name)))
        .chain(host.find(name))
        .chain([Path::new(DEFAULT_DIR).join(name)])
        .find(|path| is_program(path))
}

impl Binaries {
    pub(super) fn find(host: &Host, section: &config::Process) -> Result<Self, Error> {
        let find = |name| find(host, section.bin_dir.as_deref(), name);
        Ok(Self {
            etcd: find(ETCD).ok_or_else(|| missing(ETCD))?,
            api_server: find(API_SERVER).ok_or_else(|| missing(API_SERVER))?,
            controllers: find(CONTROLLERS),
        })
    }

    /// What to run, in this order.
    pub(super) fn parts(&self, controllers: bool) -> Vec<(&'static str, &Path)> {
        let mut parts = vec![(ETCD, self.etcd.as_path()), (API_SERVER, self.api_server.as_path())];
        parts.extend(
            self.controllers
                .as_deref()
                .filter(|_| controllers)
                .map(|path| (CONTROLLERS, path)),
        );
        parts
    }

    /// The release of kube-apiserver (`v1.35.0`).
    pub(super) async fn version(&self, host: &Arc<Host>) -> Result<String, Error> {
        let mut command = tokio::process::Command::new(&self.api_server);
        command
            .arg("--version")
            .env_clear()
            .envs(&host.env)
            .kill_on_drop(true)
            .stdin(std::process::Stdio::null());
        let output = tokio::time::timeout(host.limits.look, command.output()).await;
        let failed = |fault, message: String| Error::tool(API_SERVER, "--version", fault, message);
        let output = output
            .map_err(|_| failed(Fault::Timeout, "it does not answer".to_owned()))?
            .map_err(|error| failed(Fault::BackendMissing, error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text
            .split_whitespace()
            .find(|word| word.starts_with('v') && word.contains('.'));
        version
            .map(ToOwned::to_owned)
            .ok_or_else(|| failed(Fault::BadOutput, "its answer is no version".to_owned()))
    }
}
