//! The names clusters may have.

use crate::error::Error;

/// The longest name any driver takes.
const LONGEST: usize = 63;

/// Checks what holds for every driver: letters, digits, `-` and `.`, beginning and ending with a letter or digit, so that
/// a name is never a path, a flag or more than one word. Drivers with stricter tools add their own rules.
pub fn check(profile: &str) -> Result<(), Error> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let reason = if profile.is_empty() {
        "it is empty"
    } else if profile.len() > LONGEST {
        "it is longer than 63 characters"
    } else if !profile
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
    {
        "only letters, digits, '-' and '.' may be in it"
    } else if !edge(profile.chars().next()) || !edge(profile.chars().last()) {
        "it must begin and end with a letter or digit"
    } else if profile.contains("..") {
        "two dots must not follow each other"
    } else {
        return Ok(());
    };
    Err(refuse(profile, reason))
}

pub(crate) fn refuse(profile: &str, reason: &str) -> Error {
    Error::InvalidProfile {
        profile: profile.to_owned(),
        reason: reason.to_owned(),
    }
}

/// A further rule of one tool.
pub(crate) fn no_longer_than(profile: &str, most: usize) -> Result<(), Error> {
    if profile.len() <= most {
        return Ok(());
    }
    Err(refuse(
        profile,
        &format!(
            "it has {} characters, and this driver's names have at most {most}",
            profile.len()
        ),
    ))
}

/// A further rule of one tool.
pub(crate) fn lower_case(profile: &str) -> Result<(), Error> {
    if profile.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(refuse(profile, "this driver's names are lower case"));
    }
    Ok(())
}
