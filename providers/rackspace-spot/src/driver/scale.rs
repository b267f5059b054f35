//! Version and size, without the rest of an update.

use kit::Class;
use kontainer_engine::DriverError;
use serde_json::json;

use super::observe::{LivePool, Observed, total};
use super::ownership;
use super::plan::Kind;
use super::session::Session;
use super::state::State;
use super::versions::{self, Unlisted};
use super::wait;
use crate::client::CloudSpace;

/// How often a change is tried when somebody else changes the same thing.
const TRIES: u32 = 5;

async fn cloudspace(session: &Session, state: &State) -> Result<CloudSpace, DriverError> {
    let found = session.cloudspace(&state.cloudspace).await?;
    found.ok_or_else(|| missing(state))
}

fn missing(state: &State) -> DriverError {
    DriverError::new(
        Class::NotFound,
        format!("cloudspace {} does not exist", state.cloudspace),
    )
}

/// The cloudspace and its pools, to be changed: a foreign one is refused.
async fn own(session: &Session, state: &State) -> Result<(CloudSpace, Vec<LivePool>), DriverError> {
    let Observed { cloudspace, pools } = session.observe(state).await?;
    let cloudspace = cloudspace.ok_or_else(|| missing(state))?;
    ownership::refuse_foreign(&cloudspace, state, &pools, session.user().as_deref())?;
    Ok((cloudspace, pools))
}

/// The version that runs; while there is none yet, the one that was asked for.
pub(super) async fn version(session: &Session, state: &State) -> Result<String, DriverError> {
    let cloudspace = cloudspace(session, state).await?;
    let running = cloudspace.status.current_kubernetes_version;
    Ok(if running.is_empty() {
        cloudspace.spec.kubernetes_version
    } else {
        running
    })
}

/// Upgrades, and waits until the new version runs.
pub(super) async fn set_version(session: &Session, mut state: State, version: &str) -> Result<(), DriverError> {
    state.version = versions::expand(version);
    let mut waits = session.waits();
    for n in 1..=TRIES {
        if !upgrade(session, &state, n == TRIES).await? {
            break;
        }
        session.pause(&mut waits).await?;
    }
    wait::control_plane(session, &state).await?;
    Ok(())
}

/// One attempt. `true` when somebody else changed the cloudspace in between and this was not the last attempt.
async fn upgrade(session: &Session, state: &State, last: bool) -> Result<bool, DriverError> {
    let (found, _) = own(session, state).await?;
    let running = &found.status.current_kubernetes_version;
    let from = if running.is_empty() {
        &found.spec.kubernetes_version
    } else {
        running
    };
    versions::check_upgrade(from, &state.version, Unlisted::OnlyByUpdate).map_err(DriverError::invalid)?;
    if versions::same(&found.spec.kubernetes_version, &state.version) {
        return Ok(false);
    }
    let patch = json!({"spec": {"kubernetesVersion": state.version}});
    match session
        .client
        .patch_cloudspace(session.namespace(), &state.cloudspace, &patch)
        .await
    {
        Ok(()) => Ok(false),
        Err(error) if error.class() == Class::Conflict && !last => Ok(true),
        Err(error) => Err(session.failed(&format!("upgrade cloudspace {}", state.cloudspace), error)),
    }
}

/// Machines wanted in all pools of ours.
pub(super) async fn size(session: &Session, state: &State) -> Result<i64, DriverError> {
    let pools = session.pools(state).await?;
    Ok(total(pools.iter().filter(|pool| pool.ours).map(|pool| pool.count)))
}

/// Gives the primary spot pool what is missing to `count` machines over all pools. Nothing but the number is sent, so
/// autoscaling stays as it is; its limits bound what can be asked for.
pub(super) async fn set_size(session: &Session, state: &State, count: i64) -> Result<(), DriverError> {
    if !(0..=10_000).contains(&count) {
        return Err(DriverError::invalid(format!(
            "the number of nodes must be between 0 and 10000, not {count}"
        )));
    }
    let mut waits = session.waits();
    for n in 1..=TRIES {
        if !scale_primary(session, state, count, n == TRIES).await? {
            break;
        }
        session.pause(&mut waits).await?;
    }
    Ok(())
}

/// One attempt. `true` when somebody else changed the pool in between and this was not the last attempt.
async fn scale_primary(session: &Session, state: &State, count: i64, last: bool) -> Result<bool, DriverError> {
    let (_, pools) = own(session, state).await?;
    let primary = primary(&pools, state).ok_or_else(|| {
        DriverError::invalid(format!(
            "cloudspace {} has no spot pool that could be scaled",
            state.cloudspace
        ))
    })?;
    let others = total(
        pools
            .iter()
            .filter(|pool| pool.ours && pool.name != primary.name)
            .map(|pool| pool.count),
    );
    let wanted = count.saturating_sub(others);
    if wanted < 0 {
        return Err(DriverError::invalid(format!(
            "the other pools have {others} machines, so {count} in all cannot be had by scaling the primary spot pool; scale \
             them down first"
        )));
    }
    let limits = primary.autoscaling;
    if primary.autoscales() && !(limits.min_nodes..=limits.max_nodes).contains(&wanted) {
        return Err(DriverError::invalid(format!(
            "spot pool {} scales by itself from {} to {} machines, and {wanted} is outside; change these limits instead",
            primary.name, limits.min_nodes, limits.max_nodes
        )));
    }
    if wanted == primary.count {
        return Ok(false);
    }
    let patch = json!({"spec": {"desired": wanted}});
    match session
        .client
        .patch_spot_pool(session.namespace(), &primary.name, &patch)
        .await
    {
        Ok(()) => Ok(false),
        Err(error) if error.class() == Class::Conflict && !last => Ok(true),
        Err(error) => Err(session.failed(&format!("scale spot node pool {}", primary.name), error)),
    }
}

fn primary<'a>(pools: &'a [LivePool], state: &State) -> Option<&'a LivePool> {
    let ours = || pools.iter().filter(|pool| pool.ours && pool.kind == Kind::Spot);
    let named = state.of_kind(Kind::Spot).next();
    named
        .and_then(|first| ours().find(|pool| pool.name == first.name))
        .or_else(|| ours().next())
}
