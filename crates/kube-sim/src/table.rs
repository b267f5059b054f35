//! Tables: what `kubectl get` prints.
//!
//! Mirrors kubernetes/kubernetes pkg/printers/internalversion/printers.go for the kinds here; other kinds get name and age.

mod cells;
mod custom;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::FieldError;
use crate::handlers::{Found, metadata_only};
use crate::resource::Resource;
use crate::schema::parse_time;
use crate::status::Status;

/// A column: its name, type, format and priority (0 is always printed, 1 with `-o wide`).
type Column = (String, String, String, i64);

fn columns(resource: &Resource) -> Vec<Column> {
    if resource.custom.is_some() {
        return custom::columns(resource);
    }
    let mut out = vec![("Name".to_owned(), "string".to_owned(), "name".to_owned(), 0)];
    for (name, priority) in cells::columns(&resource.kind) {
        out.push(((*name).to_owned(), "string".to_owned(), String::new(), *priority));
    }
    out
}

fn definitions(resource: &Resource) -> Value {
    let list: Vec<Value> = columns(resource)
        .into_iter()
        .map(|(name, kind, format, priority)| {
            json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
        })
        .collect();
    json!(list)
}

/// How a row shows its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Include {
    #[default]
    Metadata,
    Object,
    None,
}

impl Include {
    fn of(found: &Found) -> Result<Self, Status> {
        match found.call.query.text("includeObject") {
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            "None" => Ok(Self::None),
            other => {
                let error =
                    FieldError::invalid("includeObject", other, "must be 'Metadata', 'Object', 'None', or empty");
                Err(Status::bad_request(format!(
                    "Unable to convert to Table as requested: {}",
                    error.text()
                )))
            }
        }
    }
}

fn row(found: &Found, object: &Value, include: Include) -> Value {
    let now = found.call.inner.clock.now();
    let cells = match &found.resource.custom {
        Some(custom) => custom::cells(custom, object, now),
        None => cells::cells(&found.resource.kind, object, now),
    };
    let shown = match include {
        Include::Metadata => metadata_only(object),
        Include::Object => object.clone(),
        Include::None => Value::Null,
    };
    json!({"cells": cells, "object": shown})
}

/// The table of some objects, each as its resource shows it.
pub(crate) fn table(found: &Found, objects: &[Value], metadata: Value) -> Result<Value, Status> {
    let include = Include::of(found)?;
    let rows: Vec<Value> = objects.iter().map(|object| row(found, object, include)).collect();
    let mut metadata = metadata;
    if let Some(map) = metadata.as_object_mut() {
        map.retain(|_, value| value != "");
    }
    Ok(json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions(&found.resource), "rows": rows,
    }))
}

/// Turns watch events into tables; the columns are described once.
#[derive(Debug, Default)]
pub(crate) struct TableStream {
    described: bool,
}

impl TableStream {
    pub fn event(&mut self, found: &Found, object: &Value) -> Value {
        let columns = if self.described {
            Value::Null
        } else {
            definitions(&found.resource)
        };
        self.described = true;
        let include = Include::of(found).unwrap_or_default();
        json!({
            "kind": "Table", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": object["metadata"]["resourceVersion"]},
            "columnDefinitions": columns, "rows": [row(found, object, include)],
        })
    }
}

/// The time since then, in the two largest units that matter.
///
/// Mirrors kubernetes/apimachinery pkg/util/duration/duration.go `HumanDuration`.
pub(crate) fn age(since: &Value, now: Timestamp) -> String {
    let Some(then) = since.as_str().and_then(parse_time) else {
        return "<unknown>".to_owned();
    };
    let seconds = now.as_second() - then.as_second();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |a: i64, x: &str, b: i64, y: &str| {
        if b == 0 {
            format!("{a}{x}")
        } else {
            format!("{a}{x}{b}{y}")
        }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 24 * 8 => two(hours / 24, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => two(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_at_most_two_units() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        for (then, shown) in [
            ("2026-01-09T23:59:30Z", "30s"),
            ("2026-01-09T23:55:30Z", "4m30s"),
            ("2026-01-09T23:00:00Z", "60m"),
            ("2026-01-09T18:30:00Z", "5h30m"),
            ("2026-01-07T00:00:00Z", "3d"),
            ("2027-01-01T00:00:00Z", "<invalid>"),
        ] {
            assert_eq!(age(&json!(then), now), shown, "{then}");
        }
    }
}
