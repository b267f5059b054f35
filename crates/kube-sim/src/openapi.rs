//! OpenAPI v3 documents, made from the same shapes that everything else uses: enough for `kubectl explain` and for clients that
//! check whether the server validates fields.

use serde_json::{Map, Value, json};

use crate::discovery;
use crate::resource::{Registry, Resource};
use crate::respond::Answer;
use crate::schema::{Own, Schema, Type};
use crate::server::Call;

/// The answer to `/openapi/v3` and the documents below it.
pub(crate) fn answer(call: &Call) -> Answer {
    let state = call.inner.state();
    match call.info.path.trim_end_matches('/').strip_prefix("/openapi/v3") {
        Some("") => Answer::ok(index(&state.registry)),
        Some(path) => {
            let (group, version) = match path.trim_start_matches('/').split('/').collect::<Vec<_>>().as_slice() {
                ["api", version] => (String::new(), (*version).to_owned()),
                ["apis", group, version] => ((*group).to_owned(), (*version).to_owned()),
                _ => return Answer::not_found(),
            };
            if !state.registry.has_version(&group, &version) {
                return Answer::not_found();
            }
            Answer::ok(document(&state.registry, &group, &version))
        }
        None => Answer::not_found(),
    }
}

fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for resource in registry.all() {
        let path = if resource.group.is_empty() {
            format!("api/{}", resource.version)
        } else {
            format!("apis/{}/{}", resource.group, resource.version)
        };
        paths.insert(
            path.clone(),
            json!({"serverRelativeURL": format!("/openapi/v3/{path}")}),
        );
    }
    json!({"paths": paths})
}

fn gvk(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

fn name(resource: &Resource) -> String {
    let group = if resource.group.is_empty() {
        "core"
    } else {
        &resource.group
    };
    format!("{group}.{}.{}", resource.version, resource.kind)
}

fn document(registry: &Registry, group: &str, version: &str) -> Value {
    let mut resources: Vec<_> = registry
        .all()
        .filter(|r| r.group == group && r.version == version)
        .collect();
    resources.sort_by_key(|r| discovery::priority(&r.version));
    let (mut schemas, mut paths) = (Map::new(), Map::new());
    for resource in resources {
        let mut schema = Definitions {
            schema: &resource.shape.schema,
            out: &mut schemas,
        }
        .structure(resource.shape.root);
        schema["x-kubernetes-group-version-kind"] = json!([gvk(resource)]);
        for (member, text) in [
            ("apiVersion", "The version of the form of this object."),
            ("kind", "The kind of this object."),
        ] {
            schema["properties"][member] = json!({"type": "string", "description": text});
        }
        schemas.insert(name(resource), schema);
        paths.insert(object_path(resource), operations(resource));
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "unversioned"}, "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn object_path(resource: &Resource) -> String {
    let root = if resource.group.is_empty() {
        "/api".to_owned()
    } else {
        format!("/apis/{}", resource.group)
    };
    let namespace = if resource.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    format!("{root}/{}{namespace}/{}/{{name}}", resource.version, resource.plural)
}

fn operations(resource: &Resource) -> Value {
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let write = json!([
        parameter("dryRun"),
        parameter("fieldManager"),
        parameter("fieldValidation")
    ]);
    let mut out = Map::new();
    for (method, verb, action) in [
        ("get", "get", "get"),
        ("put", "update", "put"),
        ("patch", "patch", "patch"),
        ("delete", "delete", "delete"),
    ] {
        if !resource.verbs.contains(&verb) {
            continue;
        }
        let mut operation = json!({
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(resource),
            "responses": {"200": {"description": "OK"}},
        });
        if matches!(method, "put" | "patch") {
            operation["parameters"] = write.clone();
        }
        out.insert(method.to_owned(), operation);
    }
    Value::Object(out)
}

struct Definitions<'a> {
    schema: &'a Schema,
    out: &'a mut Map<String, Value>,
}

impl Definitions<'_> {
    fn structure(&mut self, id: usize) -> Value {
        let structure = self.schema.get(id);
        let mut properties = Map::new();
        for field in &structure.fields {
            let mut property = self.ty(&field.ty);
            match &field.own {
                Own::Set => property["x-kubernetes-list-type"] = json!("set"),
                Own::Keys(keys) => {
                    property["x-kubernetes-list-type"] = json!("map");
                    property["x-kubernetes-list-map-keys"] = json!(keys);
                }
                Own::Atomic if matches!(field.ty.inner(), Type::Map(_)) => {
                    property["x-kubernetes-map-type"] = json!("atomic");
                }
                Own::Atomic => property["x-kubernetes-list-type"] = json!("atomic"),
                Own::Plain => {}
            }
            if let Some(default) = &field.default {
                property["default"] = default.clone();
            }
            properties.insert(field.name.clone(), property);
        }
        let mut out = json!({"type": "object", "properties": properties});
        if structure.atomic {
            out["x-kubernetes-map-type"] = json!("atomic");
        }
        if structure.open {
            out["x-kubernetes-preserve-unknown-fields"] = json!(true);
        }
        out
    }

    fn ty(&mut self, ty: &Type) -> Value {
        match ty.inner() {
            Type::String | Type::Pointer(_) => json!({"type": "string"}),
            Type::Quantity => json!({"type": "string", "description": "A quantity, such as 100m or 2Gi."}),
            Type::Bytes => json!({"type": "string", "format": "byte"}),
            Type::Time | Type::MicroTime => json!({"type": "string", "format": "date-time"}),
            Type::Bool => json!({"type": "boolean"}),
            Type::Int32 => json!({"type": "integer", "format": "int32"}),
            Type::Int64 => json!({"type": "integer", "format": "int64"}),
            Type::IntOrString => {
                json!({"x-kubernetes-int-or-string": true, "oneOf": [{"type": "integer"}, {"type": "string"}]})
            }
            Type::Any => json!({"type": "object"}),
            Type::List(inner) => json!({"type": "array", "items": self.ty(inner)}),
            Type::Map(inner) => json!({"type": "object", "additionalProperties": self.ty(inner)}),
            Type::Struct(id) => self.reference(*id),
        }
    }

    /// A named type is written once and referred to; one without a name is written where it stands.
    fn reference(&mut self, id: usize) -> Value {
        let name = self.schema.get(id).name.clone();
        if name.is_empty() {
            return self.structure(id);
        }
        let key = format!("types.{name}");
        if !self.out.contains_key(&key) {
            // Before its members are written: they may refer to it.
            self.out.insert(key.clone(), json!({}));
            let schema = self.structure(id);
            self.out.insert(key.clone(), schema);
        }
        json!({"allOf": [{"$ref": format!("#/components/schemas/{key}")}]})
    }
}
