//! What a provider's error answer means.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use kit::Class;

/// An answer with a status that is not a success.
#[derive(Debug)]
pub struct Refusal<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, as it came.
    pub body: &'a [u8],
}

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What a caller may do about it.
    pub class: Class,
    /// The provider's reason, taken from a field made for people. `None` makes the client show a clipped body, or
    /// nothing where the operation is sensitive: so never copy a whole body here.
    pub reason: Option<String>,
}

/// A provider's reading of its error answers: status and body to class and reason, decided here and nowhere else.
pub(crate) type Classify = Arc<dyn Fn(&Refusal<'_>) -> Refused + Send + Sync>;

/// The class that a status has by the HTTP standard, for providers that add nothing to it.
pub fn by_status(status: StatusCode) -> Class {
    match status.as_u16() {
        401 | 403 => Class::Unauthorized,
        404 | 410 => Class::NotFound,
        409 | 412 => Class::Conflict,
        429 => Class::Throttled { after: None },
        408 | 425 | 500 | 502..=504 => Class::Transient,
        400..=499 => Class::Invalid,
        _ => Class::Permanent,
    }
}

pub(crate) fn default() -> Classify {
    Arc::new(|refusal| Refused {
        class: by_status(refusal.status),
        reason: None,
    })
}
