//! Credentials on requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use kit::{Class, Clock};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use crate::{Error, Secrets};

/// Gives each request its credential.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The header to send.
    async fn header(&self) -> Result<(HeaderName, HeaderValue), Error>;

    /// Told that the server refused `sent` with 401. `true` means that [`Self::header`] now gives another credential and
    /// one replay makes sense. Told so by many callers at once, it must renew only once.
    async fn refused(&self, sent: &HeaderValue) -> Result<bool, Error> {
        let _ = sent;
        Ok(false)
    }
}

/// One credential that never changes, such as an API key.
#[derive(Clone, Debug)]
pub struct StaticHeader(HeaderName, HeaderValue);

impl StaticHeader {
    /// `None` if the secret cannot stand in a header.
    pub fn new(name: HeaderName, secret: &SecretString) -> Option<Self> {
        let mut value = HeaderValue::from_str(secret.expose_secret()).ok()?;
        value.set_sensitive(true);
        Some(Self(name, value))
    }
}

#[async_trait]
impl Authenticator for StaticHeader {
    async fn header(&self) -> Result<(HeaderName, HeaderValue), Error> {
        Ok((self.0.clone(), self.1.clone()))
    }
}

/// A bearer token and when it ends.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub secret: SecretString,
    /// When it ends; `None` means that only a refusal shows it.
    pub expires: Option<Timestamp>,
}

/// Where tokens come from.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A new token. Its retries, if any, are its own.
    async fn fetch(&self) -> Result<Token, Error>;
}

/// `Authorization: Bearer …` with tokens that expire: cached until a minute before their end (or half of their life, where
/// that is shorter), fetched by one caller while the others wait, renewed once when refused.
pub struct Tokens<S> {
    source: S,
    clock: Clock,
    secrets: Secrets,
    /// Fetches that ended, well or not: tells a waiter that the fetch it waited for was its own answer.
    ended: AtomicU64,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    current: Option<(HeaderValue, Option<Timestamp>)>,
    failed: Option<Error>,
}

impl<S: TokenSource> Tokens<S> {
    /// Tokens from `source`, timed by `clock`, each made known to `secrets`.
    pub fn new(source: S, clock: Clock, secrets: Secrets) -> Self {
        Self {
            source,
            clock,
            secrets,
            ended: AtomicU64::new(0),
            cache: Mutex::default(),
        }
    }

    /// Where the tokens come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// A token that is good now, other than `refused`.
    async fn current(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, Error> {
        let before = self.ended.load(Ordering::SeqCst);
        let mut cache = self.cache.lock().await;
        if let Some((value, until)) = &cache.current
            // The same token again, but fetched since it was refused, is an answer too.
            && (refused != Some(value) || self.ended.load(Ordering::SeqCst) != before)
            && until.is_none_or(|until| self.clock.now() < until)
        {
            return Ok(value.clone());
        }
        if self.ended.load(Ordering::SeqCst) != before
            && let Some(error) = &cache.failed
        {
            return Err(error.clone());
        }
        let fetched = self.fetch().await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        match fetched {
            Ok((value, until)) => {
                cache.current = Some((value.clone(), until));
                cache.failed = None;
                Ok(value)
            }
            Err(error) => {
                cache.current = None;
                cache.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<(HeaderValue, Option<Timestamp>), Error> {
        let token = self.source.fetch().await?;
        self.secrets.add(&token.secret);
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.secret.expose_secret())).map_err(|_| {
            Error::new(
                "authenticate",
                Class::Permanent,
                "the token received cannot stand in a header",
            )
        })?;
        value.set_sensitive(true);
        Ok((value, token.expires.map(|end| fresh_until(end, self.clock.now()))))
    }
}

fn fresh_until(end: Timestamp, now: Timestamp) -> Timestamp {
    let life = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    let early = SignedDuration::try_from((life / 2).min(Duration::from_mins(1))).unwrap_or_default();
    end.checked_sub(early).unwrap_or(end)
}

#[async_trait]
impl<S: TokenSource> Authenticator for Tokens<S> {
    async fn header(&self) -> Result<(HeaderName, HeaderValue), Error> {
        Ok((header::AUTHORIZATION, self.current(None).await?))
    }

    async fn refused(&self, sent: &HeaderValue) -> Result<bool, Error> {
        self.current(Some(sent)).await?;
        Ok(true)
    }
}

#[async_trait]
impl<A: Authenticator + ?Sized> Authenticator for std::sync::Arc<A> {
    async fn header(&self) -> Result<(HeaderName, HeaderValue), Error> {
        (**self).header().await
    }

    async fn refused(&self, sent: &HeaderValue) -> Result<bool, Error> {
        (**self).refused(sent).await
    }
}
