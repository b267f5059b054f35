//! Why a call failed.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use kit::Class;

/// What happened to the last attempt. Texts are scrubbed of secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The server answered with an error.
    #[error("{}", said(*status, reason))]
    Status {
        /// Its status.
        status: StatusCode,
        /// The provider's reason; may be empty.
        reason: String,
    },
    /// No connection came about: the server never saw the request.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The proxy could not be reached, or did not open the way: the server never saw the request.
    #[error("cannot connect through the proxy {proxy}: {reason}")]
    Proxy {
        /// The proxy, as `http://HOST:PORT`; never with a password.
        proxy: String,
        /// What went wrong there.
        reason: String,
    },
    /// The server's certificate is not trusted: the server never saw the request, and never will.
    #[error("the server is not trusted: {0}")]
    Untrusted(String),
    /// An earlier one was told to wait, and this one does not wait so long: the server never saw the request.
    #[error("the server asked to be left alone for another {}", kit::go_duration::format(*.0))]
    Held(Duration),
    /// The transport did not send it, see [`crate::Withheld`]: the server never saw the request.
    #[error("the request was not sent: {0}")]
    Withheld(String),
    /// The connection broke before the answer was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer did not come in time.
    #[error("no answer within {}", kit::go_duration::format(*.0))]
    Timeout(Duration),
    /// The answer is larger than the limit, in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer was a success, but not what the operation answers.
    #[error("the answer cannot be understood: {0}")]
    Answer(String),
    /// The request could not be made.
    #[error("the request cannot be made: {0}")]
    Request(String),
    /// Something else decided that the call fails, an authenticator for example.
    #[error("{0}")]
    Other(String),
}

fn said(status: StatusCode, reason: &str) -> String {
    if reason.is_empty() {
        status.to_string()
    } else {
        format!("{reason} (status {})", status.as_u16())
    }
}

/// A call that failed: which, why, and what may be done about it.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    operation: &'static str,
    class: Class,
    failure: Failure,
    ambiguous: bool,
    attempts: u32,
}

impl Error {
    /// An error that a part of the provider's client decides on.
    pub fn new(operation: &'static str, class: Class, text: impl Into<String>) -> Self {
        Self::of(operation, class, Failure::Other(text.into()))
    }

    pub(crate) fn of(operation: &'static str, class: Class, failure: Failure) -> Self {
        Self(Box::new(Inner {
            operation,
            class,
            failure,
            ambiguous: false,
            attempts: 1,
        }))
    }

    pub(crate) fn ambiguous(mut self, ambiguous: bool) -> Self {
        self.0.ambiguous = ambiguous;
        self
    }

    pub(crate) fn after(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The operation, as given to [`crate::Client::call`].
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// What happened to the last attempt.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// The status of the answer, if there was one with an error status.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.0.failure {
            Failure::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The provider's reason, or what went wrong on the way; without the operation's name.
    pub fn reason(&self) -> String {
        match &self.0.failure {
            Failure::Status { reason, .. } if !reason.is_empty() => reason.clone(),
            failure => failure.to_string(),
        }
    }

    /// Whether the request may have taken effect although the call failed. Look before sending it again.
    pub fn is_ambiguous(&self) -> bool {
        self.0.ambiguous
    }

    /// How many requests were sent.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Whether the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.0.class == Class::NotFound
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.failure)?;
        if self.0.attempts > 1 {
            write!(f, ", after {} attempts", self.0.attempts)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("operation", &self.0.operation)
            .field("class", &self.0.class)
            .field("failure", &self.0.failure)
            .field("ambiguous", &self.0.ambiguous)
            .field("attempts", &self.0.attempts)
            .finish()
    }
}

impl std::error::Error for Error {}
