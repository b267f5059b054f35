//! How clusters and drivers are shown.

use std::path::Path;

use kit::Table;
use local_cluster::{Host, Listing, State, Status, drivers};
use serde::Serialize;
use serde_json::json;

use super::args::Output;
use crate::console::{self, Format};
use crate::failure::Failure;

/// Prints a value in the form asked for; one line a value for `jsonl`.
pub(super) fn value<T: Serialize>(output: Output, value: &[T], table: impl FnOnce() -> String) -> Result<(), Failure> {
    match output {
        Output::Table => console::value(Format::Table, &value, table),
        Output::Json => console::value(Format::Json, &value, table),
        Output::Yaml => console::value(Format::Yaml, &value, table),
        Output::Jsonl => value.iter().try_for_each(|one| {
            console::line(serde_json::to_string(one).map_err(|error| Failure::other("write the result", error))?)
        }),
    }
}

/// What to know of a cluster beside its state.
pub(super) struct Hints {
    /// What this kind of cluster cannot do.
    pub(super) limits: Option<&'static str>,
    /// A command line that reaches it.
    pub(super) way_in: Option<String>,
}

/// Prints the state of one cluster.
pub(super) fn status(output: Output, status: &Status, profile: &str, hints: &Hints) -> Result<(), Failure> {
    let table = || status_text(status, profile, hints);
    match output {
        Output::Table => console::value(Format::Table, status, table),
        Output::Json => console::value(Format::Json, status, table),
        Output::Yaml => console::value(Format::Yaml, status, table),
        Output::Jsonl => console::line(json!({ "event": "status", "status": status }).to_string()),
    }
}

/// Prints a kubeconfig, or the path of its file. It is YAML as it is.
pub(super) fn kubeconfig(output: Output, text: &str, path: Option<&Path>) -> Result<(), Failure> {
    let value: serde_json::Value = if let Some(path) = path {
        json!({ "path": path })
    } else {
        serde_saphyr::from_str(text).map_err(|error| Failure::other("read the kubeconfig", error))?
    };
    let plain = || path.map_or_else(|| text.to_owned(), |path| format!("{}\n", path.display()));
    match (output, path) {
        (Output::Table, _) | (Output::Yaml, None) => console::text(plain()),
        (Output::Yaml, Some(_)) => console::value(Format::Yaml, &value, plain),
        (Output::Json, _) => console::value(Format::Json, &value, plain),
        (Output::Jsonl, _) => console::line(value.to_string()),
    }
}

/// Prints what a dry run found out: the commands, one a line for people and shells.
pub(super) fn plan(output: Output, commands: &[String]) -> Result<(), Failure> {
    let plan = json!({ "dryRun": true, "commands": commands });
    let lines = || commands.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    match output {
        Output::Table => console::value(Format::Table, &plan, lines),
        Output::Json => console::value(Format::Json, &plan, lines),
        Output::Yaml => console::value(Format::Yaml, &plan, lines),
        Output::Jsonl => console::line(json!({ "event": "plan", "commands": commands }).to_string()),
    }
}

fn status_text(status: &Status, profile: &str, hints: &Hints) -> String {
    let dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    let state = if status.exists {
        status.state.to_string()
    } else {
        format!("{} (absent)", status.state)
    };
    let mut table = Table::new(["DRIVER", "PROFILE", "STATE", "KUBERNETES", "ADDRESS", "CONTEXT"]);
    table.row([
        status.driver.clone(),
        profile.to_owned(),
        state,
        dash(&status.kubernetes_version),
        dash(&status.ip_address),
        status.kube_context.clone(),
    ]);
    let mut lines = vec![table.to_string()];
    if !status.reason.is_empty() {
        lines.push(format!("reason: {}\n", status.reason));
    }
    if status.state == State::Ready {
        lines.extend(hints.limits.map(|limits| format!("note: {limits}\n")));
        lines.extend(hints.way_in.iter().map(|line| format!("try: {line}\n")));
    }
    lines.concat()
}

pub(super) fn listing(listing: &Listing) -> String {
    let mut table = Table::new(["DRIVER", "PROFILE", "STATE", "CONTEXT", "IN KUBECONFIG", "MADE HERE"]);
    let yes = |is: bool| if is { "yes" } else { "no" };
    for one in &listing.clusters {
        table.row([
            one.driver.as_str(),
            one.profile.as_str(),
            one.state,
            one.context.as_str(),
            yes(one.in_kubeconfig),
            yes(one.managed),
        ]);
    }
    table.to_string()
}

/// A driver, and whether it can be used here.
#[derive(Debug, Serialize)]
pub(super) struct DriverRow {
    name: String,
    usable: bool,
    what: &'static str,
}

pub(super) fn drivers(names: &[String], host: &Host) -> Vec<DriverRow> {
    names
        .iter()
        .map(|name| DriverRow {
            usable: drivers::is_installed(host, name),
            what: match name.as_str() {
                "auto" => "colima on macOS, k3d elsewhere",
                "colima" => "k3s in a virtual machine",
                "k3d" => "k3s in containers",
                "kind" => "Kubernetes in containers",
                "mock" => "nothing: it remembers what was asked for, for tests of scripts",
                "minikube" => "Kubernetes in a container or virtual machine",
                "process" => "etcd and kube-apiserver as processes, no nodes",
                "sim" => "a simulated API, no nodes, needs nothing",
                _ => "",
            },
            name: name.clone(),
        })
        .collect()
}

pub(super) fn driver_table(drivers: &[DriverRow]) -> String {
    let mut table = Table::new(["DRIVER", "USABLE HERE", "WHAT IT MAKES"]);
    for driver in drivers {
        table.row([
            driver.name.as_str(),
            if driver.usable { "yes" } else { "no" },
            driver.what,
        ]);
    }
    table.to_string()
}
