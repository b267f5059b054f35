//! Id tokens: bought with the refresh token, believed about their own end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud_http::{Client, Error, Token, TokenSource};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use kit::{Class, Clock};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// What an id token says of itself. It is not verified: the API does that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// The user, as the login service names them; it stays when tokens change.
    pub sub: Option<String>,
    /// When it ends, in Unix seconds.
    pub exp: Option<i64>,
    /// The organization it is bound to, as `org_…`.
    pub org_id: Option<String>,
    /// Must be true where it is there.
    pub email_verified: Option<bool>,
}

impl Claims {
    /// The claims of a token; `None` if it is not three parts with JSON in the middle.
    pub fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_, middle, _) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let json = URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

/// The answer of the login service.
#[derive(Deserialize)]
struct Grant {
    #[serde(default, deserialize_with = "kit::lenient::secret")]
    id_token: Option<SecretString>,
    expires_in: Option<i64>,
    /// Only when the service rotates refresh tokens.
    #[serde(default, deserialize_with = "kit::lenient::secret")]
    refresh_token: Option<SecretString>,
}

/// Buys id tokens, and remembers what it learnt.
pub(super) struct Login {
    client: Client,
    client_id: String,
    clock: Clock,
    learnt: Mutex<Learnt>,
}

struct Learnt {
    refresh_token: Option<SecretString>,
    /// A token from outside, to be used first.
    given: Option<SecretString>,
    claims: Claims,
}

impl Login {
    pub(super) fn new(
        client: Client,
        client_id: String,
        clock: Clock,
        refresh_token: Option<SecretString>,
        given: Option<SecretString>,
    ) -> Self {
        for secret in refresh_token.iter().chain(&given) {
            client.secrets().add(secret);
        }
        let learnt = Mutex::new(Learnt {
            refresh_token,
            given,
            claims: Claims::default(),
        });
        Self {
            client,
            client_id,
            clock,
            learnt,
        }
    }

    /// The refresh token that is good now: the one given, or the one the service put in its place.
    pub(super) fn refresh_token(&self) -> Option<SecretString> {
        self.lock().refresh_token.clone()
    }

    /// What the last id token said of itself.
    pub(super) fn claims(&self) -> Claims {
        self.lock().claims.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token from outside that has not ended; used once, so that a refusal leads to a fresh one.
    fn given(&self) -> Option<Token> {
        let mut learnt = self.lock();
        let secret = learnt.given.take()?;
        learnt.claims = Claims::of(secret.expose_secret())?;
        let expires = Timestamp::from_second(learnt.claims.exp?).ok()?;
        (expires > self.clock.now()).then_some(Token {
            secret,
            expires: Some(expires),
        })
    }
}

const OPERATION: &str = "log in to Rackspace Spot";

#[async_trait]
impl TokenSource for Login {
    async fn fetch(&self) -> Result<Token, Error> {
        if let Some(token) = self.given() {
            return Ok(token);
        }
        let refresh_token = self
            .refresh_token()
            .ok_or_else(|| Error::new(OPERATION, Class::Unauthorized, "there is no refresh token"))?;
        let grant: Grant = self
            .client
            .call(OPERATION, Method::POST, "/oauth/token")
            .form(&[
                ("grant_type", "refresh_token"),
                ("client_id", &self.client_id),
                ("refresh_token", refresh_token.expose_secret()),
            ])
            .secret(&refresh_token)
            .sensitive()
            // A second token does no harm.
            .repeatable()
            .json()
            .await?;
        let id_token = grant
            .id_token
            .ok_or_else(|| Error::new(OPERATION, Class::Permanent, "the login service gave no id token"))?;
        self.client.secrets().add(&id_token);
        let claims = Claims::of(id_token.expose_secret()).unwrap_or_default();
        let ends = claims.exp.and_then(|exp| Timestamp::from_second(exp).ok()).or_else(|| {
            self.clock
                .now()
                .checked_add(SignedDuration::from_secs(grant.expires_in?))
                .ok()
        });
        if claims.email_verified == Some(false) {
            return Err(Error::new(
                OPERATION,
                Class::Unauthorized,
                "the e-mail address of this account is not verified; verify it in the console",
            ));
        }
        let mut learnt = self.lock();
        learnt.claims = claims;
        if let Some(rotated) = grant.refresh_token.filter(|token| !token.expose_secret().is_empty()) {
            self.client.secrets().add(&rotated);
            learnt.refresh_token = Some(rotated);
        }
        Ok(Token {
            secret: id_token,
            // Neither claim nor answer: trust it for a minute and learn the rest by refusal.
            expires: ends.or_else(|| Some(self.clock.now() + Duration::from_mins(1))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_and_garbage_is_none() {
        let token = format!(
            "h.{}.s",
            URL_SAFE_NO_PAD.encode(r#"{"sub":"auth0|me","exp":1790000000,"org_id":"org_A1","email_verified":true}"#)
        );
        assert_eq!(
            Claims::of(&token),
            Some(Claims {
                sub: Some("auth0|me".to_owned()),
                exp: Some(1_790_000_000),
                org_id: Some("org_A1".to_owned()),
                email_verified: Some(true),
            })
        );
        for garbage in ["", "a", "a.b", "a.b.c.d", "a.!!.c", "a.e30.c.d"] {
            assert_eq!(Claims::of(garbage), None, "{garbage}");
        }
    }
}
