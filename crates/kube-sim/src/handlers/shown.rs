//! Objects written as their resource shows them, without a copy of them in between: lists of thousands and every event of every
//! watcher go through here.

use std::borrow::Cow;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::Found;
use crate::resource::Resource;
use crate::respond::{Answer, Media, Payload, negotiate};

/// An object as its resource shows it.
pub(super) struct Shown<'a> {
    resource: &'a Resource,
    object: Cow<'a, Value>,
    /// Whether it says what it is; the elements of most lists do not.
    named: bool,
}

/// A list of whole objects.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<'a> {
    pub kind: &'a str,
    pub api_version: String,
    pub metadata: &'a Value,
    pub items: Vec<Shown<'a>>,
}

impl Found {
    /// As [`Found::view`], for writing only.
    pub(super) fn shown<'a>(&'a self, object: &'a Value) -> Shown<'a> {
        Shown {
            resource: &self.resource,
            object: self.resource.rules.stored_as_seen(object),
            named: true,
        }
    }

    /// As an element of a list.
    pub(super) fn item<'a>(&'a self, object: &'a Arc<Value>) -> Shown<'a> {
        let named = self.resource.custom.is_some();
        Shown {
            named,
            ..self.shown(object)
        }
    }

    /// An answer written once when the client takes JSON.
    pub(super) fn written(&self, status: u16, what: &impl Serialize) -> Answer {
        let yaml = negotiate(&self.call.parts.headers, false).is_ok_and(|(media, _)| media == Media::Yaml);
        let payload = if yaml {
            Payload::Object(serde_json::to_value(what).unwrap_or_default())
        } else {
            Payload::Json(serde_json::to_vec(what).unwrap_or_default())
        };
        Answer::new(status, payload)
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = self.object.as_object();
        let has = |name: &str| members.is_some_and(|members| members.contains_key(name));
        let mut out = serializer.serialize_map(None)?;
        for (name, value) in members.into_iter().flatten() {
            match name.as_str() {
                "apiVersion" | "kind" if !self.named => {}
                "apiVersion" => out.serialize_entry(name, &self.resource.api_version())?,
                "kind" => out.serialize_entry(name, &self.resource.kind)?,
                _ => out.serialize_entry(name, value)?,
            }
        }
        if self.named && !has("apiVersion") {
            out.serialize_entry("apiVersion", &self.resource.api_version())?;
        }
        if self.named && !has("kind") {
            out.serialize_entry("kind", &self.resource.kind)?;
        }
        out.end()
    }
}
