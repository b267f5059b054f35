//! Provider IDs: which server a node is.

use std::fmt;

/// The provider's name, and the scheme of its IDs.
pub const PROVIDER_NAME: &str = "phoenixnap";
/// How the Cluster API provider (`phoenixnap/cluster-api-provider-bmc`) writes the same. A provider ID cannot be changed
/// once it is set, so this is read, and never written.
const CLUSTER_API: (&str, &str) = ("bmc", "servers/");

/// The server that a provider ID names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProviderId(String);

/// Why a provider ID names no server. The texts are those of the original.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderIdError {
    /// There is none.
    #[error("providerID cannot be empty string")]
    Empty,
    /// It is another provider's.
    #[error("provider name from providerID should be phoenixnap, was {0}")]
    Foreign(String),
    /// It has too many parts, or too few.
    #[error("unexpected providerID format: {0}, format should be: 'server-id' or 'phoenixnap://server-id'")]
    Format(String),
}

impl ProviderId {
    /// The ID of a server.
    pub fn of(server: &str) -> Self {
        Self(server.to_owned())
    }

    /// Reads `phoenixnap://<id>`, a bare `<id>`, or the Cluster API's `bmc://servers/<id>`.
    pub fn parse(text: &str) -> Result<Self, ProviderIdError> {
        if text.is_empty() {
            return Err(ProviderIdError::Empty);
        }
        let format = || ProviderIdError::Format(text.to_owned());
        let id = match text.split_once("://") {
            None => text,
            Some((_, rest)) if rest.contains("://") => return Err(format()),
            Some((PROVIDER_NAME, id)) => id,
            Some((scheme, rest)) if scheme == CLUSTER_API.0 => rest.strip_prefix(CLUSTER_API.1).ok_or_else(format)?,
            Some((scheme, _)) => return Err(ProviderIdError::Foreign(scheme.to_owned())),
        };
        if id.is_empty() || id.chars().any(|c| c == '/' || c.is_whitespace() || c.is_control()) {
            return Err(format());
        }
        Ok(Self(id.to_owned()))
    }

    /// The server's id.
    pub fn server(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PROVIDER_NAME}://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_provider_id_is_read() {
        for text in ["phoenixnap://60c1", "60c1", "bmc://servers/60c1"] {
            assert_eq!(ProviderId::parse(text).unwrap().server(), "60c1", "{text}");
        }
        assert_eq!(ProviderId::of("60c1").to_string(), "phoenixnap://60c1");
    }

    #[test]
    fn what_names_no_server_is_told_in_the_words_of_the_original() {
        let format = "format should be: 'server-id' or 'phoenixnap://server-id'";
        for (text, told) in [
            ("", "providerID cannot be empty string".to_owned()),
            (
                "aws://i-1",
                "provider name from providerID should be phoenixnap, was aws".to_owned(),
            ),
            (
                "phoenixnap://a://b",
                format!("unexpected providerID format: phoenixnap://a://b, {format}"),
            ),
            (
                "phoenixnap://",
                format!("unexpected providerID format: phoenixnap://, {format}"),
            ),
            (
                "phoenixnap://a/../b",
                format!("unexpected providerID format: phoenixnap://a/../b, {format}"),
            ),
            (
                "bmc://60c1",
                format!("unexpected providerID format: bmc://60c1, {format}"),
            ),
            (
                "bmc://servers/",
                format!("unexpected providerID format: bmc://servers/, {format}"),
            ),
        ] {
            assert_eq!(ProviderId::parse(text).unwrap_err().to_string(), told);
        }
    }
}
