//! Tokens of the load balancer API, bought with the API key.

use std::time::Duration;

use async_trait::async_trait;
use cloud_http::{Client, Error, Token, TokenSource};
use cloud_provider::meter::Meter;
use http::{HeaderValue, Method, header};
use jiff::SignedDuration;
use kit::{Class, Clock};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

const OPERATION: &str = "exchange api key";

/// Exchanges the API key. The cache and the single flight are [`cloud_http::Tokens`]'.
pub(super) struct Exchange {
    client: Client,
    api_key: SecretString,
    clock: Clock,
    meter: Meter,
}

#[derive(Deserialize)]
struct Grant {
    #[serde(default, deserialize_with = "kit::lenient::secret")]
    access_token: Option<SecretString>,
    expires_in: Option<i64>,
}

impl Exchange {
    pub(super) fn new(client: Client, api_key: SecretString, clock: Clock, meter: Meter) -> Self {
        Self {
            client,
            api_key,
            clock,
            meter,
        }
    }
}

#[async_trait]
impl TokenSource for Exchange {
    async fn fetch(&self) -> Result<Token, Error> {
        let failed = |text: &str| Error::new(OPERATION, Class::Permanent, text);
        let mut key = HeaderValue::from_str(&format!("Bearer {}", self.api_key.expose_secret()))
            .map_err(|_| failed("the API key has characters that cannot stand in a header"))?;
        key.set_sensitive(true);
        let call = self
            .client
            .call(OPERATION, Method::POST, "")
            .header(header::AUTHORIZATION, key)
            .sensitive()
            // A second token does no harm.
            .repeatable()
            .json::<Grant>();
        let grant = self.meter.time(OPERATION, Error::class, call).await?;
        let secret = grant.access_token.ok_or_else(|| failed("the service gave no token"))?;
        let ends = grant.expires_in.filter(|seconds| *seconds > 0);
        let ends = ends.and_then(|seconds| self.clock.now().checked_add(SignedDuration::from_secs(seconds)).ok());
        Ok(Token {
            secret,
            // Nothing said: trust it for five minutes and learn the rest by refusal.
            expires: ends.or_else(|| Some(self.clock.now() + Duration::from_mins(5))),
        })
    }
}
