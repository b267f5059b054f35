//! Reading JSON and YAML of others, who leave things out or write `null` for nothing; Go writes empty lists and maps so.
//!
//! For `#[serde(deserialize_with = "…")]`.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// A field that is its default when it is `null`.
///
/// # Errors
/// It is something else than `null` or what is expected.
pub fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A list. It is empty when it is `null`, and what is `null` in it is not there.
///
/// # Errors
/// It is something else, or an item of it is.
pub fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let items: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(items.into_iter().flatten().flatten().collect())
}

/// A secret. An empty one is none.
///
/// # Errors
/// It is no text.
pub fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(SecretString::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Answer {
        #[serde(deserialize_with = "nullable")]
        count: u32,
        #[serde(deserialize_with = "list")]
        names: Vec<String>,
        #[serde(deserialize_with = "secret")]
        token: Option<SecretString>,
    }

    #[test]
    fn null_is_nothing_and_nonsense_is_refused() {
        let read = serde_json::from_str::<Answer>;
        for nothing in [
            "{}",
            r#"{"count": null, "names": null, "token": null}"#,
            r#"{"names": [null], "token": ""}"#,
        ] {
            let answer = read(nothing).unwrap();
            assert_eq!((answer.count, answer.names.len()), (0, 0), "{nothing}");
            assert!(answer.token.is_none(), "{nothing}");
        }
        let answer = read(r#"{"count": 7, "names": ["a", null], "token": "x"}"#).unwrap();
        assert_eq!((answer.count, answer.names), (7, vec!["a".to_owned()]));
        assert!(answer.token.is_some());
        for nonsense in [r#"{"count": "7"}"#, r#"{"names": {}}"#, r#"{"token": 1}"#] {
            assert!(read(nonsense).is_err(), "{nonsense}");
        }
    }
}
