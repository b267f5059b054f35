//! How an error is told to a person.

use std::error::Error;
use std::fmt::Write as _;

/// The message of an error followed by those of its causes, `: ` between them. What a cause and its parent both say is
/// said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    // Where the newest message begins.
    let mut newest = 0;
    let mut cause = error.source();
    while let Some(source) = cause {
        let message = source.to_string();
        if message.starts_with(&text[newest..]) {
            text.replace_range(newest.., &message);
        } else if !text.ends_with(&message) {
            newest = text.len() + 2;
            let _ = write!(text, ": {message}");
        }
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;
    #[derive(Debug, thiserror::Error)]
    #[error("outer: {0}")]
    struct Repeats(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner: why")]
    struct Longer;
    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Opens(#[source] Longer);

    #[test]
    fn a_cause_that_says_it_all_replaces_its_parent() {
        assert_eq!(chain(&Opens(Longer)), "inner: why");
    }

    #[test]
    fn each_cause_is_told_once() {
        assert_eq!(chain(&Outer(Inner)), "outer: inner");
        assert_eq!(chain(&Repeats(Inner)), "outer: inner");
    }
}
