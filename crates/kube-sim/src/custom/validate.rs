//! Validation of custom resources by their OpenAPI v3 schema, in the words of the real server.
//!
//! Mirrors kubernetes/apiextensions-apiserver pkg/apiserver/validation. Rules in CEL are not evaluated.

use regex::Regex;
use serde_json::{Map, Value};

use crate::field::FieldError;

/// What is wrong with an object.
pub(super) fn validate(schema: &Value, object: &Value) -> Vec<FieldError> {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        for member in ["apiVersion", "kind", "metadata"] {
            map.shift_remove(member);
        }
    }
    let mut errors = Vec::new();
    check(schema, &object, "", &mut errors);
    lists(schema, &object, "", &mut errors);
    errors
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_i64() || n.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let found = type_name(value);
    if let Some(wanted) = schema["type"].as_str() {
        let fits = wanted == found || wanted == "number" && found == "integer";
        if !fits {
            let why = format!("{path} in body must be of type {wanted}: \"{found}\"");
            errors.push(FieldError::type_invalid(path, found, &why));
            if wanted == "integer" && found == "number" {
                let why = format!("Checked value must be of type integer (default format) in {path}");
                errors.push(FieldError::invalid("<nil>", "", &why));
            }
            return;
        }
    } else if schema["x-kubernetes-int-or-string"] == true && !matches!(found, "integer" | "string") {
        let why = format!("{path} in body must be of type integer,string: \"{found}\"");
        errors.push(FieldError::type_invalid(path, found, &why));
        return;
    }
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        let names: Vec<String> = known
            .iter()
            .map(|k| k.as_str().map_or_else(|| k.to_string(), str::to_owned))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        errors.push(FieldError::not_supported(path, value.clone(), &names));
    }
    match value {
        Value::String(text) => check_text(schema, text, path, errors),
        Value::Number(_) => check_number(schema, value, path, errors),
        Value::Array(items) => check_array(schema, items, path, errors),
        Value::Object(map) => check_object(schema, map, path, errors),
        _ => {}
    }
    combined(schema, value, path, errors);
}

fn check_text(schema: &Value, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let length = text.chars().count() as u64;
    if let Some(min) = schema["minLength"].as_u64().filter(|min| length < *min) {
        errors.push(FieldError::invalid(
            path,
            text,
            &format!("{path} in body should be at least {min} chars long"),
        ));
    }
    if let Some(max) = schema["maxLength"].as_u64().filter(|max| length > *max) {
        errors.push(FieldError::too_long(path, usize::try_from(max).unwrap_or(usize::MAX)));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
    {
        errors.push(FieldError::invalid(
            path,
            text,
            &format!("{path} in body should match '{pattern}'"),
        ));
    }
}

fn check_number(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let number = value.as_f64().unwrap_or(0.0);
    if let Some(max) = schema.get("maximum") {
        let exclusive = schema["exclusiveMaximum"] == true;
        let limit = max.as_f64().unwrap_or(f64::MAX);
        if number > limit || exclusive && number >= limit {
            let or = if exclusive { "" } else { " or equal to" };
            errors.push(FieldError::invalid(
                path,
                value.clone(),
                &format!("{path} in body should be less than{or} {max}"),
            ));
        }
    }
    if let Some(min) = schema.get("minimum") {
        let exclusive = schema["exclusiveMinimum"] == true;
        let limit = min.as_f64().unwrap_or(f64::MIN);
        if number < limit || exclusive && number <= limit {
            let or = if exclusive { "" } else { " or equal to" };
            errors.push(FieldError::invalid(
                path,
                value.clone(),
                &format!("{path} in body should be greater than{or} {min}"),
            ));
        }
    }
    if let Some(step) = schema["multipleOf"]
        .as_f64()
        .filter(|step| *step > 0.0 && (number / step).fract() != 0.0)
    {
        errors.push(FieldError::invalid(
            path,
            value.clone(),
            &format!("{path} in body should be a multiple of {step}"),
        ));
    }
}

fn check_array(schema: &Value, items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    let limit = |name: &str| schema[name].as_u64().and_then(|n| usize::try_from(n).ok());
    if let Some(max) = limit("maxItems").filter(|max| items.len() > *max) {
        errors.push(FieldError::too_many(path, items.len(), max));
    }
    if let Some(min) = limit("minItems").filter(|min| items.len() < *min) {
        let why = format!("{path} in body should have at least {min} items");
        errors.push(FieldError::invalid(path, items.len(), &why));
    }
    for (i, item) in items.iter().enumerate() {
        check(&schema["items"], item, &format!("{path}[{i}]"), errors);
    }
}

fn check_object(schema: &Value, map: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    for (name, value) in map {
        let inner = schema["properties"]
            .get(name)
            .unwrap_or(&schema["additionalProperties"]);
        if inner.is_object() {
            check(inner, value, &join(path, name), errors);
        }
    }
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !map.contains_key(name) {
            errors.push(FieldError::required(join(path, name), ""));
        }
    }
    let limit = |name: &str| schema[name].as_u64().and_then(|n| usize::try_from(n).ok());
    if let Some(max) = limit("maxProperties").filter(|max| map.len() > *max) {
        errors.push(FieldError::too_many(path, map.len(), max));
    }
    if let Some(min) = limit("minProperties").filter(|min| map.len() < *min) {
        let why = format!("{path} in body should have at least {min} properties");
        errors.push(FieldError::invalid(path, map.len(), &why));
    }
}

