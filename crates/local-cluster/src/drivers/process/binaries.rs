//! Finding etcd and kube-apiserver, by the rules of envtest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{API_SERVER, CONTROLLERS, ETCD};
use crate::config;
use crate::error::{Error, Fault};
use crate::host::{Host, absolute, is_program};
use crate::tool::{Spec, Tool};

const ADVICE: &str = "unpack the Kubernetes server and etcd releases, or an envtest bundle, and pass the directory with \
                      --bin-dir or KUBEBUILDER_ASSETS; the driver sim needs nothing";
/// Where envtest looks when nothing else is said.
const DEFAULT_DIR: &str = "/usr/local/kubebuilder/bin";

static VERSION: Spec = Spec {
    program: API_SERVER,
    advice: ADVICE,
    hidden: |_| false,
    set: &[],
};

pub(super) struct Binaries {
    etcd: PathBuf,
    api_server: PathBuf,
    pub(super) controllers: Option<PathBuf>,
}

pub(super) fn missing(name: &str) -> Error {
    Error::tool(
        name,
        "",
        Fault::BackendMissing,
        format!("there is no {name} on this machine"),
    )
    .advise(ADVICE)
}

/// One program: the configured directory, the command line's, the variable for this program, `KUBEBUILDER_ASSETS`, `PATH`,
/// and envtest's own directory. An absolute path: it is run in another directory.
pub(crate) fn find(host: &Host, configured: Option<&Path>, name: &str) -> Option<PathBuf> {
    found(host, configured, name).map(|path| absolute(&path))
}

fn found(host: &Host, configured: Option<&Path>, name: &str) -> Option<PathBuf> {
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
    if let Some(own) = host.var(&own) {
        // Nor does who names a file.
        return Some(PathBuf::from(own)).filter(|path| is_program(path));
    }
    host.var("KUBEBUILDER_ASSETS")
        .map(|dir| Path::new(dir).join(name))
        .into_iter()
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
        let tool = Tool::new(host, &VERSION).at(&self.api_server);
        let output = tool.ask(&["--version"]).await?.success()?;
        let text = &output.stdout;
        let version = text
            .split_whitespace()
            .find(|word| word.starts_with('v') && word.contains('.'));
        version
            .map(ToOwned::to_owned)
            .ok_or_else(|| output.unreadable("a version"))
    }
}
