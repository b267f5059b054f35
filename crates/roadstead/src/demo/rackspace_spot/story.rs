//! What happens in the demo, and how it is told.

use std::fmt::Write as _;
use std::time::Instant;

use k8s_openapi::api::core::v1::Node;
use kit::Table;
use kontainer_engine::{Cluster, DriverOptions, EngineError, Force, Watch};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::stage::Stage;
use crate::demo::Keep;
use crate::engine::Follow;
use crate::failure::Failure;

const CLUSTER: &str = "demo";

/// Plays every act and returns what is printed at the end. With [`Keep::Yes`] the last one, the removal, is left out.
pub(super) async fn play(stage: &Stage, keep: Keep) -> Result<String, Failure> {
    let mut acts = Table::new(["WHAT", "TOOK", "REQUESTS TO THE PROVIDER", "OUTCOME"]);
    let mut looks = Vec::new();

    let created = act(stage, &mut acts, "create: 3 machines, bid $0.04", async |watch| {
        stage
            .engine
            .create(&stage.driver, CLUSTER, options("1.32.9", 3, "0.04"), watch)
            .await
    })
    .await?;
    looks.push(("After create", nodes(stage).await?));
    act(stage, &mut acts, "scale: 3 to 5 machines", async |watch| {
        stage
            .engine
            .update(&stage.driver, CLUSTER, options("1.32.9", 5, "0.04"), watch)
            .await
    })
    .await?;
    act(
        stage,
        &mut acts,
        "upgrade: Kubernetes 1.32.9 to 1.33.0",
        async |watch| {
            stage
                .engine
                .update(&stage.driver, CLUSTER, options("1.33.0", 5, "0.04"), watch)
                .await
        },
    )
    .await?;
    looks.push(("After scale and upgrade", nodes(stage).await?));
    act(stage, &mut acts, "update again, nothing changed", async |watch| {
        stage
            .engine
            .update(&stage.driver, CLUSTER, options("1.33.0", 5, "0.04"), watch)
            .await
    })
    .await?;
    refused(stage, &mut acts).await?;
    if keep == Keep::No {
        act(stage, &mut acts, "remove", async |watch| {
            stage.engine.remove(&stage.driver, CLUSTER, Force::No, watch).await?;
            Ok(Cluster::default())
        })
        .await?;
    }

    let mut told = format!(
        "\nA cluster at {} on a simulated Rackspace Spot:\n\n{acts}",
        created.server()
    );
    for (when, table) in looks {
        let _ = write!(
            told,
            "\n{when}, asked through the kubeconfig that the engine wrote:\n\n{table}"
        );
    }
    told.push('\n');
    Ok(told)
}

/// One operation, with its progress, as a row of the table.
async fn act(
    stage: &Stage,
    acts: &mut Table,
    what: &str,
    work: impl AsyncFnOnce(&Watch) -> Result<Cluster, EngineError>,
) -> Result<Cluster, Failure> {
    let follow = Follow::new(what, &stage.stop);
    let (begun, before) = (Instant::now(), stage.sim.front().requests().len());
    match work(&follow.watch()).await {
        Ok(cluster) => {
            follow.done();
            let outcome = if cluster.name.is_empty() {
                format!("{} cloudspaces left", stage.sim.objects("cloudspaces").len())
            } else {
                format!("{}: {} nodes, {}", cluster.status, cluster.node_count, cluster.version)
            };
            acts.row([what.to_owned(), seconds(begun), traffic(stage, before), outcome]);
            Ok(cluster)
        }
        Err(error) => {
            follow.failed();
            Err(error.into())
        }
    }
}

/// A mistake, to show that it costs nothing.
async fn refused(stage: &Stage, acts: &mut Table) -> Result<(), Failure> {
    let what = "create another, bid $0.05";
    let follow = Follow::new(what, &stage.stop);
    let (begun, before) = (Instant::now(), stage.sim.front().requests().len());
    let outcome = stage
        .engine
        .create(&stage.driver, "typo", options("1.33.0", 3, "0.05"), &follow.watch())
        .await;
    follow.done();
    match outcome {
        Ok(_) => Err(Failure::usage(
            "the driver accepted a bid that the provider would refuse",
        )),
        Err(error) => {
            let reason = kit::chain(&error);
            let reason = reason
                .rsplit_once("failed: ")
                .map_or(reason.as_str(), |(_, reason)| reason);
            acts.row([
                what.to_owned(),
                seconds(begun),
                traffic(stage, before),
                format!("refused: {reason}"),
            ]);
            Ok(())
        }
    }
}

/// Asks the cluster itself, through the kubeconfig that the engine wrote.
async fn nodes(stage: &Stage) -> Result<Table, Failure> {
    let nodes = async {
        let kubeconfig = Kubeconfig::read_from(stage.kubeconfig())?;
        let options = KubeConfigOptions {
            context: Some(CLUSTER.to_owned()),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        let client = Client::try_from(config)?;
        Ok::<_, Box<dyn std::error::Error>>(Api::<Node>::all(client).list(&ListParams::default()).await?)
    };
    let nodes = nodes
        .await
        .map_err(|error| Failure::usage(format!("the cluster's API does not answer: {error}")))?;
    let mut table = Table::new(["NODE", "READY", "VERSION", "CLASS"]);
    for node in nodes {
        let status = node.status.unwrap_or_default();
        let ready = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == "Ready");
        let labels = node.metadata.labels.unwrap_or_default();
        table.row([
            node.metadata.name.unwrap_or_default(),
            ready.map(|condition| condition.status.clone()).unwrap_or_default(),
            status.node_info.map(|info| info.kubelet_version).unwrap_or_default(),
            labels
                .get("node.kubernetes.io/instance-type")
                .cloned()
                .unwrap_or_default(),
        ]);
    }
    Ok(table)
}

fn options(version: &str, machines: i64, bid: &str) -> DriverOptions {
    let strings = [
        ("rackspace-spot-refresh-token", rackspace_spot_sim::ACME_TOKEN),
        ("rackspace-spot-organization", "acme"),
        ("rackspace-spot-region", "us-east-iad-1"),
        ("kubernetes-version", version),
        ("spot-server-class", "gp.vs1.medium-iad"),
        ("spot-bid-price", bid),
        ("nodes-ready-policy", "all"),
    ];
    DriverOptions {
        string_options: strings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        int_options: [("spot-node-count".to_owned(), machines)].into(),
        ..DriverOptions::default()
    }
}

/// `12 reads, 2 writes`: what the provider's API was asked since `before`.
fn traffic(stage: &Stage, before: usize) -> String {
    let requests = stage.sim.front().requests();
    let asked = requests
        .iter()
        .skip(before)
        .filter(|request| request.path.starts_with("/apis/ngpc.rxt.io/"));
    let (reads, writes): (Vec<_>, Vec<_>) = asked.partition(|request| request.method == "GET");
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!("{}, {}", count(reads.len(), "read"), count(writes.len(), "write"))
}

fn seconds(begun: Instant) -> String {
    format!("{:.1} s", begun.elapsed().as_secs_f64())
}
