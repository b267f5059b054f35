//! Fills Secrets of type service-account-token, and removes them when their account is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Controller;
use crate::kinds::secret::{ACCOUNT_NAME, ACCOUNT_UID, TOKEN_TYPE};
use crate::meta;
use crate::ops::{DeleteOptions, State, Target};
use crate::sim::Inner;

/// Remembers when each Secret was first seen: the delay counts from there, finer than the whole seconds of its metadata.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    seen: BTreeMap<String, Timestamp>,
}

impl Controller for Tokens {
    fn watches(&self) -> &'static [&'static str] {
        &["secrets", "serviceaccounts"]
    }

    fn reconcile(&mut self, inner: &Inner) -> Option<Timestamp> {
        let mut state = inner.state();
        let resource = state.registry.by_name("secrets")?.clone();
        let now = inner.clock.now();
        let mut next: Option<Timestamp> = None;
        let mut alive = BTreeMap::new();
        for ((namespace, name), secret) in state.store.list("secrets", "") {
            if secret["type"] != TOKEN_TYPE {
                continue;
            }
            let target = Target {
                resource: &resource,
                namespace: &namespace,
                name: &name,
            };
            let Some(account) = account_of(&state, &namespace, &secret) else {
                let _ = state.delete(
                    target,
                    &DeleteOptions::default(),
                    &inner.write("kube-controller-manager"),
                );
                continue;
            };
            if ["token", "ca.crt", "namespace"]
                .iter()
                .all(|key| secret["data"].get(key).is_some())
            {
                continue;
            }
            let uid = meta::text(&secret, "uid").to_owned();
            let first = *self.seen.get(&uid).unwrap_or(&now);
            alive.insert(uid, first);
            let Some(due) = inner
                .token_delay
                .and_then(|d| first.checked_add(SignedDuration::try_from(d).ok()?).ok())
            else {
                continue;
            };
            if due > now {
                next = Some(next.map_or(due, |n| n.min(due)));
                continue;
            }
            fill(inner, &mut state, target, &secret, &account);
        }
        self.seen = alive;
        next
    }
}

/// The account a Secret is for, when it is there and the same one.
fn account_of(state: &State, namespace: &str, secret: &Value) -> Option<Arc<Value>> {
    let annotations = &secret["metadata"]["annotations"];
    let account = state
        .store
        .get("serviceaccounts", namespace, annotations[ACCOUNT_NAME].as_str()?)?;
    let same = annotations
        .get(ACCOUNT_UID)
        .is_none_or(|uid| *uid == account["metadata"]["uid"]);
    same.then(|| account.clone())
}

fn fill(inner: &Inner, state: &mut State, target: Target<'_>, secret: &Value, account: &Value) {
    let uid = meta::text(account, "uid");
    let token = inner
        .signer
        .secret_token(target.namespace, meta::name(account), uid, target.name);
    let mut filled = secret.clone();
    filled["metadata"]["annotations"][ACCOUNT_UID] = json!(uid);
    for (key, value) in [
        ("token", token.as_str()),
        ("ca.crt", inner.authority.pem()),
        ("namespace", target.namespace),
    ] {
        filled["data"][key] = json!(STANDARD.encode(value));
    }
    let write = inner.write("kube-controller-manager");
    // A write in between wakes us again.
    let _ = state.update(target, &write, |_, _| Ok(filled));
}
