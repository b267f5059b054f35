//! What a caller may do about an error.

use std::time::Duration;

/// The class of an error, decided once where it enters the program (from status and body, never from message text), and
/// the only thing that code branches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The thing asked for is not there.
    NotFound,
    /// It is there already, or has changed since it was read: look again, then decide.
    Conflict,
    /// The credential was refused or may not do this.
    Unauthorized,
    /// Too many requests; try again, not before `after` when it is given.
    Throttled {
        /// How long the server asks callers to stay away.
        after: Option<Duration>,
    },
    /// A passing fault: the same request may succeed later.
    Transient,
    /// The request itself is wrong; sending it again cannot help.
    Invalid,
    /// Anything else that will not pass by itself.
    Permanent,
}

impl Class {
    /// Whether the same request may succeed later.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Transient)
    }
}
