//! Provider IDs: `equinixmetal://<device>`, and the forms that older versions wrote.

/// The provider's name, and the scheme of the IDs it writes.
pub const NAME: &str = "equinixmetal";
/// The scheme that IDs had when the company was called Packet.
pub const LEGACY: &str = "packet";

/// Why a provider ID names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderIdError {
    /// There is none.
    #[error("providerID cannot be empty string")]
    Empty,
    /// It is another provider's.
    #[error("provider name from providerID should be equinixmetal, was {0}")]
    OtherProvider(String),
    /// It has no form that any version wrote.
    #[error("unexpected providerID format: {0}, format should be: 'device-id' or 'equinixmetal://device-id'")]
    Form(String),
}

/// The provider ID of a device.
pub fn of_device(device: &str) -> String {
    format!("{NAME}://{device}")
}

/// The device that a provider ID names: `equinixmetal://ID`, `packet://ID` or `ID`.
pub fn device(provider_id: &str) -> Result<&str, ProviderIdError> {
    if provider_id.is_empty() {
        return Err(ProviderIdError::Empty);
    }
    let (scheme, id) = provider_id.split_once("://").unwrap_or((NAME, provider_id));
    if id.is_empty() || id.contains("://") {
        return Err(ProviderIdError::Form(provider_id.to_owned()));
    }
    if scheme != NAME && scheme != LEGACY {
        return Err(ProviderIdError::OtherProvider(scheme.to_owned()));
    }
    Ok(id)
}

/// Whether a provider ID, which is not empty, is this provider's.
///
/// Differs from upstream: an ID without a scheme is ours only when it is a UUID, as those of devices are.
pub fn is_ours(provider_id: &str) -> bool {
    match provider_id.split_once("://") {
        Some((scheme, _)) => scheme == NAME || scheme == LEGACY,
        None => is_uuid(provider_id),
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "b3d1f4a2-0c1e-4f55-9a77-0123456789ab";

    #[test]
    fn every_form_that_was_ever_written_is_read() {
        for text in [ID.to_owned(), format!("equinixmetal://{ID}"), format!("packet://{ID}")] {
            assert_eq!(device(&text), Ok(ID), "{text}");
            assert!(is_ours(&text), "{text}");
        }
        assert_eq!(device(&of_device(ID)), Ok(ID));
    }

    #[test]
    fn what_names_no_device_is_refused() {
        assert_eq!(device(""), Err(ProviderIdError::Empty));
        assert_eq!(device("aws://x"), Err(ProviderIdError::OtherProvider("aws".to_owned())));
        for text in ["equinixmetal://", "equinixmetal://a://b", "://a://b"] {
            assert_eq!(device(text), Err(ProviderIdError::Form(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn the_ids_of_others_are_left_alone() {
        for text in [
            "aws:///eu-west-1a/i-1",
            "k3s://n1",
            "equinixmetal",
            "i-0123",
            "://x",
            &format!("{ID}0"),
        ] {
            assert!(!is_ours(text), "{text}");
        }
    }
}
