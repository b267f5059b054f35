//! Turns an OpenAPI v3 schema into the shape that merge, ownership and pruning work on.

use std::sync::Arc;

use serde_json::Value;

use crate::schema::{Field, Merge, Own, Schema, Shape, Struct, Type, builtin};

/// The shape of a custom resource: its schema, with the metadata that every object has.
pub(super) fn shape(schema: &Value) -> Shape {
    let mut out = Schema {
        structs: builtin().structs.clone(),
    };
    let meta = out.id("ObjectMeta").expect("the built-in table has ObjectMeta");
    let root = if let Type::Struct(id) = ty(&mut out, schema) {
        id
    } else {
        out.structs.push(Struct {
            open: true,
            ..Struct::default()
        });
        out.structs.len() - 1
    };
    out.structs[root]
        .fields
        .retain(|f| !matches!(f.name.as_str(), "metadata" | "apiVersion" | "kind"));
    out.structs[root]
        .fields
        .push(field("metadata", Type::Struct(meta), Own::Plain));
    Shape {
        schema: Arc::new(out),
        root,
    }
}

fn field(name: &str, ty: Type, own: Own) -> Field {
    Field {
        name: name.to_owned(),
        ty,
        always: false,
        merge: Merge::Replace,
        own,
        default: None,
    }
}

fn preserves(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

fn ty(out: &mut Schema, schema: &Value) -> Type {
    if let Some(items) = schema.get("items").filter(|_| schema["type"] == "array") {
        return Type::List(Box::new(ty(out, items)));
    }
    if schema["type"] != "object" {
        return Type::Any;
    }
    match schema.get("additionalProperties") {
        Some(inner) if inner.is_object() => return Type::Map(Box::new(ty(out, inner))),
        Some(Value::Bool(true)) => return Type::Map(Box::new(Type::Any)),
        _ => {}
    }
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields = fields
        .map(|(name, inner)| field(name, ty(out, inner), own(inner)))
        .collect();
    out.structs.push(Struct {
        name: String::new(),
        fields,
        atomic: schema["x-kubernetes-map-type"] == "atomic",
        open: preserves(schema),
    });
    let id = out.structs.len() - 1;
    if schema["x-kubernetes-embedded-resource"] == true {
        out.structs[id].open = true;
    }
    Type::Struct(id)
}

fn own(schema: &Value) -> Own {
    if schema["x-kubernetes-map-type"] == "atomic" {
        return Own::Atomic;
    }
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Own::Set,
        Some("map") => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
            Own::Keys(keys.filter_map(|k| k.as_str().map(str::to_owned)).collect())
        }
        Some("atomic") => Own::Atomic,
        _ => Own::Plain,
    }
}
