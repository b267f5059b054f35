//! Doing what was decided, so that twice is once.

use std::future::Future;

use kit::Class;
use kontainer_engine::DriverError;
use serde_json::Value;

use super::observe::Observed;
use super::ownership::OWNER;
use super::plan::{Kind, Step, plan};
use super::session::Session;
use super::state::{Pool, State};
use super::{ownership, wait};
use crate::client::{
    CloudSpace, CloudSpaceSpec, Meta, OnDemandNodePool, OnDemandSpec, SpotError, SpotNodePool, SpotResult, SpotSpec,
};

/// The label that ties a pool to its cloudspace, as the official SDK sets it.
const CLOUDSPACE_LABEL: &str = crate::client::CLOUDSPACE_LABEL;
/// How often it is planned again because something changed under our hands.
const ROUNDS: usize = 5;
/// How often a request whose answer was lost is sent.
const TRIES: usize = 6;

/// Makes the pools and the changeable parts of the cloudspace what `desired` says. `known` tells what is ours.
pub(super) async fn converge(
    session: &Session,
    desired: &State,
    known: &State,
    mut observed: Observed,
) -> Result<(), DriverError> {
    for _ in 0..ROUNDS {
        let steps = plan(&observed, desired);
        if steps.is_empty() {
            return Ok(());
        }
        let mut outcome = Outcome::Done;
        for step in &steps {
            session.call.step(step.describe());
            outcome = run(session, desired, step).await?;
            if outcome == Outcome::Changed {
                session
                    .call
                    .info("something else changed it at the same time; looking again");
                break;
            }
        }
        if outcome == Outcome::Done {
            return Ok(());
        }
        observed = session.observe(known).await?;
    }
    Err(DriverError::new(
        Class::Conflict,
        format!(
            "cloudspace {} keeps changing while it is being changed; try again later",
            desired.cloudspace
        ),
    ))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Something is not as it was observed: plan again.
    Changed,
}

async fn run(session: &Session, desired: &State, step: &Step) -> Result<Outcome, DriverError> {
    let (client, namespace) = (&session.client, session.namespace());
    let result = match step {
        Step::Create(pool) => return create_pool(session, desired, pool).await,
        Step::Await { kind, name, count } => {
            wait::replacement(session, desired, *kind, name, *count).await?;
            return Ok(Outcome::Done);
        }
        Step::PatchCloudspace { patch, .. } => client.patch_cloudspace(namespace, &desired.cloudspace, patch).await,
        Step::Patch { kind, name, patch, .. } => patch_pool(session, *kind, name, patch).await,
        Step::Delete { kind, name } => delete_pool(session, *kind, name).await,
    };
    match result {
        Ok(()) => Ok(Outcome::Done),
        // Changed, or gone, since it was read.
        Err(error) if matches!(error.class(), Class::Conflict | Class::NotFound) => {
            session.call.debug(error.to_string());
            session.pause(&mut session.waits()).await?;
            Ok(Outcome::Changed)
        }
        Err(error) => Err(session.failed(&step.describe(), error)),
    }
}

async fn patch_pool(session: &Session, kind: Kind, name: &str, patch: &Value) -> SpotResult<()> {
    match kind {
        Kind::Spot => session.client.patch_spot_pool(session.namespace(), name, patch).await,
        Kind::OnDemand => {
            session
                .client
                .patch_on_demand_pool(session.namespace(), name, patch)
                .await
        }
    }
}

pub(super) async fn delete_pool(session: &Session, kind: Kind, name: &str) -> SpotResult<()> {
    match kind {
        Kind::Spot => session.client.delete_spot_pool(session.namespace(), name).await,
        Kind::OnDemand => session.client.delete_on_demand_pool(session.namespace(), name).await,
    }
}

/// What stands under a name that we chose.
enum Found {
    Nothing,
    /// On its way out.
    Going,
    /// What we make, though not necessarily with every field as wanted.
    Ours,
    /// Somebody else's.
    Foreign,
}

/// Sends a POST whose object has a name that we chose, until the object is known to be there. A lost answer, or "exists
/// already", is settled by looking at that name.
async fn create<P, L>(
    session: &Session,
    what: &str,
    post: impl Fn() -> P,
    look: impl Fn() -> L,
) -> Result<Outcome, DriverError>
where
    P: Future<Output = SpotResult<()>>,
    L: Future<Output = SpotResult<Found>>,
{
    let mut waits = session.waits();
    let mut outcome = Outcome::Done;
    let begun = session.now();
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match post().await {
            Ok(()) => return Ok(outcome),
            Err(error) => error,
        };
        if !(error.is_ambiguous() || error.class() == Class::Conflict) {
            return Err(session.failed(what, error));
        }
        session.call.debug(format!("{error}; looking whether it was made"));
        match look().await.map_err(|error| session.failed(what, error))? {
            // It was there before, or was made by the request whose answer was lost: the next plan compares the rest.
            Found::Ours if error.class() == Class::Conflict => return Ok(Outcome::Changed),
            Found::Ours => return Ok(outcome),
            Found::Foreign => {
                return Err(DriverError::new(
                    Class::Conflict,
                    format!("failed to {what}: the name is taken by something else"),
                ));
            }
            Found::Going if session.settings.clock.since(begun) < session.settings.limits.deletion => {
                outcome = Outcome::Changed;
                tries = 0;
            }
            // What was just made may not be visible yet; then the next POST is told that it exists.
            Found::Nothing if tries < TRIES => {}
            _ => return Err(session.failed(what, error)),
        }
        session.pause(&mut waits).await?;
    }
}

