//! Pruning and defaulting of custom resources. Types are not checked here: that is validation, which has other errors.

use serde_json::{Map, Value};

use crate::schema::{self, Schema, Shape, Type};

/// Prunes and defaults an object; gives the paths of what was dropped.
pub(super) fn decode(shape: &Shape, schema: &Value, object: &mut Value) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    let mut metadata = object.get("metadata").cloned().unwrap_or_default();
    let meta_shape = Shape::builtin("ObjectMeta");
    for path in schema::decode(&meta_shape, &mut metadata)?.unknown {
        unknown.push(format!("metadata.{path}"));
    }
    let root = Type::Struct(shape.root);
    if let Some(map) = object.as_object_mut() {
        let kept: Vec<(String, Value)> = ["apiVersion", "kind"]
            .iter()
            .filter_map(|n| Some(((*n).to_owned(), map.shift_remove(*n)?)))
            .collect();
        map.shift_remove("metadata");
        prune(&shape.schema, &root, object, "", &mut unknown);
        drop_nulls(schema, object);
        fill(schema, object);
        if let Some(map) = object.as_object_mut() {
            map.extend(kept);
            map.insert("metadata".to_owned(), metadata);
        }
    }
    Ok(unknown)
}

fn prune(schema: &Schema, ty: &Type, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
    let join = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match (ty, value) {
        (Type::Struct(id), Value::Object(map)) => {
            let structure = schema.get(*id);
            if !structure.open {
                let gone: Vec<String> = map
                    .keys()
                    .filter(|name| structure.field(name).is_none())
                    .cloned()
                    .collect();
                for name in gone {
                    map.shift_remove(&name);
                    unknown.push(join(&name));
                }
            }
            for (name, value) in map {
                if let Some(field) = structure.field(name) {
                    prune(schema, &field.ty, value, &join(name), unknown);
                }
            }
        }
        (Type::Map(inner), Value::Object(map)) => {
            map.iter_mut()
                .for_each(|(name, value)| prune(schema, inner, value, &join(name), unknown));
        }
        (Type::List(inner), Value::Array(items)) => {
            for (i, item) in items.iter_mut().enumerate() {
                prune(schema, inner, item, &format!("{path}[{i}]"), unknown);
            }
        }
        _ => {}
    }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema["properties"].as_object()
}

/// Null stands for "not given" where the schema does not allow it.
fn drop_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(properties) = properties(schema) {
                map.retain(|name, value| {
                    !value.is_null() || properties.get(name).is_none_or(|inner| inner["nullable"] == true)
                });
            }
            for (name, value) in map {
                let inner = properties(schema)
                    .and_then(|p| p.get(name))
                    .unwrap_or(&schema["additionalProperties"]);
                drop_nulls(inner, value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_nulls(&schema["items"], item)),
        _ => {}
    }
}

fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, inner) in properties(schema).into_iter().flatten() {
                if let Some(default) = inner.get("default")
                    && !map.contains_key(name)
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in map {
                let inner = properties(schema)
                    .and_then(|p| p.get(name))
                    .unwrap_or(&schema["additionalProperties"]);
                fill(inner, value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(&schema["items"], item)),
        _ => {}
    }
}
