//! Making a cluster what the options say now.

use kit::Class;
use kontainer_engine::wire::STATE_KEY;
use kontainer_engine::{Call, ClusterInfo, DriverError, OptionTable, Options};

use super::catalog;
use super::given::{self, Echo, Given, WhatCounts, said};
use super::observe::Observed;
use super::options as o;
use super::ownership;
use super::session::Session;
use super::state::{State, password};
use super::{act, create, identity, no_state, versions, wait};
use crate::Settings;

/// Compares what is wanted with what is there, changes only what differs, and keeps the result. What no option names stays
/// as it is at the provider, whatever the stored state says of it. Of an imported cloudspace only pools that are there are
/// changed: none is made, none deleted.
pub(super) async fn update(
    settings: &Settings,
    table: &OptionTable,
    call: &Call,
    mut info: ClusterInfo,
    options: &Options,
) -> Result<ClusterInfo, DriverError> {
    let mut known = State::of(&info)?
        .filter(|state| !state.cloudspace.is_empty())
        .ok_or_else(no_state)?;
    if known.refresh_token.is_none() {
        known.refresh_token = password(&info);
    }
    let said_now = said::by(options);
    let echo = if known.imported { Echo::All } else { Echo::Hiding };
    let options = given::without_echo(options, table, info.metadata.get(STATE_KEY), echo)?;
    let what_counts = match &known.extra.said {
        _ if !known.imported => WhatCounts::Everything,
        Some(before) => WhatCounts::News(before),
        None => WhatCounts::NoDefaults,
    };
    let given = Given::new(&options, what_counts);
    // What makes no sense whatever is there is told before anything is sent.
    let mut state = known.clone();
    given::merge(&mut state, &given)?;
    generation(&options, &known)?;
    for warning in given.without_effect(&state).into_iter().chain(fixed(&options, &known)) {
        call.warn(warning);
    }
    call.step("logging in");
    let session = Session::open(settings, call, state.refresh_token.clone(), &state.organization).await?;
    let observed = own(&session, &known).await?;
    let mut state = known.clone();
    state.absorb(&observed);
    if let Some(warning) = given.ignored(&state).filter(|_| known.imported) {
        call.warn(warning);
    }
    given::merge(&mut state, &given)?;
    keep_upgrade(&mut state, &known, &observed);
    if known.imported {
        state.extra.said = Some(said_now);
    } else {
        state.extra.owned = Some(true);
    }
    identity::assign(&mut state, &observed, session.namespace());
    create::guard(&state, &observed)?;
    if known.imported {
        keep_imported(&session, &mut state, &observed);
    }
    catalog::check(&session, &mut state, &observed, given.rules()).await?;
    act::converge(&session, &state, &known, observed).await?;
    session.keep_token(&mut state);
    state.save(&mut info)?;
    Ok(info)
}

/// An upgrade made elsewhere stays, as long as nobody asks for another version than before.
fn keep_upgrade(state: &mut State, known: &State, observed: &Observed) {
    if let Some(cloudspace) = &observed.cloudspace {
        let there = &cloudspace.spec.kubernetes_version;
        if versions::same(&state.version, &known.version) && versions::is_older(&state.version, there) {
            state.version.clone_from(there);
        }
    }
}

/// Refuses another generation of cloudspace. What the stored state says already is no change, even where it was never true:
/// the Go driver took any text.
fn generation(options: &Options, known: &State) -> Result<(), DriverError> {
    let (name, was) = (o::DEPLOYMENT_TYPE, &known.deployment_type);
    let live = if was.is_empty() { "gen2" } else { was };
    match options.non_empty(name) {
        Some(text) if text != live && !known.imported => Err(DriverError::invalid(format!(
            "{name} of cloudspace {} is {live} and cannot become {text:?}: the API refuses such a change; leave the option \
             as it was, or create another cluster",
            known.cloudspace
        ))),
        _ => Ok(()),
    }
}

async fn own(session: &Session, known: &State) -> Result<Observed, DriverError> {
    let name = &known.cloudspace;
    let observed = session.observe(known).await?;
    let Some(cloudspace) = &observed.cloudspace else {
        return Err(DriverError::new(
            Class::NotFound,
            format!("cloudspace {name} does not exist any more; remove the cluster, or create it again"),
        ));
    };
    if wait::is_going(cloudspace) {
        return Err(DriverError::new(
            Class::Conflict,
            format!("cloudspace {name} is being deleted"),
        ));
    }
    ownership::refuse_foreign(cloudspace, known, &observed.pools, session.user().as_deref())?;
    Ok(observed)
}

/// What was said about things that cannot change.
fn fixed(options: &Options, known: &State) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, was) in [
        (o::REGION, &known.region),
        (o::CNI, &known.cni),
        (o::DEPLOYMENT_TYPE, &known.deployment_type),
    ] {
        if options
            .non_empty(name)
            .is_some_and(|text| !was.is_empty() && text != was)
        {
            warnings.push(format!("{name} cannot change after creation; it stays {was}"));
        }
    }
    if options.bool(o::GPU).is_some_and(|gpu| gpu != known.gpu) {
        warnings.push(format!(
            "{} cannot change after creation; it stays {}",
            o::GPU,
            known.gpu
        ));
    }
    warnings
}

/// Pools of an imported cloudspace are changed, but neither made nor replaced.
fn keep_imported(session: &Session, state: &mut State, observed: &Observed) {
    state.pools.retain(|pool| {
        let there = observed.pool(&pool.name).is_some();
        if !there {
            session.call.warn(format!(
                "the cloudspace was imported: {} pool of class {} is not made; make it in the console",
                pool.kind.as_str(),
                pool.class
            ));
        }
        there
    });
}
