//! Lists in pages.

use cloud_http::Client;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::PAGE;
use super::lenient::nullable;

/// More pages than any project has; an API that never ends must not keep us for ever.
const MOST_PAGES: u32 = 1000;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(deserialize_with = "nullable")]
    current_page: u32,
    #[serde(deserialize_with = "nullable")]
    last_page: u32,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "nullable")]
    meta: Meta,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// All items of the list that stands under `key` in each page.
pub(super) async fn all<T: DeserializeOwned>(
    api: &Client,
    operation: &'static str,
    path: &str,
    key: &str,
    query: &[(&str, &str)],
) -> Result<Vec<T>, cloud_http::Error> {
    let mut all = Vec::new();
    for number in 1..=MOST_PAGES {
        let mut call = api
            .call(operation, Method::GET, path)
            .query("page", number.to_string())
            .query("per_page", PAGE.to_string());
        for (name, value) in query {
            call = call.query(name, *value);
        }
        let mut page: Page = call.json().await?;
        let unreadable = |text: String| cloud_http::Error::new(operation, kit::Class::Transient, text);
        // An answer without its list is not an empty list.
        let items = page
            .rest
            .remove(key)
            .ok_or_else(|| unreadable(format!("the answer has no {key}")))?;
        let items: Option<Vec<T>> = serde_json::from_value(items).map_err(|error| {
            unreadable(format!(
                "the answer cannot be understood: {}",
                api.secrets().tidy(&error.to_string())
            ))
        })?;
        all.extend(items.unwrap_or_default());
        // Without page numbers this was all.
        if page.meta.last_page <= page.meta.current_page.max(number) {
            return Ok(all);
        }
    }
    let text = format!("the list has more than {MOST_PAGES} pages");
    Err(cloud_http::Error::new(operation, kit::Class::Permanent, text))
}
