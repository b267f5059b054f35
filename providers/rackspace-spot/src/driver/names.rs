//! Names that are derived, so that asking twice gives the same.

use uuid::Uuid;

/// What all pool names are derived from; never change it, or existing pools are no longer recognised.
const POOLS: Uuid = Uuid::from_u128(0x7a1f_3c52_9d0e_5b6a_8f47_2c61_d3e8_b094);

/// Longest DNS label.
const LONGEST: usize = 63;

/// The cloudspace name for a cluster name: lower case, everything outside `[a-z0-9-]` made `-`, at most 63 bytes, no `-`
/// at either end. `None` when nothing is left.
///
/// Differs from upstream: cut before trimming, so that no cut leaves a `-` at the end; and no list of forbidden words.
pub fn cloudspace_name(name: &str) -> Option<String> {
    let dashed: String = name
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .collect();
    let trimmed = dashed.trim_start_matches('-');
    let cut = &trimmed[..trimmed.len().min(LONGEST)];
    let name = cut.trim_end_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

/// A pool's name (a lower-case UUID, as the API demands) from what it is: where it belongs, what kind it is of, and the
/// how-manieth of its kind it is.
pub fn pool_name(namespace: &str, cloudspace: &str, kind: &str, class: &str, number: usize) -> String {
    let text = format!("{namespace}/{cloudspace}/{kind}/{class}/{number}");
    Uuid::new_v5(&POOLS, text.as_bytes()).to_string()
}

/// A UUID as the API demands it, if the text is one.
pub fn as_uuid(text: &str) -> Option<String> {
    // Only the form with dashes: others are UUIDs to the library, but not to the API.
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
        .map(|uuid| uuid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_dns_labels() {
        for (name, expected) in [
            ("c-w467n", "c-w467n"),
            ("My Cluster (prod)", "my-cluster--prod"),
            ("--x--", "x"),
            ("dev-create", "dev-create"),
            ("drop-in", "drop-in"),
            ("Größe", "gr--e"),
        ] {
            assert_eq!(cloudspace_name(name).as_deref(), Some(expected), "{name}");
        }
        for empty in ["", "---", "ÄÖ", " "] {
            assert_eq!(cloudspace_name(empty), None, "{empty}");
        }
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(10));
        assert_eq!(
            cloudspace_name(&long).unwrap(),
            "a".repeat(62),
            "no dash is left at the cut"
        );
    }

    #[test]
    fn pool_names_are_stable_and_distinct() {
        let name = pool_name("org-a", "c-1", "spot", "gp.vs1.medium-iad", 0);
        assert_eq!(name, pool_name("org-a", "c-1", "spot", "gp.vs1.medium-iad", 0));
        assert_eq!(as_uuid(&name), Some(name.clone()));
        for other in [
            pool_name("org-b", "c-1", "spot", "gp.vs1.medium-iad", 0),
            pool_name("org-a", "c-1", "on-demand", "gp.vs1.medium-iad", 0),
            pool_name("org-a", "c-1", "spot", "gp.vs1.medium-iad", 1),
        ] {
            assert_ne!(name, other);
        }
    }

    #[test]
    fn only_dashed_uuids_count_and_become_lower_case() {
        assert_eq!(
            as_uuid("5B0C2F0E-8A0D-4D1E-9A3E-0F7F7C1F2A11").as_deref(),
            Some("5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11")
        );
        for no in [
            "",
            "pool-1",
            "5b0c2f0e8a0d4d1e9a3e0f7f7c1f2a11",
            "{5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11}",
        ] {
            assert_eq!(as_uuid(no), None, "{no}");
        }
    }
}
