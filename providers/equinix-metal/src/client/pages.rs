//! Lists in pages.

use cloud_http::Client;
use http::Method;
use kit::lenient::{list, nullable};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::PAGE;

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

/// An answer without its list is not an empty list, so that one has no default.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    #[serde(alias = "devices", alias = "ip_addresses", deserialize_with = "list")]
    items: Vec<T>,
    #[serde(default, deserialize_with = "nullable")]
    meta: Meta,
}

/// All items of a list of devices or addresses.
pub(super) async fn all<T: DeserializeOwned + Send>(
    api: &Client,
    operation: &'static str,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Vec<T>, cloud_http::Error> {
    let mut items = Vec::new();
    each(api, operation, path, query, |item| items.push(item)).await?;
    Ok(items)
}

/// The same, one after the other as their pages come.
pub(super) async fn each<T: DeserializeOwned + Send>(
    api: &Client,
    operation: &'static str,
    path: &str,
    query: &[(&str, &str)],
    take: impl FnMut(T) + Send,
) -> Result<(), cloud_http::Error> {
    let mut take = take;
    for number in 1..=MOST_PAGES {
        let mut call = api
            .call(operation, Method::GET, path)
            .query("page", number.to_string())
            .query("per_page", PAGE.to_string());
        for (name, value) in query {
            call = call.query(name, *value);
        }
        let page: Page<T> = call.json().await?;
        page.items.into_iter().for_each(&mut take);
        // Without page numbers this was all.
        if page.meta.last_page <= page.meta.current_page.max(number) {
            return Ok(());
        }
    }
    let text = format!("the list has more than {MOST_PAGES} pages");
    Err(cloud_http::Error::new(operation, kit::Class::Permanent, text))
}
