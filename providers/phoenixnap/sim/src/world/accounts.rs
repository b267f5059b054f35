//! Who may log in, and what they may do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{World, plus};
use crate::failure::Failure;

/// The account that things belong to when nothing else is said.
pub const ACCOUNT: &str = "acme";
/// A client of [`ACCOUNT`] that may do everything.
pub const CLIENT_ID: &str = "acme-client";
/// Its secret.
pub const CLIENT_SECRET: &str = "acme-s3cret-0f-the-simulation";
/// A client of another account.
pub const OTHER_CLIENT_ID: &str = "other-client";
/// Its secret.
pub const OTHER_CLIENT_SECRET: &str = "0ther-s3cret-0f-the-simulation";

const SCOPES: [&str; 4] = ["bmc", "bmc.read", "tags", "tags.read"];

/// A pair of client id and secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    pub(crate) secret: String,
    pub(crate) account: String,
    /// What it may be given; everything when nothing is said.
    #[serde(default = "all_scopes")]
    pub(crate) scopes: Vec<String>,
    /// It cannot log in any more, and its tokens are refused.
    #[serde(default)]
    pub(crate) revoked: bool,
    /// It logs in, and may do nothing: every call is answered 403.
    #[serde(default)]
    pub(crate) forbidden: bool,
}

/// A token that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) client: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires: Timestamp,
}

fn all_scopes() -> Vec<String> {
    SCOPES.iter().map(|scope| (*scope).to_owned()).collect()
}

pub(super) fn clients() -> BTreeMap<String, Client> {
    let client = |secret: &str, account: &str| Client {
        secret: secret.to_owned(),
        account: account.to_owned(),
        scopes: all_scopes(),
        revoked: false,
        forbidden: false,
    };
    [
        (CLIENT_ID.to_owned(), client(CLIENT_SECRET, ACCOUNT)),
        (OTHER_CLIENT_ID.to_owned(), client(OTHER_CLIENT_SECRET, "other")),
    ]
    .into()
}

impl World {
    /// Gives a token to who knows the secret.
    pub(crate) fn log_in(&mut self, id: &str, secret: &str, scope: Option<&str>) -> Result<(String, Grant), Failure> {
        let client = self
            .clients
            .get(id)
            .filter(|client| client.secret == secret && !client.revoked);
        let Some(client) = client else {
            return Err(Failure::login(
                401,
                "invalid_client",
                "Invalid client or Invalid client credentials",
            ));
        };
        let wanted: Vec<String> = match scope {
            None => client.scopes.clone(),
            Some(scope) => scope.split_whitespace().map(str::to_owned).collect(),
        };
        if wanted
            .iter()
            .any(|scope| !SCOPES.contains(&scope.as_str()) || !client.scopes.contains(scope))
        {
            let why = format!("Invalid scopes: {}", scope.unwrap_or_default());
            return Err(Failure::login(400, "invalid_scope", &why));
        }
        let grant = Grant {
            client: id.to_owned(),
            scopes: wanted,
            expires: plus(self.now, self.settings.token_lifetime),
        };
        let now = self.now;
        self.tokens.retain(|_, grant| grant.expires > now);
        let token = format!("sim-token-{}{}", self.draw_id(), self.draw_id());
        self.tokens.insert(token.clone(), grant.clone());
        Ok((token, grant))
    }

    /// Whose account a token opens for a call of the family `api` (`bmc` or `tags`), which reads or writes.
    pub(crate) fn authorize(&self, token: &str, api: &str, writes: bool) -> Result<String, Failure> {
        let grant = self.tokens.get(token).filter(|grant| grant.expires > self.now);
        let grant = grant.ok_or_else(Failure::unauthorized)?;
        let client = self.clients.get(&grant.client).filter(|client| !client.revoked);
        let client = client.ok_or_else(Failure::unauthorized)?;
        let has = |scope: &str| grant.scopes.iter().any(|given| given == scope);
        let may = has(api) || (!writes && has(&format!("{api}.read")));
        if client.forbidden || !may {
            return Err(Failure::forbidden());
        }
        Ok(client.account.clone())
    }
}
