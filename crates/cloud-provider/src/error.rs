//! What can go wrong in a cloud.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use kit::Class;

/// The shortest and the longest time that a cloud can ask to be left alone for. Without the first, an answer of "at once"
/// would be asked for again and again without a pause; beyond the second, a time is nonsense.
const AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));

/// Why a cloud did not do what it was asked to.
///
/// A failure has a class, which alone decides what happens next. The two other variants are no failures: they say that
/// the caller is to come back, or not to ask at all.
#[derive(Debug)]
pub enum CloudError {
    /// It is under way and takes its time: ask again after that long. Not counted as a failure, not told as a warning. A
    /// Service that is changed or deleted meanwhile is brought to the cloud at once; changed nodes wait.
    Pending {
        /// What is being waited for.
        message: String,
        /// When to ask again; see [`CloudError::after`] for what becomes of zero.
        after: Duration,
    },
    /// Another controller looks after this kind of thing in this cluster.
    ImplementedElsewhere,
    /// It failed.
    Failed {
        /// What may be done about it.
        class: Class,
        /// What failed.
        message: String,
        /// Why.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl CloudError {
    /// A failure of this class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self::Failed {
            class,
            message: message.into(),
            source: None,
        }
    }

    /// Something is under way: ask again after `after`.
    pub fn pending(message: impl Into<String>, after: Duration) -> Self {
        Self::Pending {
            message: message.into(),
            after,
        }
    }

    /// Names the cause of a failure. The message is not to repeat it.
    #[must_use]
    pub fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        if let Self::Failed { source, .. } = &mut self {
            *source = Some(Box::new(cause));
        }
        self
    }

    /// What may be done about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Pending { .. } => Class::Transient,
            Self::ImplementedElsewhere => Class::Permanent,
            Self::Failed { class, .. } => *class,
        }
    }

    /// Whether it is no failure but something under way.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }

    /// When to ask again, if the cloud says so: never before a second has passed, and within a day, whatever it says.
    pub fn after(&self) -> Option<Duration> {
        let after = match self {
            Self::Pending { after, .. } => Some(*after),
            Self::Failed {
                class: Class::Throttled { after },
                ..
            } => *after,
            Self::ImplementedElsewhere | Self::Failed { .. } => None,
        };
        after.map(|after| after.clamp(AFTER.0, AFTER.1))
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending { message, .. } | Self::Failed { message, .. } => f.write_str(message),
            Self::ImplementedElsewhere => f.write_str("implemented by alternate to cloud provider"),
        }
    }
}

impl Error for CloudError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed {
                source: Some(source), ..
            } => Some(&**source),
            _ => None,
        }
    }
}

/// The lease is lost: nothing may be written any more, and another process carries on.
impl From<kube_kit::Fenced> for CloudError {
    fn from(error: kube_kit::Fenced) -> Self {
        Self::new(Class::Permanent, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_again_at_once_and_nobody_stays_away_for_ever() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        for (said, meant) in [
            (Duration::ZERO, second),
            (Duration::from_millis(3), second),
            (minute, minute),
            (Duration::MAX, Duration::from_hours(24)),
        ] {
            let throttled = CloudError::new(Class::Throttled { after: Some(said) }, "");
            assert_eq!(throttled.after(), Some(meant), "{said:?}");
            assert_eq!(CloudError::pending("", said).after(), Some(meant), "{said:?}");
        }
        assert_eq!(CloudError::new(Class::Throttled { after: None }, "").after(), None);
    }
}
