//! Lists in pages, with label selectors.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::World;
use crate::failure::Failure;
use crate::resource::{API_VERSION, Resource};

/// What a client may ask of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListOptions {
    pub(crate) label_selector: String,
    pub(crate) field_selector: String,
    /// 0 is no limit.
    pub(crate) limit: usize,
    /// Where the page before ended.
    pub(crate) after: String,
}

/// A page of a list, as it goes over the wire.
pub(crate) type Page = Value;

impl World {
    /// A page of the objects of a namespace (empty where there are none).
    pub(crate) fn list(&self, resource: Resource, namespace: &str, options: &ListOptions) -> Result<Page, Failure> {
        let labels = requirements(&options.label_selector)?;
        let fields = requirements(&options.field_selector)?;
        let after = decode(&options.after)?;
        let mut found = self.objects(resource).iter().filter(|(key, object)| {
            let here = !resource.namespaced() || key.split_once('/').is_some_and(|(ns, _)| ns == namespace);
            here && self.can_be_read(resource, key)
                && after.as_ref().is_none_or(|after| *key > after)
                && labels
                    .iter()
                    .all(|wanted| wanted.holds(object.pointer("/metadata/labels").and_then(|l| l.get(wanted.key))))
                && fields
                    .iter()
                    .all(|wanted| wanted.holds(object.pointer(&format!("/{}", wanted.key.replace('.', "/")))))
        });
        let limit = match (options.limit, self.settings.list_page_size) {
            (0, None) => usize::MAX,
            (0, Some(cap)) => cap,
            (limit, cap) => limit.min(cap.unwrap_or(usize::MAX)),
        };
        let items: Vec<(&String, &Value)> = found.by_ref().take(limit).collect();
        let left = found.count();
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if let (Some((key, _)), true) = (items.last(), left > 0) {
            metadata["continue"] = URL_SAFE_NO_PAD.encode(key).into();
            metadata["remainingItemCount"] = left.into();
        }
        let items: Vec<Value> = items
            .into_iter()
            .map(|(_, object)| self.shown(resource, object))
            .collect();
        Ok(json!({
            "apiVersion": API_VERSION, "kind": format!("{}List", resource.kind()), "metadata": metadata, "items": items,
        }))
    }
}

fn decode(token: &str) -> Result<Option<String>, Failure> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    bytes
        .map(Some)
        .ok_or_else(|| Failure::bad_request("continue key is not valid"))
}

struct Requirement<'a> {
    key: &'a str,
    test: Test<'a>,
}

enum Test<'a> {
    Is(&'a str),
    IsNot(&'a str),
    There,
    NotThere,
}

impl Requirement<'_> {
    fn holds(&self, found: Option<&Value>) -> bool {
        let found = found.and_then(Value::as_str);
        match self.test {
            Test::Is(value) => found == Some(value),
            Test::IsNot(value) => found != Some(value),
            Test::There => found.is_some(),
            Test::NotThere => found.is_none(),
        }
    }
}

/// Equality and presence; sets are not in use with this API.
fn requirements(selector: &str) -> Result<Vec<Requirement<'_>>, Failure> {
    let mut wanted = Vec::new();
    for part in selector.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if part.contains(['(', ')', ' ']) {
            return Err(Failure::bad_request(&format!("unable to parse requirement: {part:?}")));
        }
        let (key, test) = if let Some((key, value)) = part.split_once("!=") {
            (key, Test::IsNot(value))
        } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            (key, Test::Is(value))
        } else if let Some(key) = part.strip_prefix('!') {
            (key, Test::NotThere)
        } else {
            (part, Test::There)
        };
        wanted.push(Requirement { key, test });
    }
    Ok(wanted)
}
