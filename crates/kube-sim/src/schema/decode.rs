//! Brings an object into the form that the server keeps and answers with.
//!
//! The real server decodes JSON into Go structs and encodes them again. What that does to an object is done here on the
//! JSON itself: types are checked, unknown members dropped (and reported), zero values dropped or written, scalars brought
//! into their canonical form.

use serde_json::{Map, Value, json};

use super::scalar::{
    canonical_base64, canonical_quantity, format_micro_time, format_time, parse_micro_time, parse_time,
};
use super::{Field, Shape, Type};

/// What decoding found besides the object.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// Paths of members that the kind does not have, in the order of the object.
    pub unknown: Vec<String>,
}

/// Decodes `object` in place. The error is the text of a type that does not fit.
pub(crate) fn decode(shape: &Shape, object: &mut Value) -> Result<Decoded, String> {
    let mut walk = Walk {
        shape,
        path: Vec::new(),
        decoded: Decoded::default(),
    };
    let kind = object.get("kind").cloned();
    let api_version = object.get("apiVersion").cloned();
    if let Some(map) = object.as_object_mut() {
        map.shift_remove("kind");
        map.shift_remove("apiVersion");
    }
    walk.structure(shape.root, object)?;
    if let Some(map) = object.as_object_mut() {
        for (name, value) in [("apiVersion", api_version), ("kind", kind)] {
            if let Some(value) = value {
                map.shift_insert(0, name.to_owned(), value);
            }
        }
    }
    walk.decoded.unknown.sort_by(|a, b| a.split('.').cmp(b.split('.')));
    Ok(walk.decoded)
}

struct Walk<'a> {
    shape: &'a Shape,
    path: Vec<String>,
    decoded: Decoded,
}

