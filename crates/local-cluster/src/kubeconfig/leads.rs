//! Where the contexts in the user's files lead.

use kube_kit::kubeconfig::{self, Kubeconfig};
use serde_json::Value;

use super::files;
use crate::driver::EntryNames;
use crate::host::Host;

/// An address that can be dialled, for one that tools only listen on.
pub(super) fn dialled(server: &str) -> String {
    server
        .replacen("//0.0.0.0", "//127.0.0.1", 1)
        .replacen("//[::]", "//127.0.0.1", 1)
}

/// The server a context leads to. Files that its entries name are not read: minikube deletes them with the cluster.
pub(super) fn server(config: &Kubeconfig, context: &str) -> Option<String> {
    let tree: Value = serde_saphyr::from_str(&config.to_yaml()).ok()?;
    let entry = |list: &str, name: &str| {
        let mut entries = tree[list].as_array()?.iter();
        entries.find(|entry| entry["name"] == name)
    };
    let cluster = entry("contexts", context)?["context"]["cluster"].as_str()?;
    let server = entry("clusters", cluster)?["cluster"]["server"].as_str()?;
    Some(dialled(server))
}

/// Whether a file of the user has the context, and it leads to none of these addresses.
pub(crate) fn leads_elsewhere(host: &Host, names: &EntryNames, known: &[String]) -> bool {
    files(host)
        .iter()
        .filter_map(|path| server(&kubeconfig::load(path).ok()?, &names.context))
        .any(|server| !known.contains(&server))
}
