//! Deleting a cluster.

use kit::go_duration;
use kontainer_engine::{Call, ClusterInfo, DriverError};
use serde_json::json;

use super::ownership::{self, OWNER, Owner};
use super::session::Session;
use super::state::{State, password};
use super::{act, wait};
use crate::Settings;

/// Deletes our pools, then the cloudspace, and waits until it is gone. Only the API's word that the cloudspace is not there
/// is success without deleting: an organization that cannot be found, or a state that was lost, is an error, because
/// machines may be running and be paid for.
pub(super) async fn remove(settings: &Settings, call: &Call, info: &ClusterInfo) -> Result<(), DriverError> {
    let stored = State::of(info)?;
    if stored.as_ref().is_some_and(State::is_nothing_begun) {
        call.info("creating this cluster was refused before anything was begun; there is nothing to delete");
        return Ok(());
    }
    let stored = stored.filter(|state| !state.cloudspace.is_empty());
    if let Some(state) = stored.as_ref().filter(|state| state.imported) {
        call.info(format!(
            "cloudspace {} was imported; skipping deletion",
            state.cloudspace
        ));
        return Ok(());
    }
    let (state, session) = match stored {
        Some(state) => {
            let token = state.refresh_token.clone();
            let session = Session::open(settings, call, token, &state.organization)
                .await
                .map_err(|error| cannot_look(&state, error))?;
            (state, session)
        }
        None => search(settings, call, info).await?,
    };
    let name = &state.cloudspace;
    let observed = session.observe(&state).await?;
    let Some(cloudspace) = &observed.cloudspace else {
        // Pools cannot be without their cloudspace, but paying for them by mistake is dear.
        let left = session.pools(&state).await?;
        delete_pools(&session, left.iter().filter(|pool| pool.ours)).await?;
        call.info(format!("cloudspace {name} is already gone"));
        return Ok(());
    };
    if !wait::is_going(cloudspace) {
        let owner = ownership::of(cloudspace, &state, &observed.pools, session.user().as_deref());
        if owner == Owner::Somebody && state.extra.owned == Some(false) {
            call.warn(format!(
                "cloudspace {name} was not made for this cluster and is left alone"
            ));
            return Ok(());
        }
        if owner == Owner::Somebody {
            return Err(ownership::lost(name));
        }
        if !cloudspace.metadata.annotations.contains_key(OWNER) {
            // The proof is in the pools that go now: without a mark, a second attempt could not tell any more.
            let mark = json!({"metadata": {"annotations": {OWNER: ownership::mark(&state)}}});
            let marked = session.client.patch_cloudspace(session.namespace(), name, &mark).await;
            marked.map_err(|error| session.failed(&format!("mark cloudspace {name}"), error))?;
        }
        call.step(format!("deleting the pools of cloudspace {name}"));
        delete_pools(&session, observed.ours()).await?;
        call.step(format!("deleting cloudspace {name}"));
        let deleted = act::delete_cloudspace(&session, name).await;
        deleted.map_err(|error| session.failed(&format!("delete cloudspace {name}"), error))?;
    }
    call.step(format!("waiting until cloudspace {name} is gone"));
    let limit = session.settings.limits.deletion;
    if wait::gone(&session, name, limit).await? {
        return Ok(());
    }
    let left: Vec<String> = session.pools(&state).await?.into_iter().map(|pool| pool.name).collect();
    let pools = if left.is_empty() {
        String::new()
    } else {
        format!(", with pools {}", left.join(", "))
    };
    Err(DriverError::transient(format!(
        "cloudspace {name} is still deleting after {}{pools}; it was told to go, look in the console whether it is stuck",
        go_duration::format(limit)
    )))
}

/// Why it cannot even be looked. Where Create never got as far as making a cloudspace, the way out is to create again.
fn cannot_look(state: &State, error: DriverError) -> DriverError {
    if state.extra.owned != Some(false) {
        return error;
    }
    DriverError::new(
        error.class(),
        format!(
            "it cannot be told whether there is a cloudspace {}; create the cluster again with credentials and an \
             organization that work, and then remove it",
            state.cloudspace
        ),
    )
    .caused_by(error)
}

async fn delete_pools(
    session: &Session,
    pools: impl Iterator<Item = &super::observe::LivePool>,
) -> Result<(), DriverError> {
    for pool in pools.filter(|pool| !pool.deleting) {
        let deleted = act::delete_pool(session, pool.kind, &pool.name).await;
        deleted.map_err(|error| session.failed(&format!("delete {} pool {}", pool.kind.as_str(), pool.name), error))?;
    }
    Ok(())
}

/// Looks for the cloudspace of a cluster whose state is lost: one that carries a mark of ours and answers at the cluster's
/// endpoint.
async fn search(settings: &Settings, call: &Call, info: &ClusterInfo) -> Result<(State, Session), DriverError> {
    let lost = || {
        DriverError::permanent(format!(
            "no state of this cluster is stored and its cloudspace cannot be told by its endpoint, so nothing was deleted; \
             create the cluster again with the same name and options, which finds what an earlier attempt made, and then \
             remove it; or look in the Rackspace Spot console for a cloudspace with annotation {OWNER} that nobody uses"
        ))
    };
    let token = password(info);
    let credential = token.is_some() || settings.refresh_token.is_some() || settings.access_token.is_some();
    if info.endpoint.is_empty() || !credential {
        return Err(lost());
    }
    let session = Session::open(settings, call, token, "").await?;
    let all = session.client.cloudspaces(session.namespace()).await;
    let all = all.map_err(|error| session.failed("list cloudspaces", error))?;
    let wanted = host(&info.endpoint);
    let mut found = all.into_iter().filter(|cloudspace| {
        cloudspace.metadata.annotations.contains_key(OWNER) && host(&cloudspace.status.api_server_endpoint) == wanted
    });
    let (Some(cloudspace), None) = (found.next(), found.next()) else {
        return Err(lost());
    };
    let mut state = State {
        cloudspace: cloudspace.metadata.name,
        cluster_id: cloudspace.metadata.annotations.get(OWNER).cloned().unwrap_or_default(),
        ..State::default()
    };
    state.extra.owned = Some(true);
    call.warn(format!(
        "the cluster's state is lost; its cloudspace is {} by its endpoint and mark",
        state.cloudspace
    ));
    Ok((state, session))
}

/// The host of an endpoint, without scheme, port and path.
fn host(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}