impl Walk<'_> {
    fn wrong(&self, value: &Value, wanted: &str) -> String {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        format!(
            "json: cannot unmarshal {found} into Go struct field {}.{} of type {wanted}",
            self.shape.root().name,
            self.path.join(".")
        )
    }

    fn here(&self, last: &str) -> String {
        let mut text = String::new();
        for part in self.path.iter().map(String::as_str).chain([last]) {
            if !text.is_empty() && !part.starts_with('[') {
                text.push('.');
            }
            text.push_str(part);
        }
        text
    }

    fn structure(&mut self, id: usize, value: &mut Value) -> Result<(), String> {
        if value.is_null() {
            *value = json!({});
        }
        let structure = self.shape.schema.get(id);
        let Value::Object(map) = value else {
            return Err(self.wrong(value, &structure.name));
        };
        if !structure.open {
            // In one go: taking members out one by one moves all that follow, each time.
            map.retain(|name, _| {
                let known = structure.field(name).is_some();
                if !known {
                    let path = self.here(name);
                    self.decoded.unknown.push(path);
                }
                known
            });
        }
        for field in &structure.fields {
            self.field(field, map)?;
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, map: &mut Map<String, Value>) -> Result<(), String> {
        if matches!(field.ty, Type::Struct(_)) && !map.contains_key(&field.name) {
            map.insert(field.name.clone(), json!({}));
        }
        let Some(value) = map.get_mut(&field.name) else {
            if field.always {
                map.insert(field.name.clone(), zero(&field.ty));
            }
            return Ok(());
        };
        self.path.push(field.name.clone());
        self.value(&field.ty, value)?;
        self.path.pop();
        if is_zero(&field.ty, value) {
            if field.always {
                *value = zero(&field.ty);
            } else {
                map.shift_remove(&field.name);
            }
        }
        Ok(())
    }

    fn value(&mut self, ty: &Type, value: &mut Value) -> Result<(), String> {
        if value.is_null() {
            if let Type::Struct(_) = ty {
                *value = json!({});
            } else {
                return Ok(());
            }
        }
        match ty {
            Type::Any => {}
            Type::Pointer(inner) => self.value(inner, value)?,
            Type::Struct(id) => self.structure(*id, value)?,
            Type::List(inner) => self.list(inner, value)?,
            Type::Map(inner) => self.map(inner, value)?,
            Type::String if value.is_string() => {}
            Type::Bool if value.is_boolean() => {}
            Type::Int64 if value.is_i64() => {}
            Type::Int32 if value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
            Type::IntOrString if value.is_string() || value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
            Type::Bytes => self.text(
                value,
                "[]uint8",
                "illegal base64 data at input byte 0",
                canonical_base64,
            )?,
            Type::Time => self.text(value, "Time", "cannot parse time", |t| parse_time(t).map(format_time))?,
            Type::MicroTime => {
                let canonical = |t: &str| parse_micro_time(t).map(format_micro_time);
                self.text(value, "MicroTime", "cannot parse time", canonical)?;
            }
            Type::Quantity => {
                if let Value::Number(number) = value {
                    *value = json!(number.to_string());
                }
                let problem =
                    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                self.text(value, "Quantity", problem, canonical_quantity)?;
            }
            Type::String => return Err(self.wrong(value, "string")),
            Type::Bool => return Err(self.wrong(value, "bool")),
            Type::Int32 => return Err(self.wrong(value, "int32")),
            Type::Int64 => return Err(self.wrong(value, "int64")),
            Type::IntOrString => return Err(self.wrong(value, "intstr.IntOrString")),
        }
        Ok(())
    }

    fn text(
        &self,
        value: &mut Value,
        go: &str,
        problem: &str,
        canonical: impl Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        let Value::String(text) = value else {
            return Err(self.wrong(value, go));
        };
        *text = canonical(text).ok_or_else(|| problem.to_owned())?;
        Ok(())
    }

    fn list(&mut self, inner: &Type, value: &mut Value) -> Result<(), String> {
        let Value::Array(items) = value else {
            return Err(self.wrong(value, "[]"));
        };
        for (index, item) in items.iter_mut().enumerate() {
            self.path.push(format!("[{index}]"));
            self.element(inner, item)?;
            self.path.pop();
        }
        Ok(())
    }

    fn map(&mut self, inner: &Type, value: &mut Value) -> Result<(), String> {
        let Value::Object(map) = value else {
            return Err(self.wrong(value, "map[string]"));
        };
        for (key, item) in map {
            self.path.push(key.clone());
            self.element(inner, item)?;
            self.path.pop();
        }
        Ok(())
    }

    /// An element of a list or a map: null is the zero value, which is always written.
    fn element(&mut self, inner: &Type, item: &mut Value) -> Result<(), String> {
        self.value(inner, item)?;
        if item.is_null() {
            *item = zero(inner);
        }
        Ok(())
    }
}

fn zero(ty: &Type) -> Value {
    match ty {
        Type::String | Type::Bytes => json!(""),
        Type::Bool => json!(false),
        Type::Int32 | Type::Int64 | Type::IntOrString => json!(0),
        Type::Quantity => json!("0"),
        Type::Struct(_) => json!({}),
        Type::Any | Type::Time | Type::MicroTime | Type::Pointer(_) | Type::List(_) | Type::Map(_) => Value::Null,
    }
}

/// Whether Go would leave the member out. A pointer is zero only when it is null; lists and maps also when they are empty.
fn is_zero(ty: &Type, value: &Value) -> bool {
    match ty {
        Type::List(_) => value.as_array().is_none_or(Vec::is_empty),
        Type::Map(_) => value.as_object().is_none_or(Map::is_empty),
        Type::Struct(_) => false,
        Type::String | Type::Bytes => value.as_str().is_none_or(str::is_empty),
        Type::Bool => !value.as_bool().unwrap_or(false),
        Type::Int32 | Type::Int64 => value.as_i64().unwrap_or(0) == 0,
        Type::Any | Type::Pointer(_) | Type::Time | Type::MicroTime | Type::Quantity | Type::IntOrString => {
            value.is_null()
        }
    }
}

#[cfg(test)]
mod tests;
