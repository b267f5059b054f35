//! Waiting until a cluster is usable, and saying how to reach it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::go_duration;
use kontainer_engine::service_account::{self, Names};
use kontainer_engine::{ClusterInfo, DriverError};
use secrecy::{ExposeSecret as _, SecretString};

use super::kubeconfig::{self, Access};
use super::ownership;
use super::session::Session;
use super::state::State;
use super::{access, ready, trust, wait};
use crate::client::{CloudSpace, SpotError};

/// Fills in endpoint, CA, version, node count and a token that does not expire. What the record already holds, and what
/// still works, stays: asked twice, the answer is the same to the byte.
pub(super) async fn post_check(
    session: &Session,
    mut state: State,
    mut info: ClusterInfo,
) -> Result<ClusterInfo, DriverError> {
    session.call.step(format!(
        "waiting for the control plane of cloudspace {}",
        state.cloudspace
    ));
    let cloudspace = wait::control_plane(session, &state).await?;
    // Before anything is made in it: an administrator's account in somebody else's cluster would be the worst of all.
    // Only for a state of the Go driver the pools are needed to tell.
    let pools = match state.extra.owned {
        None => session.pools(&state).await?,
        Some(_) => Vec::new(),
    };
    ownership::refuse_foreign(&cloudspace, &state, &pools, session.user().as_deref())?;
    let access = match known(&info) {
        Some(access) if still_good(session, &access, &cloudspace).await => access,
        _ => {
            session.call.step("making a service account for the engine");
            bootstrap(session, &state, &cloudspace, &mut info).await?
        }
    };
    ready::nodes(session, &state, &access).await?;
    let running = &cloudspace.status.current_kubernetes_version;
    let version = if running.is_empty() {
        &cloudspace.spec.kubernetes_version
    } else {
        running
    };
    info.version.clone_from(version);
    session.keep_token(&mut state);
    state.save(&mut info)?;
    Ok(info)
}

/// What the record holds, if it is complete.
fn known(info: &ClusterInfo) -> Option<Access> {
    let ca = STANDARD
        .decode(&info.root_ca_certificate)
        .ok()
        .filter(|ca| !ca.is_empty())?;
    let complete = !info.endpoint.is_empty() && !info.service_account_token.is_empty();
    complete.then(|| Access {
        server: info.endpoint.clone(),
        ca: Some(ca),
        token: Some(SecretString::from(info.service_account_token.clone())),
        ..Access::default()
    })
}

async fn still_good(session: &Session, access: &Access, cloudspace: &CloudSpace) -> bool {
    let endpoint = &cloudspace.status.api_server_endpoint;
    access.server.contains(endpoint.as_str()) && ready::may_list_nodes(session, access).await.is_ok()
}

/// Gets a kubeconfig, makes the account with it, and checks that the cluster answers to the account's own credentials.
async fn bootstrap(
    session: &Session,
    state: &State,
    cloudspace: &CloudSpace,
    info: &mut ClusterInfo,
) -> Result<Access, DriverError> {
    let name = &state.cloudspace;
    let text = fetch(session, name).await?;
    let mut first = kubeconfig::parse(text.expose_secret()).map_err(|error| {
        DriverError::permanent(format!("failed to read the kubeconfig of cloudspace {name}")).caused_by(error)
    })?;
    if first.server.is_empty() {
        first.server = format!("https://{}", cloudspace.status.api_server_endpoint);
    }
    if let Some(token) = &first.token {
        session.client.secrets().add(token);
    }
    let client = access::client(&session.settings, &first)?;
    let account = service_account::bootstrap(&client, &names(), &session.settings.clock).await?;
    session.client.secrets().add(&account.token);
    let own = account
        .ca_certificate
        .map(String::into_bytes)
        .filter(|ca| !ca.is_empty());
    let server = Access {
        server: first.server.clone(),
        token: Some(account.token.clone()),
        ..Access::default()
    };
    let (access, ca) = trust::settle(session, name, server, first.ca.clone(), own).await?;
    info.endpoint.clone_from(&access.server);
    info.root_ca_certificate = STANDARD.encode(&ca);
    info.client_certificate = first.client_certificate.unwrap_or_default();
    info.client_key = first
        .client_key
        .map(|key| key.expose_secret().to_owned())
        .unwrap_or_default();
    account
        .token
        .expose_secret()
        .clone_into(&mut info.service_account_token);
    Ok(access)
}

/// The objects of `driver/util.go`, so that clusters of the Go driver keep theirs.
fn names() -> Names {
    Names {
        namespace: "kube-system".to_owned(),
        service_account: "rancher".to_owned(),
        secret: "rancher-token".to_owned(),
        cluster_role: "cluster-admin".to_owned(),
        cluster_role_binding: "rancher".to_owned(),
    }
}

/// The kubeconfig. It may be refused for a moment after the control plane is up.
async fn fetch(session: &Session, name: &str) -> Result<SecretString, DriverError> {
    let limit = session.settings.limits.kubeconfig;
    let begun = session.now();
    let mut waits = session.waits();
    loop {
        let error = match session.client.kubeconfig(&session.organization, name).await {
            Ok(text) => {
                session.client.secrets().add(&text);
                return Ok(text);
            }
            Err(error) => error,
        };
        let early = match &error {
            SpotError::NoKubeconfig(_) => true,
            SpotError::Api(error) => {
                error.class().is_temporary()
                    || error
                        .status()
                        .is_some_and(|status| matches!(status.as_u16(), 400 | 404))
            }
            _ => false,
        };
        if !early || session.settings.clock.since(begun) >= limit {
            let what = format!(
                "get the kubeconfig of cloudspace {name} within {}",
                go_duration::format(limit)
            );
            return Err(session.failed(&what, error));
        }
        session.call.debug(format!("{error}; asking again"));
        session.pause(&mut waits).await?;
    }
}
