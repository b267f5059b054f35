//! Where the contexts in the user's files lead, and who uses which entry.

use std::net::IpAddr;

use kube_kit::kubeconfig::{self, Kubeconfig};
use serde_json::{Map, Value};

use super::files;
use crate::driver::EntryNames;
use crate::host::Host;

/// An address that can be dialled, for one that tools only listen on.
pub(super) fn dialled(server: &str) -> String {
    server
        .replacen("//0.0.0.0", "//127.0.0.1", 1)
        .replacen("//[::]", "//127.0.0.1", 1)
}

/// How contexts begin that only a tool makes.
const OF_TOOLS: [&str; 5] = ["k3d-", "kind-", "colima", "process-", "sim-"];
/// What minikube writes beside its clusters.
const MINIKUBE: &str = "minikube.sigs.k8s.io";

/// The entries of the user's files; of one name the first counts, as for kubectl. Files that entries name are not read:
/// minikube deletes them with the cluster.
pub(super) struct Entries(Vec<Value>);

/// A context that a change to our entries would change too.
pub(super) struct Touched<'a> {
    pub(super) context: &'a str,
    /// Where it leads.
    pub(super) server: String,
    /// Whether it uses the user of our name.
    pub(super) has_our_user: bool,
}

impl Entries {
    /// Those of all files. One that cannot be read has none.
    pub(super) fn of(host: &Host) -> Self {
        let configs = files(host).into_iter().filter_map(|path| kubeconfig::load(&path).ok());
        Self(configs.filter_map(|config| tree(&config)).collect())
    }

    fn all(&self, list: &'static str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter_map(move |tree| tree[list].as_array()).flatten()
    }

    fn find(&self, list: &'static str, name: &str) -> Option<&Value> {
        self.all(list).find(|entry| entry["name"] == name)
    }

    /// The address of a cluster entry.
    pub(super) fn address(&self, cluster: &str) -> Option<String> {
        let server = self.find("clusters", cluster)?["cluster"]["server"].as_str()?;
        Some(dialled(server))
    }

    /// The address a context leads to.
    pub(super) fn server(&self, context: &str) -> Option<String> {
        self.address(self.find("contexts", context)?["context"]["cluster"].as_str()?)
    }

    /// The contexts that are ours by name or made of an entry of ours.
    pub(super) fn touched<'a>(&'a self, names: &'a EntryNames) -> impl Iterator<Item = Touched<'a>> {
        self.all("contexts").filter_map(move |entry| {
            let (context, of) = (entry["name"].as_str()?, &entry["context"]);
            let has_our_user = of["user"] == names.user.as_str();
            let ours = context == names.context || of["cluster"] == names.cluster.as_str() || has_our_user;
            let server = self.address(of["cluster"].as_str()?)?;
            ours.then_some(Touched {
                context,
                server,
                has_our_user,
            })
        })
    }

    /// Whether an address is one that only a cluster on this machine has: a loopback address, or a private one in an entry
    /// that a tool made. Others have private addresses too.
    pub(super) fn is_nearby(&self, names: &EntryNames, server: &str) -> bool {
        let Ok(url) = server.parse::<hyper::Uri>() else {
            return false;
        };
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let (own, private) = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => (
                address.is_loopback() || address.is_unspecified(),
                address.is_private() || address.is_link_local(),
            ),
            Ok(IpAddr::V6(address)) => (
                address.is_loopback() || address.is_unspecified(),
                address.is_unique_local(),
            ),
            Err(_) => (
                ["localhost", "host.docker.internal"].contains(&host) || host.ends_with(".localhost"),
                false,
            ),
        };
        own || (private && self.is_of_a_tool(names))
    }

    fn is_of_a_tool(&self, names: &EntryNames) -> bool {
        let minikube = |entry: &Value| {
            let extensions = entry["cluster"]["extensions"].as_array().into_iter().flatten();
            extensions
                .into_iter()
                .any(|one| one["extension"]["provider"] == MINIKUBE)
        };
        OF_TOOLS.iter().any(|begin| names.context.starts_with(begin))
            || self.find("clusters", &names.cluster).is_some_and(minikube)
    }
}

fn tree(config: &Kubeconfig) -> Option<Value> {
    serde_saphyr::from_str(&config.to_yaml()).ok()
}

/// Takes entries out of one file: the context, and the cluster and the user unless they have to stay.
pub(super) fn take_out(config: &mut Kubeconfig, names: &EntryNames, cluster_stays: bool, user_stays: bool) {
    if !cluster_stays && !user_stays {
        for name in [&names.context, &names.cluster, &names.user] {
            config.remove(name);
        }
        return;
    }
    let Some(Value::Object(mut root)) = tree(config) else {
        return;
    };
    let mut without = |list: &str, name: &str| {
        if let Some(Value::Array(entries)) = root.get_mut(list) {
            entries.retain(|entry| entry["name"] != name);
        }
    };
    without("contexts", &names.context);
    if !cluster_stays {
        without("clusters", &names.cluster);
    }
    if !user_stays {
        without("users", &names.user);
    }
    if root
        .get("current-context")
        .is_some_and(|name| *name == names.context.as_str())
    {
        root.insert("current-context".to_owned(), Value::from(""));
    }
    replace(config, root);
}

fn replace(config: &mut Kubeconfig, root: Map<String, Value>) {
    // JSON is YAML, and it was a kubeconfig before.
    if let Ok(changed) = Kubeconfig::parse(&Value::Object(root).to_string()) {
        *config = changed;
    }
}

/// Whether a file of the user has the context, and it leads to none of these addresses.
pub(crate) fn leads_elsewhere(host: &Host, names: &EntryNames, known: &[String]) -> bool {
    let server = Entries::of(host).server(&names.context);
    server.is_some_and(|server| !known.contains(&server))
}
