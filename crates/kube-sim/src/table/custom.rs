//! The columns that a CustomResourceDefinition asks for.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Column, age};
use crate::custom::Custom;
use crate::meta;
use crate::resource::Resource;

/// The name, then what the definition lists; age when it lists nothing.
pub(super) fn columns(resource: &Resource) -> Vec<Column> {
    let mut out = vec![("Name".to_owned(), "string".to_owned(), "name".to_owned(), 0)];
    let listed = resource.custom.as_ref().map_or(&[][..], |c| &c.columns);
    for column in listed {
        let text = |member: &str| column[member].as_str().unwrap_or_default().to_owned();
        out.push((
            text("name"),
            text("type"),
            text("format"),
            column["priority"].as_i64().unwrap_or(0),
        ));
    }
    if listed.is_empty() {
        out.push(("Age".to_owned(), "date".to_owned(), String::new(), 0));
    }
    out
}

/// The cells of one object.
pub(super) fn cells(custom: &Custom, object: &Value, now: Timestamp) -> Vec<Value> {
    let mut out = vec![json!(meta::name(object))];
    for column in &custom.columns {
        let found = at(object, column["jsonPath"].as_str().unwrap_or_default());
        out.push(match (column["type"].as_str(), found) {
            (_, None) => Value::Null,
            (Some("date"), Some(value)) => json!(age(value, now)),
            (Some("string"), Some(Value::String(text))) => json!(text),
            (Some("string"), Some(value)) => json!(value.to_string()),
            (_, Some(value)) => value.clone(),
        });
    }
    if custom.columns.is_empty() {
        out.push(json!(age(&object["metadata"]["creationTimestamp"], now)));
    }
    out
}

/// The simple paths that columns use: `.a.b`, `.a[0]`, `.a['b.c']` and `.a[?(@.type=="X")].status`.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = inner.split_once(']')?;
            value = match step.strip_prefix("?(@.").and_then(|s| s.strip_suffix(')')) {
                Some(filter) => {
                    let (member, wanted) = filter.split_once("==")?;
                    let wanted = wanted.trim().trim_matches(['"', '\'']);
                    value.as_array()?.iter().find(|item| item[member.trim()] == wanted)?
                }
                None => match step.parse::<usize>() {
                    Ok(index) => value.get(index)?,
                    Err(_) => value.get(step.trim_matches(['"', '\'']))?,
                },
            };
            rest = after;
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            value = value.get(&name[..end])?;
            rest = &name[end..];
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_reach_members_elements_and_conditions() {
        let object = json!({"spec": {"l": [1, 2]}, "metadata": {"labels": {"a.b/c": "x"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(at(&object, ".spec.l[1]"), Some(&json!(2)));
        assert_eq!(at(&object, ".metadata.labels['a.b/c']"), Some(&json!("x")));
        assert_eq!(
            at(&object, ".status.conditions[?(@.type==\"Ready\")].status"),
            Some(&json!("True"))
        );
        assert_eq!(at(&object, ".spec.none"), None);
    }
}