fn combined(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let branches = |name: &str| schema[name].as_array().map_or(&[][..], Vec::as_slice);
    let holds = |branch: &Value| {
        let mut problems = Vec::new();
        check(branch, value, path, &mut problems);
        problems.is_empty()
    };
    for branch in branches("allOf") {
        check(branch, value, path, errors);
    }
    let mut fail = |what: &str| {
        errors.push(FieldError::invalid(
            path,
            value.clone(),
            &format!("{path} in body must validate {what}"),
        ));
    };
    let any = branches("anyOf");
    if !any.is_empty() && !any.iter().any(holds) {
        fail("at least one schema (anyOf)");
    }
    let one = branches("oneOf");
    if !one.is_empty() && one.iter().filter(|b| holds(b)).count() != 1 {
        fail("one and only one schema (oneOf)");
    }
    if schema.get("not").is_some_and(holds) {
        fail("no schema (not)");
    }
}

/// Elements of sets and keyed lists must differ.
fn lists(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Array(items) => {
            let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let identity = |item: &Value| match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => Some(item.clone()),
                Some("map") => Some(Value::Object(
                    keys.iter().map(|k| ((*k).to_owned(), item[*k].clone())).collect(),
                )),
                _ => None,
            };
            let mut seen: Vec<Value> = Vec::new();
            for (i, item) in items.iter().enumerate() {
                if let Some(id) = identity(item) {
                    if seen.contains(&id) {
                        errors.push(FieldError::duplicate(format!("{path}[{i}]"), id.clone()));
                    }
                    seen.push(id);
                }
                lists(&schema["items"], item, &format!("{path}[{i}]"), errors);
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                let inner = schema["properties"]
                    .get(name)
                    .unwrap_or(&schema["additionalProperties"]);
                lists(inner, value, &join(path, name), errors);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_texts_and_lists_are_held_to_their_schema() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "integer", "maximum": 5}, "b": {"type": "string", "pattern": "^x"},
            "c": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "d": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}});
        for (object, field) in [
            (json!({}), "a"),
            (json!({"a": 6}), "a"),
            (json!({"a": "x"}), "a"),
            (json!({"a": 1, "b": "y"}), "b"),
            (json!({"a": 1, "c": ["t", "t"]}), "c[1]"),
            (json!({"a": 1, "d": true}), "d"),
        ] {
            let errors = validate(&schema, &object);
            assert_eq!(errors[0].field(), field, "{object}");
        }
        assert!(validate(&schema, &json!({"a": 1, "b": "x", "c": ["t"], "d": 1})).is_empty());
    }
}
