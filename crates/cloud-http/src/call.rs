//! One request, described before it is sent.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::error::Failure;
use crate::{Client, Error};

/// What must be escaped in one segment of a path.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A path of these segments, each escaped, so that no name can reach another resource.
///
/// ```
/// assert_eq!(cloud_http::path(&["v1", "a b", "../x"]), "/v1/a%20b/..%2Fx");
/// ```
pub fn path(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |path, segment| {
        let escaped = match *segment {
            // A bare dot segment would be folded away by servers.
            "." => "%2E".into(),
            ".." => "%2E%2E".into(),
            other => utf8_percent_encode(other, SEGMENT).to_string(),
        };
        path + "/" + &escaped
    })
}

/// One request to be. Finish it with [`Call::send`] or [`Call::json`].
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    client: &'a Client,
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) repeatable: bool,
    pub(crate) leaves_waiting: bool,
    pub(crate) permits: Option<&'a Semaphore>,
    pub(crate) sensitive: bool,
    pub(crate) anonymous: bool,
    pub(crate) timeout: Option<Duration>,
    /// Set when the request cannot be made; told when it is sent.
    pub(crate) broken: Option<String>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(client: &'a Client, operation: &'static str, method: Method, path: String) -> Self {
        let repeatable = method.is_idempotent();
        Self {
            client,
            operation,
            method,
            path,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            repeatable,
            leaves_waiting: false,
            permits: None,
            sensitive: false,
            anonymous: false,
            timeout: None,
            broken: None,
        }
    }

    /// What is asked for, in one text.
    pub(crate) fn request(&self) -> String {
        let mut text = format!("{} {}", self.method, self.path);
        for (name, value) in &self.query {
            text.extend(["&", name, "=", value]);
        }
        text
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sends JSON.
    pub fn body(self, body: &impl Serialize) -> Self {
        self.body_as("application/json", body)
    }

    /// Sends JSON under another content type, such as `application/merge-patch+json`.
    pub fn body_as(mut self, content_type: &'static str, body: &impl Serialize) -> Self {
        self.headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        match serde_json::to_vec(body) {
            Ok(text) => self.body = text.into(),
            Err(error) => self.broken = Some(error.to_string()),
        }
        self
    }

    /// Sends a form.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let text = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.body = text.into();
        self
    }

    /// Declares that doing this twice is the same as doing it once, so it may be repeated after any passing failure. GET,
    /// HEAD, PUT, DELETE and OPTIONS are taken to be so; POST and PATCH are not.
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Holds one of these permits while a request is under way, and none while it waits to be repeated: who has to wait keeps
    /// nobody else from asking.
    pub fn within(mut self, permits: &'a Semaphore) -> Self {
        self.permits = Some(permits);
        self
    }

    /// Leaves it to the caller to wait where the server asks for that: the call fails at once, as throttled. For callers
    /// who have something else to do meanwhile.
    pub fn leave_waiting(mut self) -> Self {
        self.leaves_waiting = true;
        self
    }

    /// Declares that the bodies hold secrets: no part of them appears in any error or log.
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Sends no credential.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Another deadline per attempt than the client's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A secret in this request that no text may show.
    pub fn secret(self, secret: &SecretString) -> Self {
        self.client.secrets().add(secret);
        self
    }

    /// Sends it, and gives the answer if its status is a success.
    pub async fn send(self) -> Result<Reply, Error> {
        let client = self.client;
        client.run(&self, Ok).await
    }

    /// Sends it, and reads the answer as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let client = self.client;
        let sensitive = self.sensitive;
        client
            .run(&self, |reply| {
                serde_json::from_slice(&reply.body).map_err(|error| {
                    // The text may quote what it could not read.
                    let text = if sensitive {
                        format!("{:?} error at line {}", error.classify(), error.line())
                    } else {
                        client.secrets().tidy(&error.to_string())
                    };
                    Failure::Answer(text)
                })
            })
            .await
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({}: {} {})", self.operation, self.method, self.path)
    }
}

/// A successful answer.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}
