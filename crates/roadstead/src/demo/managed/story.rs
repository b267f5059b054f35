//! What happens, and how it is told.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cloud_provider::names::{TAINT_SHUTDOWN, TAINT_UNINITIALIZED};
use kit::{Progress, Table};
use serde_json::Value;

use super::Rental;
use super::stage::Stage;
use crate::demo::Keep;
use crate::failure::Failure;

const NODES: [&str; 3] = ["n1", "n2", "n3"];
const SERVICE: &str = "web";
/// How long anything may take. Nothing takes half as long.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(50);

/// Plays every act and returns what is printed at the end. With [`Keep::Yes`] the Service stays.
pub(super) async fn play<R: Rental>(stage: &Stage<R>, keep: Keep) -> Result<String, Failure> {
    let mut acts = Table::new(["WHAT", "TOOK", "REQUESTS TO THE PROVIDER", "OUTCOME"]);
    let mut machines = Vec::new();
    for name in NODES {
        machines.push(stage.rental.rent(name)?);
        stage.register(name)?;
    }
    let lost = machines.pop().unwrap_or_default();
    let before = nodes(stage);

    stage.start_manager()?;
    act(stage, &mut acts, "the controller manager starts", |stage| {
        let ready = NODES.iter().all(|name| {
            stage
                .node(name)
                .is_some_and(|node| !tainted(&node, TAINT_UNINITIALIZED))
        });
        ready.then(|| format!("{} nodes initialised", NODES.len()))
    })
    .await?;
    let after = nodes(stage);
    stage.expose(SERVICE)?;
    act(stage, &mut acts, "a Service of type LoadBalancer", |stage| {
        let service = stage.service(SERVICE)?;
        let ip = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?;
        Some(format!("reached at {ip}"))
    })
    .await?;
    stage.rental.switch_off(&lost)?;
    stage.fall_silent("n3")?;
    act(stage, &mut acts, "machine n3 is switched off", |stage| {
        tainted(&stage.node("n3")?, TAINT_SHUTDOWN).then(|| format!("tainted {TAINT_SHUTDOWN}"))
    })
    .await?;
    stage.rental.give_back(&lost)?;
    act(stage, &mut acts, "machine n3 is given back", |stage| {
        stage
            .node("n3")
            .is_none()
            .then(|| "node deleted, after three denials".to_owned())
    })
    .await?;
    if keep == Keep::No {
        stage.withdraw(SERVICE)?;
        act(stage, &mut acts, "the Service is deleted", |stage| {
            let gone = stage.service(SERVICE).is_none();
            gone.then(|| format!("{} left", counted::<R>(stage.rental.addresses())))
        })
        .await?;
    }
    Ok(format!(
        "\nA cluster on a simulated {}:\n\n{acts}\nNodes before the controller manager:\n\n{before}\nand after:\n\n{after}\n",
        R::TITLE
    ))
}

/// Waits for an outcome, with progress, and makes a row of it.
async fn act<R: Rental>(
    stage: &Stage<R>,
    acts: &mut Table,
    what: &str,
    outcome: impl Fn(&Stage<R>) -> Option<String>,
) -> Result<(), Failure> {
    let progress = Progress::new(what);
    let (begun, before) = (Instant::now(), stage.rental.front().requests().len());
    let told = loop {
        if let Some(told) = outcome(stage) {
            break told;
        }
        let problem = if stage.stop.is_cancelled() {
            Some(Failure::interrupted())
        } else {
            (begun.elapsed() > PATIENCE).then(|| Failure::usage(format!("{what}: nothing came of it in {PATIENCE:?}")))
        };
        if let Some(failure) = problem {
            progress.failed();
            return Err(failure);
        }
        tokio::time::sleep(LOOK).await;
    };
    progress.done(&told);
    let took = format!("{:.1} s", begun.elapsed().as_secs_f64());
    acts.row([what.to_owned(), took, traffic(stage, before), told]);
    Ok(())
}

/// The nodes as `kubectl get nodes` would tell them, and what the manager adds.
fn nodes<R: Rental>(stage: &Stage<R>) -> Table {
    let mut table = Table::new(["NODE", "TAINTS", "TYPE", "REGION", "ADDRESSES"]);
    for node in stage.kube.list("nodes") {
        let label = |key: &str| text(&node["metadata"]["labels"][key]);
        let addresses = list(&node["status"]["addresses"], "address");
        table.row([
            text(&node["metadata"]["name"]),
            list(&node["spec"]["taints"], "key"),
            label("node.kubernetes.io/instance-type"),
            label("topology.kubernetes.io/region"),
            addresses,
        ]);
    }
    table
}

fn text(value: &Value) -> String {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

fn list(values: &Value, field: &str) -> String {
    let values: Vec<String> = values
        .as_array()
        .into_iter()
        .flatten()
        .map(|value| text(&value[field]))
        .collect();
    if values.is_empty() {
        "-".to_owned()
    } else {
        values.join(" ")
    }
}

fn tainted(node: &Value, key: &str) -> bool {
    let taints = node["spec"]["taints"].as_array();
    taints.into_iter().flatten().any(|taint| taint["key"] == key)
}

fn counted<R: Rental>(count: usize) -> String {
    format!("{count} {}", R::ADDRESSES[usize::from(count != 1)])
}

/// `12 reads, 2 writes`: what the provider's API was asked since `before`.
fn traffic<R: Rental>(stage: &Stage<R>, before: usize) -> String {
    let requests = stage.rental.front().requests();
    let (reads, writes): (Vec<_>, Vec<_>) = requests
        .iter()
        .skip(before)
        .partition(|request| request.method == "GET");
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut told = count(reads.len(), "read");
    let _ = write!(told, ", {}", count(writes.len(), "write"));
    told
}
