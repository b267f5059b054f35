//! What a driver says when it can not do what it was asked.

use std::error::Error;

use kit::Class;

/// A driver's error: a text for people, the class that callers in the same process branch on, and the cause.
///
/// Over the protocol it becomes status `Unknown` with the whole chain of messages as text. That text is shown in Rancher:
/// say what failed, why and what to do, and never a secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DriverError {
    message: String,
    class: Class,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl DriverError {
    /// An error of this class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            class,
            source: None,
        }
    }

    /// What the user asked for makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Class::Invalid, message)
    }

    /// It failed and will fail again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(Class::Permanent, message)
    }

    /// It failed and may succeed later.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(Class::Transient, message)
    }

    /// The driver does not offer `what`.
    pub fn not_implemented(what: &str) -> Self {
        Self::permanent(format!("{what} is not implemented by this driver"))
    }

    /// The caller went away, or the server is stopping, before the work was done.
    pub fn cancelled() -> Self {
        Self::transient("the call was cancelled before it was done")
    }

    /// Adds the cause, which people read after the message.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The message and those of all causes.
    pub fn text(&self) -> String {
        kit::chain(self)
    }
}

impl From<crate::wire::StateError> for DriverError {
    fn from(error: crate::wire::StateError) -> Self {
        Self::permanent(error.to_string()).caused_by(error)
    }
}
