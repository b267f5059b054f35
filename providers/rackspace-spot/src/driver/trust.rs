//! Which authority's certificates an API server shows.
//!
//! An engine is told one CA and trusts nobody else, so the CA it is told must be the one that signs for the endpoint, and not
//! just one that the cluster has. Where the provider names a CA in its kubeconfig, that one counts and no other. Where it
//! names none, the endpoint shows either a certificate of the cluster's own CA, or that of a public authority; then the one
//! certificate among the machine's roots is looked for under which it holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kontainer_engine::DriverError;

use super::kubeconfig::Access;
use super::ready;
use super::session::Session;

/// Adds to `server` whom to trust, checked against the endpoint with the account's token, and answers that CA also as PEM.
/// `told` is the CA in the kubeconfig, `own` the one that the cluster puts beside the token.
pub(super) async fn settle(
    session: &Session,
    cloudspace: &str,
    server: Access,
    told: Option<Vec<u8>>,
    own: Option<Vec<u8>>,
) -> Result<(Access, Vec<u8>), DriverError> {
    // A CA that the provider names is the whole truth. One that only the cluster names may be for its inside.
    let only = told.is_some();
    let known = told.or(own).map(|ca| (with(&server, &ca), ca));
    let begun = session.now();
    let mut waits = session.waits();
    // Rights take a moment to spread, so nothing is decided by the first refusal.
    loop {
        let mut error = None;
        if let Some((access, ca)) = &known {
            match ready::may_list_nodes(session, access).await {
                Ok(()) => return Ok((access.clone(), ca.clone())),
                Err(refused) => error = Some(refused),
            }
        }
        if !only {
            match ready::may_list_nodes(session, &server).await {
                Ok(()) => break,
                Err(refused) => error = error.or(Some(refused)),
            }
        }
        if let Some(error) = error.filter(|_| session.settings.clock.since(begun) >= session.settings.limits.kubeconfig)
        {
            return Err(DriverError::new(
                error.class(),
                format!(
                    "the API server of cloudspace {cloudspace} does not answer to the service account made for the engine, or \
                     shows a certificate that neither the CA known of it nor this machine vouches for"
                ),
            )
            .caused_by(error));
        }
        session.pause(&mut waits).await?;
    }
    session.call.info(format!(
        "the API server of cloudspace {cloudspace} shows a publicly trusted certificate; looking for its root"
    ));
    let ca = public(session, &server).await.ok_or_else(|| {
        DriverError::permanent(format!(
            "this machine trusts the API server of cloudspace {cloudspace}, but by which of its certificates cannot be told, \
             and without it no engine can connect"
        ))
    })?;
    Ok((with(&server, &ca), ca))
}

fn with(server: &Access, ca: &[u8]) -> Access {
    Access {
        ca: Some(ca.to_vec()),
        ..server.clone()
    }
}

/// The one root under which the server's certificate holds, by halving: a machine has some 150 of them.
async fn public(session: &Session, server: &Access) -> Option<Vec<u8>> {
    let mut roots = (session.settings.public_roots)();
    while roots.len() > 1 {
        let rest = roots.split_off(roots.len() / 2);
        if !holds(session, server, &roots).await {
            roots = rest;
        }
    }
    let ca = bundle(&roots);
    let found = !roots.is_empty() && holds(session, server, &roots).await;
    found.then_some(ca)
}

async fn holds(session: &Session, server: &Access, roots: &[Vec<u8>]) -> bool {
    let access = with(server, &bundle(roots));
    ready::may_list_nodes(session, &access).await.is_ok()
}

/// Certificates as PEM.
fn bundle(certificates: &[Vec<u8>]) -> Vec<u8> {
    let mut pem = String::new();
    for certificate in certificates {
        let text = STANDARD.encode(certificate);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem.into_bytes()
}
