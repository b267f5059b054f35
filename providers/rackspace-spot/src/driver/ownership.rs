//! Whose a cloudspace or a pool is.
//!
//! A cloudspace of ours carries an annotation with the engine's name of the cluster; a pool of ours carries a label with
//! the cloudspace's name, has a name that only we derive, or stands in our state. Everything else belongs to somebody.
//!
//! Two people of one organization may give their clusters one name. So a cloudspace also says whose credentials made it,
//! and as long as no record says that we made it, it is ours only if they are ours.

use std::collections::BTreeMap;

use kit::Class;
use kontainer_engine::DriverError;
use serde_json::{Value, json};

use super::names::pool_name;
use super::observe::LivePool;
use super::plan::Kind;
use super::state::State;
use crate::client::{CloudSpace, Meta};

/// Annotation of a cloudspace, label of a pool.
pub const OWNER: &str = "roadstead.dev/owner";

/// Annotation of a cloudspace: the user whose credentials made it, as the login service names them (claim `sub`).
pub const MAKER: &str = "roadstead.dev/made-by";

/// How many pools of one kind and class are looked for by their derived names.
const MOST_OF_A_KIND: usize = 32;

/// Whose a cloudspace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This cluster's.
    Us,
    /// Not known to be this cluster's.
    Somebody,
}

/// Whose this cloudspace is for `user`: ours by its marks; or, in the state of the Go driver, which sets no marks, by one of
/// the random pool names in that state.
pub fn of(cloudspace: &CloudSpace, state: &State, pools: &[LivePool], user: Option<&str>) -> Owner {
    let marked = cloudspace.metadata.annotations.get(OWNER);
    let known = state.extra.owned.is_none()
        && pools
            .iter()
            .any(|pool| state.pool_names().any(|name| name == pool.name));
    match marked {
        _ if is_made_by(&cloudspace.metadata, state, user) => Owner::Us,
        Some(owner) if *owner == mark(state) && state.extra.owned != Some(false) => Owner::Us,
        None if known => Owner::Us,
        _ => Owner::Somebody,
    }
}

/// Whether this is what `user` makes, or made, for this cluster.
pub(super) fn is_made_by(cloudspace: &Meta, state: &State, user: Option<&str>) -> bool {
    let says = |key: &str| cloudspace.annotations.get(key).map(String::as_str);
    says(OWNER) == Some(mark(state)) && says(MAKER) == user
}

/// Refuses to change a cloudspace that is not this cluster's. An imported one is for this cluster to change, whatever mark
/// it carries.
pub(super) fn refuse_foreign(
    cloudspace: &CloudSpace,
    state: &State,
    pools: &[LivePool],
    user: Option<&str>,
) -> Result<(), DriverError> {
    if state.imported || of(cloudspace, state, pools, user) == Owner::Us {
        return Ok(());
    }
    let name = &state.cloudspace;
    if state.extra.owned == Some(false) {
        return Err(DriverError::new(
            Class::Conflict,
            format!(
                "cloudspace {name} was not made for this cluster and is left alone; remove this cluster, which does not touch \
                 the cloudspace, and create it under another name, or take the cloudspace over with import-existing-cluster"
            ),
        ));
    }
    Err(lost(name))
}

/// A cloudspace that was ours by all we know, and does not say so any more.
pub(super) fn lost(name: &str) -> DriverError {
    DriverError::new(
        Class::Conflict,
        format!(
            "cloudspace {name} does not carry the mark of this cluster (annotation {OWNER}), so it may be somebody else's and \
             is left alone; put the annotation back if it is this cluster's"
        ),
    )
}

/// The annotations of a cloudspace that `user` makes for this cluster.
pub(super) fn marks(state: &State, user: Option<String>) -> BTreeMap<String, String> {
    let maker = user.map(|user| (MAKER.to_owned(), user));
    let owner = (OWNER.to_owned(), mark(state).to_owned());
    maker.into_iter().chain([owner]).collect()
}

/// The value of [`OWNER`] at a cloudspace: the engine's name of the cluster, else the cloudspace's name.
pub fn mark(state: &State) -> &str {
    if state.cluster_id.is_empty() {
        &state.cloudspace
    } else {
        &state.cluster_id
    }
}

/// Whether a pool is ours.
pub fn is_ours(meta: &Meta, kind: Kind, class: &str, namespace: &str, state: &State) -> bool {
    let derived = || {
        (0..MOST_OF_A_KIND)
            .any(|number| pool_name(namespace, &state.cloudspace, kind.as_str(), class, number) == meta.name)
    };
    meta.labels.get(OWNER) == Some(&state.cloudspace) || state.pool_names().any(|name| name == meta.name) || derived()
}

/// The mark that a cloudspace of ours lacks, as `metadata` of a patch.
pub(super) fn missing_mark(meta: &Meta, state: &State) -> Option<Value> {
    let lacks = !state.imported && !meta.annotations.contains_key(OWNER);
    lacks.then(|| json!({"annotations": {OWNER: mark(state)}}))
}

/// The mark that a pool of ours lacks, as `metadata` of a patch.
pub(super) fn missing_label(live: &LivePool, state: &State) -> Option<Value> {
    let lacks = !state.imported && !live.labelled;
    lacks.then(|| json!({"labels": {OWNER: state.cloudspace}}))
}