/// Makes the cloudspace.
pub(super) async fn create_cloudspace(session: &Session, state: &State) -> Result<(), DriverError> {
    let namespace = session.namespace();
    let wanted = CloudSpace {
        metadata: Meta {
            name: state.cloudspace.clone(),
            namespace: namespace.to_owned(),
            annotations: ownership::marks(state, session.user()),
            ..Meta::default()
        },
        spec: CloudSpaceSpec {
            deployment_type: "gen2".to_owned(),
            cloud: "default".to_owned(),
            region: state.region.clone(),
            webhook: state.webhook.clone().unwrap_or_default(),
            cni: state.cni.clone(),
            kubernetes_version: state.version.clone(),
            ha_control_plane: state.extra.ha.unwrap_or_default(),
            gpu_enabled: state.gpu,
        },
        ..CloudSpace::default()
    };
    let look = || async {
        Ok(match session.client.cloudspace(namespace, &state.cloudspace).await? {
            None => Found::Nothing,
            Some(found) if !ownership::is_made_by(&found.metadata, state, session.user().as_deref()) => Found::Foreign,
            Some(found) if wait::is_going(&found) => Found::Going,
            Some(_) => Found::Ours,
        })
    };
    let post = || session.client.create_cloudspace(namespace, &wanted);
    create(session, &format!("create cloudspace {}", state.cloudspace), post, look).await?;
    Ok(())
}

async fn create_pool(session: &Session, desired: &State, pool: &Pool) -> Result<Outcome, DriverError> {
    let namespace = session.namespace();
    let what = format!("create {} pool {}", pool.kind.as_str(), pool.name);
    let metadata = Meta {
        name: pool.name.clone(),
        namespace: namespace.to_owned(),
        labels: [
            (CLOUDSPACE_LABEL.to_owned(), desired.cloudspace.clone()),
            (OWNER.to_owned(), desired.cloudspace.clone()),
        ]
        .into(),
        ..Meta::default()
    };
    let judge = |found: Option<(Meta, String)>| match found {
        None => Found::Nothing,
        Some((_, cloudspace)) if cloudspace != desired.cloudspace => Found::Foreign,
        Some((meta, _)) if meta.deletion_timestamp.is_some() => Found::Going,
        Some(_) => Found::Ours,
    };
    let client = &session.client;
    match pool.kind {
        Kind::Spot => {
            let wanted = SpotNodePool {
                metadata,
                spec: SpotSpec {
                    server_class: pool.class.clone(),
                    desired: pool.count,
                    bid_price: pool.bid.clone(),
                    cloud_space: desired.cloudspace.clone(),
                    autoscaling: Some(pool.autoscaling),
                    custom_labels: pool.labels.clone().unwrap_or_default(),
                    custom_annotations: pool.annotations.clone().unwrap_or_default(),
                    custom_taints: pool.taints.clone().unwrap_or_default(),
                },
                ..SpotNodePool::default()
            };
            let look = || async {
                let found = client.spot_pool(namespace, &pool.name).await?;
                Ok(judge(found.map(|found| (found.metadata, found.spec.cloud_space))))
            };
            create(session, &what, || client.create_spot_pool(namespace, &wanted), look).await
        }
        Kind::OnDemand => {
            let wanted = OnDemandNodePool {
                metadata,
                spec: OnDemandSpec {
                    server_class: pool.class.clone(),
                    desired: pool.count,
                    cloud_space: desired.cloudspace.clone(),
                    custom_labels: pool.labels.clone().unwrap_or_default(),
                    custom_annotations: pool.annotations.clone().unwrap_or_default(),
                    custom_taints: pool.taints.clone().unwrap_or_default(),
                },
                ..OnDemandNodePool::default()
            };
            let look = || async {
                let found = client.on_demand_pool(namespace, &pool.name).await?;
                Ok(judge(found.map(|found| (found.metadata, found.spec.cloud_space))))
            };
            create(
                session,
                &what,
                || client.create_on_demand_pool(namespace, &wanted),
                look,
            )
            .await
        }
    }
}

/// Begins the deletion of the cloudspace.
pub(super) async fn delete_cloudspace(session: &Session, name: &str) -> Result<(), SpotError> {
    session.client.delete_cloudspace(session.namespace(), name).await
}
