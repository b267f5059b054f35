//! The Secret that Kubernetes puts the token into.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kit::{Backoff, Clock};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::objects::{self, Verdict};
use super::{BootstrapError, Credentials, Names, TOKEN_PATIENCE, uid};

/// The type of Secrets that Kubernetes fills with tokens.
const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";
/// The annotation by which Kubernetes knows whose token it is.
const ACCOUNT: &str = "kubernetes.io/service-account.name";
/// The annotation that Kubernetes adds: the uid of that account.
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
/// Rancher's annotation on an account: `NAMESPACE/SECRET`.
const SECRET_REF: &str = "rancher.io/service-account.secret-ref";
/// Rancher's label on a Secret: the account's name.
const ACCOUNT_LABEL: &str = "cattle.io/service-account.name";

/// Finds or makes the Secret, and waits until it is filled in.
pub(super) async fn credentials(
    client: &Client,
    accounts: &Api<ServiceAccount>,
    account: &ServiceAccount,
    names: &Names,
    clock: &Clock,
) -> Result<Credentials, BootstrapError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &names.namespace);
    let secret = match find(&secrets, account, names).await? {
        Some(secret) => secret,
        None => objects::ensure(&secrets, &wanted(account, names), |found| judge(found, account)).await?,
    };
    let name = secret.name_any();
    refer(accounts, account, names, &name).await?;

    let begun = clock.now();
    let mut waits = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    let mut newest = secret;
    loop {
        if let Some(credentials) = filled(&newest) {
            return Ok(credentials);
        }
        if clock.since(begun) >= TOKEN_PATIENCE {
            return Err(BootstrapError::NoToken {
                secret: format!("{}/{name}", names.namespace),
            });
        }
        clock.sleep(waits.next().unwrap_or_default()).await;
        // Not found means that Kubernetes deleted it, because the account is a new one: the caller starts again.
        newest = secrets.get(&name).await.map_err(|source| BootstrapError::Read {
            what: objects::what::<Secret>(&name),
            source: Box::new(source),
        })?;
    }
}

fn filled(secret: &Secret) -> Option<Credentials> {
    let text = |key: &str| {
        let bytes = &secret.data.as_ref()?.get(key)?.0;
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
    };
    Some(Credentials {
        token: text("token")?.into(),
        ca_certificate: text("ca.crt"),
    })
}

/// A Secret that exists already and is the account's: the one the account refers to, else one with Rancher's label.
async fn find(
    secrets: &Api<Secret>,
    account: &ServiceAccount,
    names: &Names,
) -> Result<Option<Secret>, BootstrapError> {
    let read = |what: &str, source: kube::Error| BootstrapError::Read {
        what: what.to_owned(),
        source: Box::new(source),
    };
    let referred = account
        .annotations()
        .get(SECRET_REF)
        .and_then(|text| text.split_once('/'));
    if let Some((_, name)) = referred.filter(|(namespace, _)| *namespace == names.namespace) {
        let found = secrets.get_opt(name).await;
        let found = found.map_err(|source| read(&objects::what::<Secret>(name), source))?;
        if let Some(secret) = found.filter(|secret| belongs(secret, account)) {
            return Ok(Some(secret));
        }
    }
    let labelled = ListParams::default().labels(&format!("{ACCOUNT_LABEL}={}", names.service_account));
    let mut found = secrets
        .list(&labelled)
        .await
        .map_err(|source| read("the service account's secrets", source))?
        .items;
    found.retain(|secret| belongs(secret, account));
    // Always the same one when there are several.
    found.sort_by_key(|secret| (filled(secret).is_none(), secret.name_any()));
    Ok(found.into_iter().next())
}

/// Whether Kubernetes keeps this account's token in the Secret.
fn belongs(secret: &Secret, account: &ServiceAccount) -> bool {
    let annotations = secret.annotations();
    let same_uid = annotations.get(ACCOUNT_UID).is_none_or(|found| *found == uid(account));
    secret.type_.as_deref() == Some(TOKEN_TYPE) && annotations.get(ACCOUNT) == Some(&account.name_any()) && same_uid
}

/// A Secret of our name that is something else can not be turned into ours: the type is fixed, and so is the token's owner.
fn judge(found: &Secret, account: &ServiceAccount) -> Verdict<Secret> {
    if belongs(found, account) {
        Verdict::Right
    } else {
        Verdict::Replace
    }
}

fn wanted(account: &ServiceAccount, names: &Names) -> Secret {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ServiceAccount".to_owned(),
        name: names.service_account.clone(),
        uid: uid(account),
        ..OwnerReference::default()
    };
    Secret {
        metadata: ObjectMeta {
            name: Some(names.secret.clone()),
            labels: Some([(ACCOUNT_LABEL.to_owned(), names.service_account.clone())].into()),
            annotations: Some([(ACCOUNT.to_owned(), names.service_account.clone())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some(TOKEN_TYPE.to_owned()),
        ..Secret::default()
    }
}

/// Lets the account refer to the Secret, so that Rancher finds it.
async fn refer(
    accounts: &Api<ServiceAccount>,
    account: &ServiceAccount,
    names: &Names,
    secret: &str,
) -> Result<(), BootstrapError> {
    let reference = format!("{}/{secret}", names.namespace);
    if account.annotations().get(SECRET_REF) == Some(&reference) {
        return Ok(());
    }
    // One key only, whatever else changes: there is nothing to be in conflict with.
    let patch = json!({ "metadata": { "annotations": { SECRET_REF: reference } } });
    let name = account.name_any();
    let patched = accounts
        .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    patched.map(|_| ()).map_err(|source| BootstrapError::Write {
        what: objects::what::<ServiceAccount>(&name),
        source: Box::new(source),
    })
}
