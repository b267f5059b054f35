//! What ends a command early.

use kit::Class;

/// A failure as it is told to a person and to a script: what failed and why, what to do next, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// What failed and why.
    pub message: String,
    /// What to do about it, when we know.
    pub hint: Option<String>,
    /// One of [`kit::exit`].
    pub code: u8,
}

impl Failure {
    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: kit::exit::USAGE,
        }
    }

    /// The thing named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: kit::exit::NOT_FOUND,
        }
    }

    /// An action that failed with this error.
    pub fn other(action: &str, error: impl std::error::Error) -> Self {
        Self {
            message: format!("cannot {action}: {}", kit::chain(&error)),
            hint: None,
            code: kit::exit::FAILED,
        }
    }

    /// A failure whose class chooses the exit code.
    pub fn classed(message: impl Into<String>, class: Class) -> Self {
        let code = match class {
            Class::NotFound => kit::exit::NOT_FOUND,
            Class::Conflict => kit::exit::CONFLICT,
            Class::Unauthorized => kit::exit::UNAUTHORIZED,
            Class::Invalid => kit::exit::USAGE,
            Class::Throttled { .. } | Class::Transient | Class::Permanent => kit::exit::FAILED,
        };
        Self {
            message: message.into(),
            hint: None,
            code,
        }
    }

    /// Ctrl-C, or a polite kill.
    pub fn interrupted() -> Self {
        Self {
            message: "interrupted".to_owned(),
            hint: None,
            code: kit::exit::INTERRUPTED,
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
