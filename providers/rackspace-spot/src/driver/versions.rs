//! Kubernetes versions: which there are, and which change is an upgrade.

use semver::Version;

/// The versions known to be offered; the API has no list of them.
pub const KNOWN: [&str; 5] = ["1.33.0", "1.32.9", "1.31.1", "1.30.10", "1.29.6"];

/// A version, as people and the API write it: a `v` before it does not matter.
fn read(text: &str) -> Option<Version> {
    let text = text.trim();
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

/// Whether two texts mean the same version: neither a `v` before it nor build metadata after it makes another one.
pub(super) fn same(one: &str, other: &str) -> bool {
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one.cmp_precedence(&other).is_eq(),
        _ => one.trim() == other.trim(),
    }
}

/// Whether `one` is an older version than `other`. What is no version is older than nothing.
pub(super) fn is_older(one: &str, other: &str) -> bool {
    matches!((read(one), read(other)), (Some(one), Some(other)) if one.cmp_precedence(&other).is_lt())
}

/// The full version for a short one, as far as it is known. Mirrors `applyDefaults` of the Go driver.
pub(super) fn expand(version: &str) -> String {
    let version = version.trim().trim_start_matches('v');
    if version.matches('.').count() >= 2 {
        return version.to_owned();
    }
    if version == "1.28" {
        // No longer offered; the Go driver moves on to the oldest that is kept up.
        return "1.32.9".to_owned();
    }
    let of_minor = |full: &&&str| {
        full.strip_prefix(version)
            .is_some_and(|rest| rest.starts_with('.') && rest.matches('.').count() == 1)
    };
    KNOWN
        .iter()
        .find(of_minor)
        .map_or_else(|| version.to_owned(), ToString::to_string)
}

/// Checks a version for a new cloudspace.
pub(super) fn check_new(version: &str, unlisted: Unlisted) -> Result<(), String> {
    if KNOWN.iter().any(|known| same(known, version)) {
        return Ok(());
    }
    let hint = match unlisted {
        Unlisted::Allowed if read(version).is_some() => return Ok(()),
        Unlisted::Allowed => "a full version such as 1.34.2",
        Unlisted::Refused => "allow-unlisted-kubernetes-version for a newer one",
        Unlisted::OnlyByUpdate => {
            "an update with kubernetes-version and allow-unlisted-kubernetes-version for a newer one"
        }
    };
    Err(format!(
        "Kubernetes version {version:?} is not known; use one of {}, or {hint}",
        KNOWN.join(", ")
    ))
}

/// Checks a change of version: not down, and not over a minor version.
pub(super) fn check_upgrade(from: &str, to: &str, unlisted: Unlisted) -> Result<(), String> {
    if same(from, to) {
        return Ok(());
    }
    check_new(to, unlisted)?;
    let (Some(old), Some(new)) = (read(from), read(to)) else {
        return Err(format!(
            "the Kubernetes version cannot change from {from:?} to {to:?}: these are not full versions"
        ));
    };
    if is_older(to, from) {
        return Err(format!(
            "the Kubernetes version cannot go down from {from} to {to}: Kubernetes has no downgrade"
        ));
    }
    if new.major != old.major || new.minor > old.minor + 1 {
        let step = expand(&format!("{}.{}", old.major, old.minor + 1));
        return Err(format!(
            "the Kubernetes version cannot skip a minor version from {from} to {to}; upgrade to {step} first"
        ));
    }
    Ok(())
}

/// What to do with a version that this driver does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unlisted {
    /// Refuse it, and name the option that lets it pass.
    #[default]
    Refused,
    /// Refuse it in a call that takes no options, and name the call that does.
    OnlyByUpdate,
    /// Let the API decide.
    Allowed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_versions_are_completed() {
        for (short, full) in [
            ("1.29", "1.29.6"),
            ("1.30", "1.30.10"),
            ("1.31", "1.31.1"),
            ("1.32", "1.32.9"),
            ("1.33", "1.33.0"),
            ("1.28", "1.32.9"),
            ("1.3", "1.3"),
            ("1", "1"),
            ("v1.33.0", "1.33.0"),
            ("1.40", "1.40"),
        ] {
            assert_eq!(expand(short), full, "{short}");
        }
    }

    #[test]
    fn an_upgrade_goes_up_by_at_most_one_minor_version() {
        for (from, to, fine) in [
            ("1.32.9", "1.33.0", true),
            ("1.33.0", "1.33.0", true),
            ("1.30.10", "1.31.1", true),
            ("1.31.1", "1.33.0", false),
            ("1.33.0", "1.32.9", false),
            ("1.33.0", "1.34.0", false),
            ("1.33.0", "latest", false),
        ] {
            assert_eq!(check_upgrade(from, to, Unlisted::Refused).is_ok(), fine, "{from} {to}");
        }
        assert!(check_upgrade("1.33.0", "1.34.2", Unlisted::Allowed).is_ok());
        let error = check_upgrade("1.30.10", "1.32.9", Unlisted::Refused).unwrap_err();
        assert!(error.ends_with("upgrade to 1.31.1 first"), "{error}");
    }

    #[test]
    fn an_unknown_version_is_refused_with_the_known_ones() {
        let error = check_new("1.19.0", Unlisted::Refused).unwrap_err();
        assert!(error.contains("1.33.0, 1.32.9, 1.31.1, 1.30.10, 1.29.6"), "{error}");
        assert!(check_new("1.34.0", Unlisted::Allowed).is_ok());
        assert!(check_new("newest", Unlisted::Allowed).is_err());
    }

    #[test]
    fn a_version_is_the_same_however_it_is_written() {
        for (one, other, alike) in [
            ("1.33.0", "v1.33.0", true),
            ("1.33.0", "1.33.0+rackspace.1", true),
            ("v1.33.0+x", " 1.33.0+y", true),
            ("1.33.0", "1.33.0-rc.1", false),
            ("1.33.0", "1.33.1", false),
            ("1.33", "1.33.0", false),
            ("odd", "odd ", true),
            ("", "1.33.0", false),
        ] {
            assert_eq!(same(one, other), alike, "{one} {other}");
        }
        assert!(is_older("v1.32.9", "1.33.0+x") && !is_older("1.33.0+a", "v1.33.0+b") && !is_older("odd", "1.33.0"));
        assert!(check_upgrade("v1.32.9", "1.33.0+x", Unlisted::Refused).is_ok());
        assert!(check_upgrade("1.33.0+x", "1.33.0", Unlisted::Refused).is_ok());
    }
}
