//! `--audit`: what was left behind, told and not touched.

use std::io::Write;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use kit::Clock;
use kube::api::{Api, ListParams};
use kube_kit::metrics::Registry;
use kube_kit::{Broadcaster, Fence, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::clients::{Clients, Purpose};
use super::options::Options;
use super::process::ProcessError;
use crate::cloud::{Cloud, Context, LoadBalancers, OwnedBalancer};
use crate::controllers::service::orphans;
use crate::data::Service;

/// Lists load balancers whose Service is gone. The cloud is initialised as ever, behind a closed fence: nothing is changed.
pub(super) async fn audit(
    options: &Options,
    cloud: &dyn Cloud,
    clients: &Clients,
    out: &mut (dyn Write + Send),
) -> Result<(), ProcessError> {
    let fence = Fence::closed();
    let client = clients.make(Purpose::new("audit").behind(&fence)).await?;
    let clock = Clock::system();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let context = Context {
        client: client.clone(),
        nodes: Store::new(),
        services: Store::new(),
        cluster: options.cluster.clone(),
        // Nobody writes its events.
        recorder: Broadcaster::new(clock.clone()).recorder("audit"),
        metrics: Registry::new(),
        clock,
        fence,
        stop: stop.clone(),
        tasks: tasks.clone(),
    };
    let _stop = stop.drop_guard();
    cloud.initialize(&context).await.map_err(ProcessError::Initialize)?;
    let Some(balancers) = cloud.load_balancers() else {
        let _ = writeln!(
            out,
            "the provider {} has no load balancers as it is configured: what it made when it was configured otherwise was not looked for",
            options.cloud
        );
        return Ok(());
    };
    let found = look(options, balancers, &client).await?;
    // What came between looking at Services and looking at load balancers only seems to be without a Service: it is not
    // among those that are found again.
    let again = look(options, balancers, &client).await?.unwrap_or_default();
    match found {
        None => {
            let _ = writeln!(out, "the provider {} cannot list its load balancers", options.cloud);
        }
        Some(mut orphans) => {
            orphans.retain(|orphan| again.contains(orphan));
            info!(orphans = orphans.len(), "audit");
            let mut table = kit::Table::new(["LOAD BALANCER", "ID", "SERVICE"]);
            for orphan in orphans {
                table.row([orphan.name, orphan.id, orphan.service.unwrap_or_default()]);
            }
            let _ = write!(out, "{table}");
        }
    }
    Ok(())
}

/// The load balancers that no Service has.
async fn look(
    options: &Options,
    balancers: &dyn LoadBalancers,
    client: &kube::Client,
) -> Result<Option<Vec<OwnedBalancer>>, ProcessError> {
    let services: Api<core::Service> = Api::all(client.clone());
    let listed = services.list(&ListParams::default()).await;
    let listed = listed.map_err(ProcessError::Services)?;
    let services: Vec<_> = listed
        .items
        .into_iter()
        .map(|one| Arc::new(Service::cut(one)))
        .collect();
    let found = orphans(balancers, &options.cluster, &services).await;
    found.map_err(ProcessError::Balancers)
}
