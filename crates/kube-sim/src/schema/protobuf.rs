//! Reads request bodies in the Kubernetes flavour of Protocol Buffers.
//!
//! Mirrors kubernetes/apimachinery pkg/runtime/serializer/protobuf/protobuf.go for the envelope.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Schema, Shape, Type, format_micro_time, format_time};

const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may lie in each other.
const DEPTH: usize = 32;

/// Member names by type and field number.
static NUMBERS: LazyLock<HashMap<&'static str, HashMap<u64, &'static str>>> = LazyLock::new(|| {
    let lines = include_str!("protobuf.txt").lines().filter(|l| !l.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let numbers = words
                .filter_map(|w| w.split_once('='))
                .filter_map(|(name, n)| Some((n.parse().ok()?, name)));
            Some((name, numbers.collect()))
        })
        .collect()
});

/// Reads an object of this shape, with the kind and version that its envelope names. Nothing when the bytes are not well
/// formed, or when the type has no field numbers here.
pub(crate) fn read(shape: &Shape, bytes: &[u8]) -> Option<Value> {
    let envelope = fields(bytes.strip_prefix(MAGIC)?)?;
    let part = |number: u64| {
        envelope
            .iter()
            .find(|(n, _)| *n == number)
            .and_then(|(_, part)| part.bytes())
    };
    let mut object = Reader { schema: &shape.schema }.message(shape.root, part(2).unwrap_or_default(), 0)?;
    let meta = fields(part(1).unwrap_or_default())?;
    for (number, name) in [(1, "apiVersion"), (2, "kind")] {
        let text = meta
            .iter()
            .find(|(n, _)| *n == number)
            .and_then(|(_, part)| part.text());
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            object.insert(name.to_owned(), json!(text));
        }
    }
    Some(Value::Object(object))
}

/// The payload of one field.
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Part<'a> {
    fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Part::Bytes(bytes) => Some(bytes),
            Part::Number(_) => None,
        }
    }

    fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn number(&self) -> Option<i64> {
        match self {
            Part::Number(number) => Some(number.cast_signed()),
            Part::Bytes(_) => None,
        }
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut out = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        out |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(out);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(head)
}

fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Part<'_>)>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let part = match tag & 7 {
            0 => Part::Number(varint(&mut bytes)?),
            1 => Part::Bytes(take(&mut bytes, 8)?),
            2 => {
                let length = varint(&mut bytes)?;
                Part::Bytes(take(&mut bytes, length)?)
            }
            5 => Part::Bytes(take(&mut bytes, 4)?),
            _ => return None,
        };
        out.push((tag >> 3, part));
    }
    Some(out)
}

struct Reader<'a> {
    schema: &'a Schema,
}

impl Reader<'_> {
    fn message(&self, id: usize, bytes: &[u8], depth: usize) -> Option<Map<String, Value>> {
        if depth > DEPTH {
            return None;
        }
        let structure = self.schema.get(id);
        let numbers = NUMBERS.get(structure.name.as_str())?;
        let mut out = Map::new();
        for (number, part) in fields(bytes)? {
            let Some(field) = numbers.get(&number).and_then(|name| structure.field(name)) else {
                continue;
            };
            match field.ty.inner() {
                Type::List(inner) => {
                    let item = self.value(inner, &part, depth)?;
                    let list = out.entry(field.name.clone()).or_insert_with(|| json!([]));
                    list.as_array_mut()?.push(item);
                }
                Type::Map(inner) => {
                    let (key, value) = self.entry(inner, part.bytes()?, depth)?;
                    let map = out.entry(field.name.clone()).or_insert_with(|| json!({}));
                    map.as_object_mut()?.insert(key, value);
                }
                ty => {
                    let value = self.value(ty, &part, depth)?;
                    out.insert(field.name.clone(), value);
                }
            }
        }
        Some(out)
    }

    fn entry(&self, inner: &Type, bytes: &[u8], depth: usize) -> Option<(String, Value)> {
        let (mut key, mut value) = (String::new(), json!(""));
        for (number, part) in fields(bytes)? {
            match number {
                1 => part.text()?.clone_into(&mut key),
                2 => value = self.value(inner, &part, depth)?,
                _ => {}
            }
        }
        Some((key, value))
    }

    fn value(&self, ty: &Type, part: &Part<'_>, depth: usize) -> Option<Value> {
        Some(match ty.inner() {
            Type::String => json!(part.text()?),
            Type::Bytes => json!(STANDARD.encode(part.bytes()?)),
            Type::Bool => json!(part.number()? != 0),
            Type::Int32 | Type::Int64 => json!(part.number()?),
            Type::Time => time(part.bytes()?, format_time)?,
            Type::MicroTime => time(part.bytes()?, format_micro_time)?,
            Type::Quantity => json!(
                fields(part.bytes()?)?
                    .first()
                    .and_then(|(_, p)| p.text())
                    .unwrap_or_default()
            ),
            Type::IntOrString => int_or_string(part.bytes()?)?,
            Type::Struct(id) => Value::Object(self.message(*id, part.bytes()?, depth + 1)?),
            Type::Any | Type::Pointer(_) | Type::List(_) | Type::Map(_) => return None,
        })
    }
}

/// Seconds and nanoseconds; an empty message is no time at all.
fn time(bytes: &[u8], format: fn(Timestamp) -> String) -> Option<Value> {
    let parts = fields(bytes)?;
    let get = |number: u64| {
        parts
            .iter()
            .find(|(n, _)| *n == number)
            .and_then(|(_, p)| p.number())
            .unwrap_or(0)
    };
    if parts.is_empty() || get(1) <= -62_135_596_800 {
        return Some(Value::Null);
    }
    Timestamp::new(get(1), i32::try_from(get(2)).ok()?)
        .ok()
        .map(|at| json!(format(at)))
}

fn int_or_string(bytes: &[u8]) -> Option<Value> {
    let parts = fields(bytes)?;
    let get = |number: u64| parts.iter().find(|(n, _)| *n == number).map(|(_, p)| p);
    let is_text = get(1).and_then(Part::number) == Some(1);
    Some(if is_text {
        json!(get(3)?.text()?)
    } else {
        json!(get(2).and_then(Part::number).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend(bytes);
        out
    }

    #[test]
    fn an_object_comes_out_of_its_envelope() {
        let entry = [field(1, b"k"), field(2, b"v")].concat();
        let object = [field(1, &field(1, b"name")), field(2, &entry)].concat();
        let kind = [field(1, b"v1"), field(2, b"ConfigMap")].concat();
        let body = [MAGIC.to_vec(), field(1, &kind), field(2, &object)].concat();
        let read = read(&Shape::builtin("ConfigMap"), &body).unwrap();
        assert_eq!(
            read,
            json!({"metadata": {"name": "name"}, "data": {"k": "v"}, "apiVersion": "v1", "kind": "ConfigMap"})
        );
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let shape = Shape::builtin("ConfigMap");
        assert!(read(&shape, b"k8s\0\x12\x09\x0a").is_none());
        assert!(read(&shape, b"{}").is_none());
        assert!(read(&Shape::builtin("Node"), b"k8s\0").is_none());
    }

    #[test]
    fn every_number_belongs_to_a_member_of_the_type_table() {
        let schema = super::super::builtin();
        for (name, numbers) in NUMBERS.iter() {
            let structure = schema.get(schema.id(name).unwrap_or_else(|| panic!("no type {name}")));
            for member in numbers.values() {
                assert!(structure.field(member).is_some(), "{name}.{member}");
            }
        }
    }
}
