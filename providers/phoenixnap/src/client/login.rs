//! Tokens: given for client id and secret, good for as long as the answer says.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_http::{Client, Error, Token, TokenSource};
use http::{HeaderValue, Method, header};
use jiff::SignedDuration;
use kit::{Class, Clock};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

const OPERATION: &str = "log in to PhoenixNAP";
/// What is asked for, as the original asks.
const SCOPES: &str = "bmc bmc.read tags tags.read";

/// The answer of the login service.
#[derive(Deserialize)]
struct Grant {
    #[serde(default, deserialize_with = "kit::lenient::secret")]
    access_token: Option<SecretString>,
    /// In seconds; without it only a refusal shows the end.
    #[serde(default)]
    expires_in: Option<i64>,
}

/// Asks for tokens, with HTTP Basic.
pub(super) struct Login {
    client: Client,
    basic: SecretString,
    clock: Clock,
}

impl Login {
    pub(super) fn new(client: Client, id: &str, secret: &SecretString, clock: Clock) -> Self {
        // Both halves are form-encoded by the standard, so that either may have a colon.
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(id), encoded(secret.expose_secret()));
        let basic = SecretString::from(STANDARD.encode(pair));
        client.secrets().add(secret);
        client.secrets().add(&basic);
        Self { client, basic, clock }
    }
}

#[async_trait]
impl TokenSource for Login {
    async fn fetch(&self) -> Result<Token, Error> {
        let mut basic = HeaderValue::from_str(&format!("Basic {}", self.basic.expose_secret()))
            .map_err(|_| Error::new(OPERATION, Class::Invalid, "the credential cannot stand in a header"))?;
        basic.set_sensitive(true);
        let grant: Grant = self
            .client
            .call(OPERATION, Method::POST, "")
            .header(header::AUTHORIZATION, basic)
            .form(&[("grant_type", "client_credentials"), ("scope", SCOPES)])
            .sensitive()
            // A second token does no harm.
            .repeatable()
            .json()
            .await?;
        let token = grant.access_token;
        let secret = token.ok_or_else(|| Error::new(OPERATION, Class::Transient, "the answer has no token"))?;
        let lasts = grant
            .expires_in
            .filter(|seconds| *seconds > 0)
            .map(SignedDuration::from_secs);
        Ok(Token {
            secret,
            expires: lasts.and_then(|lasts| self.clock.now().checked_add(lasts).ok()),
        })
    }
}
