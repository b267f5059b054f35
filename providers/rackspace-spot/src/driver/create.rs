//! Creating a cluster, or going on with one whose creation failed.

use kit::Class;
use kontainer_engine::{Call, ClusterInfo, CreateError, DriverError, Options};

use super::catalog::{self, Rules};
use super::given::{self, Given, WhatCounts};
use super::names::cloudspace_name;
use super::observe::Observed;
use super::options as o;
use super::ownership::{self, Owner};
use super::session::Session;
use super::shared::Shared;
use super::state::{Pool, State, password};
use super::{act, identity, import, wait};
use crate::Settings;

/// Makes the cloudspace and its pools, and returns as soon as they are ordered; waiting is for `PostCheck`.
///
/// `previous` need not be there even if there was an attempt before: what that one made is found by its marks and names. An
/// error carries a record as soon as the cloudspace's name is known, so that nothing made can be forgotten; one before that
/// carries a record which says that nothing was begun, so that there is something to remove.
pub(super) async fn create(
    settings: &Settings,
    call: &Call,
    options: &Options,
    previous: Option<ClusterInfo>,
) -> Result<ClusterInfo, CreateError> {
    let given = Given::new(options, WhatCounts::Everything);
    if options.bool_or_default(o::IMPORT) {
        return Box::pin(import::import(settings, call, options, previous)).await;
    }
    let shared = shared(settings, call, options, previous.as_ref()).await;
    let prepared = prepare(settings, &given, options, previous.as_ref(), shared).and_then(|prepared| {
        Ok((
            Session::new(settings, call, prepared.0.refresh_token.clone())?,
            prepared,
        ))
    });
    let (mut session, (mut state, known)) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Err(CreateError::keeping(error, refused(options, previous))),
    };
    for warning in given.without_effect(&state) {
        call.warn(warning);
    }
    let mut info = previous.unwrap_or_default();
    let wanted = state.pools.clone();
    forget_new_names(&mut state, &known);
    state.save(&mut info).map_err(CreateError::from)?;
    let work = run(&mut session, &mut state, wanted, &known, given.rules());
    let done = call.run(Box::pin(work)).await.and_then(|done| done);
    session.keep_token(&mut state);
    state.save(&mut info).map_err(CreateError::from)?;
    match done {
        Ok(()) => Ok(info),
        Err(error) => Err(CreateError::keeping(error, info)),
    }
}

/// What to store of a cluster whose creation was refused before anything was begun.
///
/// A record of an earlier attempt stays as it is: that one may have begun something. Without one, all that is needed to look
/// for a cloudspace is kept, as far as it was given; where it does not suffice for that, nothing can have been begun with it.
pub(super) fn refused(options: &Options, previous: Option<ClusterInfo>) -> ClusterInfo {
    if let Some(info) = previous {
        return info;
    }
    let mut state = State::nothing_begun();
    state.refresh_token = options.secret(o::REFRESH_TOKEN);
    options
        .string_or_default(o::ORGANIZATION)
        .clone_into(&mut state.organization);
    options.name().clone_into(&mut state.cluster_id);
    let complete = state.refresh_token.is_some() && !state.organization.is_empty();
    if complete && !options.bool_or_default(o::IMPORT) {
        state.cloudspace = cloudspace_name(options.name()).unwrap_or_default();
    }
    let mut info = ClusterInfo::default();
    // A state is plain data: that it cannot be written never happens, and an empty record is what there was before.
    match state.save(&mut info) {
        Ok(()) => info,
        Err(_) => ClusterInfo::default(),
    }
}

/// What an administrator laid down for all clusters, asked for only where the options leave it open.
pub(super) async fn shared(
    settings: &Settings,
    call: &Call,
    options: &Options,
    previous: Option<&ClusterInfo>,
) -> Shared {
    let token = options.secret(o::REFRESH_TOKEN).or_else(|| previous.and_then(password));
    if token.is_some() && options.non_empty(o::ORGANIZATION).is_some() {
        return Shared::default();
    }
    Shared::read(settings, call).await
}

/// What is wanted, and what is known from before.
fn prepare(
    settings: &Settings,
    given: &Given<'_>,
    options: &Options,
    previous: Option<&ClusterInfo>,
    shared: Shared,
) -> Result<(State, State), DriverError> {
    let before = previous.map(State::of).transpose()?.flatten();
    let mut state = given::fresh(given)?;
    state.refresh_token = state.refresh_token.or_else(|| previous.and_then(password));
    state.refresh_token = state.refresh_token.or(shared.refresh_token);
    if state.organization.is_empty() {
        state.organization = shared.organization.unwrap_or_default();
    }
    let has_credential =
        state.refresh_token.is_some() || settings.refresh_token.is_some() || settings.access_token.is_some();
    for (missing, name) in [
        (!has_credential, o::REFRESH_TOKEN),
        (state.organization.is_empty(), o::ORGANIZATION),
        (state.region.is_empty(), o::REGION),
    ] {
        if missing {
            return Err(DriverError::invalid(format!("{name} is required")));
        }
    }
    options.name().clone_into(&mut state.cluster_id);
    state.cloudspace = match &before {
        // A name once chosen stays, whatever becomes of the rules for choosing it.
        Some(before) if !before.cloudspace.is_empty() => before.cloudspace.clone(),
        _ => cloudspace_name(options.name())
            .ok_or_else(|| DriverError::invalid("invalid cluster name: name cannot be empty"))?,
    };
    let known = before
        .filter(|before| !before.cloudspace.is_empty())
        .unwrap_or_else(|| State {
            cloudspace: state.cloudspace.clone(),
            extra: state.extra.clone(),
            ..State::default()
        });
    let known = State {
        cluster_id: state.cluster_id.clone(),
        ..known
    };
    state.extra.owned = known.extra.owned;
    Ok((state, known))
}

