//! Which organization, and which namespace.

use cloud_http::path;
use http::Method;
use serde::Deserialize;

use super::{SpotClient, SpotError, SpotResult};

/// An organization, as far as a client needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organization {
    /// `org_…`, letter case counts.
    pub id: String,
    /// What `generate-kubeconfig` wants.
    pub name: String,
    /// The namespace that all its objects are in.
    pub namespace: String,
}

/// The namespace of an organization: its id in lower case, `_` made `-`.
fn namespace_of(id: &str) -> String {
    id.to_ascii_lowercase().replace('_', "-")
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "kit::lenient::nullable")]
    organizations: Vec<Entry>,
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    total: Option<usize>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default, deserialize_with = "kit::lenient::nullable")]
    id: String,
    #[serde(default, deserialize_with = "kit::lenient::nullable")]
    name: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    namespace: Option<String>,
}

impl Entry {
    fn namespace(&self) -> String {
        self.metadata
            .as_ref()
            .and_then(|metadata| metadata.namespace.clone())
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or_else(|| namespace_of(&self.id))
    }

    /// How well it answers to a name; smaller is better.
    fn rank(&self, wanted: &str) -> Option<u8> {
        [
            self.name == wanted,
            self.id == wanted,
            self.namespace() == wanted,
            self.display_name.as_deref() == Some(wanted),
        ]
        .iter()
        .position(|matches| *matches)
        .and_then(|rank| u8::try_from(rank).ok())
    }
}

/// More pages than any account has: an end for a server that never says stop.
const MOST_PAGES: usize = 1000;

impl SpotClient {
    /// The organization of this name, id, namespace or display name. Fails when the token is bound to another one, for
    /// then every later request would be refused without saying why.
    pub async fn organization(&self, wanted: &str) -> SpotResult<Organization> {
        let entries = self.organization_entries().await?;
        let Some(found) = entries
            .iter()
            .filter_map(|entry| Some((entry.rank(wanted)?, entry)))
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, entry)| entry)
        else {
            return Err(SpotError::NoOrganization {
                wanted: wanted.to_owned(),
                known: entries.into_iter().map(|entry| entry.name).collect(),
            });
        };
        if let Some(bound) = self.claims().org_id
            && bound != found.id
        {
            let token = entries.iter().find(|entry| entry.id == bound);
            return Err(SpotError::OtherOrganization {
                wanted: wanted.to_owned(),
                token: token.map_or(bound, |entry| entry.name.clone()),
            });
        }
        Ok(Organization {
            id: found.id.clone(),
            name: found.name.clone(),
            namespace: found.namespace(),
        })
    }

    /// The organization that the token is bound to.
    pub async fn own_organization(&self) -> SpotResult<Organization> {
        let entries = self.organization_entries().await?;
        let bound = self.claims().org_id.unwrap_or_default();
        match entries.iter().find(|entry| entry.id == bound) {
            Some(entry) => Ok(Organization {
                id: entry.id.clone(),
                name: entry.name.clone(),
                namespace: entry.namespace(),
            }),
            None => Err(SpotError::NoOrganization {
                wanted: bound,
                known: entries.into_iter().map(|entry| entry.name).collect(),
            }),
        }
    }

    async fn organization_entries(&self) -> SpotResult<Vec<Entry>> {
        let mut all: Vec<Entry> = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            // The published document does not say what `next` is: a cursor, where the next page begins, or its address, of
            // which only the query is taken, so that no answer can send the token elsewhere.
            let base = path(&["apis", "auth.ngpc.rxt.io", "v1", "organizations"]);
            let path = match next.as_deref().and_then(|next| next.split_once('?')) {
                Some((_, query)) => format!("{base}?{query}"),
                None => base,
            };
            let mut call = self.api().call("list organizations", Method::GET, path);
            if let Some(next) = next.as_ref().filter(|next| !next.contains('?')) {
                let name = if next.parse::<usize>().is_ok() { "start" } else { "next" };
                call = call.query(name, next.clone());
            }
            let page: Page = call.json().await?;
            let empty = page.organizations.is_empty();
            all.extend(page.organizations);
            let complete = page.total.is_some_and(|total| all.len() >= total);
            match page.next.filter(|text| !text.is_empty()) {
                Some(following) if !empty && !complete && next.as_ref() != Some(&following) => next = Some(following),
                _ => break,
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_the_id_in_lower_case_with_dashes() {
        assert_eq!(namespace_of("org_AbC_9x"), "org-abc-9x");
    }

    #[test]
    fn a_name_beats_a_display_name() {
        let entry = |name: &str, display: &str| Entry {
            id: format!("org_{name}"),
            name: name.to_owned(),
            display_name: Some(display.to_owned()),
            metadata: None,
        };
        assert_eq!(entry("acme", "Acme Inc").rank("acme"), Some(0));
        assert_eq!(entry("other", "acme").rank("acme"), Some(3));
        assert_eq!(entry("acme", "x").rank("org-acme"), Some(2));
        assert_eq!(entry("acme", "x").rank("Acme"), None);
    }
}
