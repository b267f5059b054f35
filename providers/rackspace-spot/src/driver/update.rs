//! Making a cluster what the options say now.

use kit::Class;
use kontainer_engine::wire::STATE_KEY;
use kontainer_engine::{Call, ClusterInfo, DriverError, OptionTable, Options};

use super::catalog::{self, Rules};
use super::given::{self, Defaults, Given};
use super::observe::Observed;
use super::options as o;
use super::ownership::{self, Owner};
use super::session::Session;
use super::state::{State, password};
use super::{act, create, identity, no_state, wait};
use crate::Settings;

/// Compares what is wanted with what is there, changes only what differs, and keeps the result. Options that were not given
/// leave things as they are. Of an imported cloudspace only pools that are there are changed: none is made, none deleted.
pub(super) async fn update(
    settings: &Settings,
    table: &OptionTable,
    call: &Call,
    mut info: ClusterInfo,
    options: &Options,
) -> Result<ClusterInfo, DriverError> {
    let mut known = State::of(&info)?.ok_or_else(no_state)?;
    if known.refresh_token.is_none() {
        known.refresh_token = password(&info);
    }
    let options = given::without_echo(options, table, info.metadata.get(STATE_KEY))?;
    let defaults = if known.imported {
        Defaults::Ignored
    } else {
        Defaults::Count
    };
    let given = Given::new(&options, table, defaults);
    let mut state = known.clone();
    given::merge(&mut state, &given)?;
    for warning in given.without_effect().into_iter().chain(fixed(&options, &known)) {
        call.warn(warning);
    }
    call.step("logging in");
    let session = Session::open(settings, call, state.refresh_token.clone(), &state.organization).await?;
    let observed = own(&session, &mut state, &known).await?;
    if state.version == known.version {
        // Nobody asked for another one: an upgrade made elsewhere stays.
        if let Some(cloudspace) = &observed.cloudspace {
            state.version.clone_from(&cloudspace.spec.kubernetes_version);
        }
    }
    identity::assign(&mut state, &observed, session.namespace());
    create::guard(&state, &observed)?;
    let rules = Rules {
        rounding: given.rounding(),
        unlisted: given.unlisted(),
    };
    if known.imported {
        keep_imported(&session, &mut state, &observed);
    }
    catalog::check(&session, &mut state, &observed, rules).await?;
    act::converge(&session, &state, &known, observed).await?;
    session.keep_token(&mut state);
    state.save(&mut info)?;
    Ok(info)
}

async fn own(session: &Session, state: &mut State, known: &State) -> Result<Observed, DriverError> {
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
    if !known.imported {
        if ownership::of(cloudspace, known, &observed.pools) == Owner::Somebody {
            return Err(ownership_lost(name));
        }
        state.extra.owned = Some(true);
    }
    Ok(observed)
}

pub(super) fn ownership_lost(name: &str) -> DriverError {
    DriverError::new(
        Class::Conflict,
        format!(
            "cloudspace {name} does not carry the mark of this cluster (annotation {}), so it may be somebody else's and is \
             left alone; put the annotation back if it is this cluster's",
            ownership::OWNER
        ),
    )
}

/// What was said about things that cannot change.
fn fixed(options: &Options, known: &State) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, was) in [(o::REGION, &known.region), (o::CNI, &known.cni)] {
        if options
            .non_empty(name)
            .is_some_and(|text| !was.is_empty() && text != was)
        {
            warnings.push(format!("{name} cannot change after creation; it stays {was}"));
        }
    }
    if options.bool(o::GPU).is_some_and(|gpu| gpu != known.gpu) {
        warnings.push(format!("{} cannot change after creation", o::GPU));
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