/// A pool's name in the state makes the pool ours. A name that only the user gave must not get there before it is known
/// that no pool of somebody else's has it.
fn forget_new_names(state: &mut State, known: &State) {
    for pool in &mut state.pools {
        if !known.pool_names().any(|name| name == pool.name) {
            pool.name.clear();
        }
    }
}

async fn run(
    session: &mut Session,
    state: &mut State,
    wanted: Vec<Pool>,
    known: &State,
    rules: Rules,
) -> Result<(), DriverError> {
    session.call.step("logging in");
    session.log_in(&state.organization).await?;
    build(session, state, wanted, known, rules).await
}

async fn build(
    session: &Session,
    state: &mut State,
    wanted: Vec<Pool>,
    known: &State,
    rules: Rules,
) -> Result<(), DriverError> {
    let observed = own(session, state, known).await?;
    state.pools = wanted;
    identity::assign(state, &observed, session.namespace());
    if let Err(error) = guard(state, &observed) {
        forget_new_names(state, known);
        return Err(error);
    }
    session.call.step("checking what was asked for");
    catalog::check(session, state, &observed, rules).await?;
    let mut observed = observed;
    if observed.cloudspace.is_none() {
        session.call.step(format!(
            "creating cloudspace {} in org {} (region: {}, k8s: {})",
            state.cloudspace, state.organization, state.region, state.version
        ));
        act::create_cloudspace(session, state).await?;
        observed = Observed {
            cloudspace: None,
            pools: session.pools(known).await?,
        };
    }
    state.extra.owned = Some(true);
    act::converge(session, state, known, observed).await
}

/// What is there, if it is ours. A cloudspace on its way out is waited for.
async fn own(session: &Session, state: &State, known: &State) -> Result<Observed, DriverError> {
    let name = &state.cloudspace;
    let observed = session.observe(known).await?;
    let Some(cloudspace) = &observed.cloudspace else {
        return Ok(observed);
    };
    if wait::is_going(cloudspace) {
        session
            .call
            .step(format!("waiting until the old cloudspace {name} is gone"));
        if !wait::gone(session, name, session.settings.limits.deletion).await? {
            return Err(DriverError::new(
                Class::Conflict,
                format!("the old cloudspace {name} is still being deleted; try again later"),
            ));
        }
        return Ok(Observed::default());
    }
    let user = session.user();
    if ownership::of(cloudspace, known, &observed.pools, user.as_deref()) == Owner::Us {
        let called = ownership::mark(known);
        match user {
            _ if known.extra.owned != Some(false) => {}
            Some(user) => session.call.info(format!(
                "cloudspace {name} is there already, made by the same user, {user}, for a cluster called {called:?}: going on \
                 with it as the work of an earlier attempt"
            )),
            None => session.call.warn(format!(
                "cloudspace {name} is there already, made for a cluster called {called:?}, and neither it nor the credentials \
                 say by whom: going on with it as the work of an earlier attempt. If somebody else of the organization made \
                 it, both of you have this one cluster now, and removing it removes theirs"
            )),
        }
        return Ok(observed);
    }
    let maker = match cloudspace.metadata.annotations.get(ownership::MAKER) {
        Some(maker) if Some(maker) != user.as_ref() => format!(" (user {maker} made it)"),
        _ => String::new(),
    };
    Err(DriverError::new(
        Class::Conflict,
        format!(
            "cloudspace {name} exists already and was not made for this cluster{maker}; give the cluster another name, or \
             take the cloudspace over with import-existing-cluster"
        ),
    ))
}

/// Refuses what would touch pools of others, or what they make impossible.
pub(super) fn guard(state: &State, observed: &Observed) -> Result<(), DriverError> {
    let foreign = |name: &str| observed.pool(name).is_some_and(|pool| !pool.ours);
    if let Some(name) = state.pool_names().find(|name| foreign(name)) {
        return Err(DriverError::new(
            Class::Conflict,
            format!(
                "pool {name} of cloudspace {} was not made by this driver; leave its name out",
                state.cloudspace
            ),
        ));
    }
    let wants = state.pools.iter().any(|pool| pool.autoscaling.enabled);
    let other = observed.pools.iter().find(|pool| !pool.ours && pool.autoscales());
    match other {
        Some(other) if wants => Err(DriverError::new(
            Class::Conflict,
            format!(
                "only one spot node pool may have autoscaling enabled per cloudspace (API limit), and pool {} has it, which \
                 this driver did not make",
                other.name
            ),
        )),
        _ => Ok(()),
    }
}
