//! From the bytes of a message to JSON, by the table.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Number, Value, json};

use super::Error;
use super::table::{Kind, Table};
use super::wire::{Payload, Reader};
use crate::schema::format_time;

/// How deep messages may nest: the default of the usual protobuf libraries.
const DEPTH: usize = 100;

/// A field that is all there is of its message.
const ALL: &str = "=";

/// Text that may not be UTF-8: Go writes what is broken as the replacement character.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads a message of the table.
pub(super) fn decode(table: &Table, id: usize, bytes: &[u8]) -> Result<Value, Error> {
    Walk { table }.message(id, bytes, None, DEPTH)
}

struct Walk<'a> {
    table: &'a Table,
}

impl Walk<'_> {
    /// A message that comes twice is merged into what it was before.
    fn message(&self, id: usize, bytes: &[u8], before: Option<Value>, depth: usize) -> Result<Value, Error> {
        let mut map = match before {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        self.fields(id, bytes, &mut map, depth)?;
        Ok(match map.shift_remove(ALL) {
            Some(all) => all,
            None => Value::Object(map),
        })
    }

    fn fields(&self, id: usize, bytes: &[u8], map: &mut Map<String, Value>, depth: usize) -> Result<(), Error> {
        let depth = depth.checked_sub(1).ok_or(Error::TooDeep)?;
        let message = &self.table.messages[id];
        let mut reader = Reader::new(&message.name, bytes);
        while let Some((number, payload)) = reader.next()? {
            let Some(field) = message.field(number) else {
                continue;
            };
            if let (true, Kind::Message(inline)) = (field.name.is_empty(), &field.kind) {
                self.fields(*inline, payload.bytes("")?, map, depth)?;
                continue;
            }
            let before = map.shift_remove(&field.name);
            let value = self.value(&field.kind, &field.name, payload, before, depth)?;
            if field.always || field.pointer || !is_zero(&field.kind, &value) {
                map.insert(field.name.clone(), value);
            }
        }
        Ok(())
    }

    fn value(
        &self,
        kind: &Kind,
        name: &str,
        payload: Payload<'_>,
        before: Option<Value>,
        depth: usize,
    ) -> Result<Value, Error> {
        Ok(match kind {
            Kind::List(inner) => {
                let mut items = match before {
                    Some(Value::Array(items)) => items,
                    _ => Vec::new(),
                };
                match (&**inner, payload) {
                    (Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Float, Payload::Bytes(packed)) => {
                        let mut reader = Reader::new(name, packed);
                        while !reader.is_empty() {
                            let payload = match **inner {
                                Kind::Float => Payload::Fixed64(reader.fixed64()?),
                                _ => Payload::Varint(reader.varint()?),
                            };
                            items.push(scalar(inner, name, payload)?);
                        }
                    }
                    _ => items.push(self.value(inner, name, payload, None, depth)?),
                }
                Value::Array(items)
            }
            Kind::Map(inner) => {
                let mut entries = match before {
                    Some(Value::Object(entries)) => entries,
                    _ => Map::new(),
                };
                let (key, value) = self.entry(inner, name, payload.bytes(name)?, depth)?;
                entries.insert(key, value);
                Value::Object(entries)
            }
            Kind::Message(id) => self.message(*id, payload.bytes(name)?, before, depth)?,
            _ => scalar(kind, name, payload)?,
        })
    }

    /// One entry of a map: a message of its own with the key as its first field and the value as its second.
    fn entry(&self, inner: &Kind, name: &str, bytes: &[u8], depth: usize) -> Result<(String, Value), Error> {
        let depth = depth.checked_sub(1).ok_or(Error::TooDeep)?;
        let (mut key, mut value) = (String::new(), None);
        let mut reader = Reader::new(name, bytes);
        while let Some((number, payload)) = reader.next()? {
            match (number, inner) {
                (1, _) => key = text(payload.bytes(name)?),
                (2, Kind::List(_)) => {
                    let mut items = Reader::new(name, payload.bytes(name)?);
                    let mut list = json!([]);
                    while let Some((number, payload)) = items.next()? {
                        if number == 1 {
                            list = self.value(inner, name, payload, Some(list), depth)?;
                        }
                    }
                    value = Some(list);
                }
                (2, _) => value = Some(self.value(inner, name, payload, value.take(), depth)?),
                _ => {}
            }
        }
        let zero = || match inner {
            Kind::String | Kind::Bytes => json!(""),
            Kind::Quantity => json!("0"),
            Kind::Message(_) => json!({}),
            _ => Value::Null,
        };
        Ok((key, value.unwrap_or_else(zero)))
    }
}

/// A value without messages of the table in it.
fn scalar(kind: &Kind, name: &str, payload: Payload<'_>) -> Result<Value, Error> {
    Ok(match kind {
        Kind::String => json!(text(payload.bytes(name)?)),
        Kind::Bytes => json!(STANDARD.encode(payload.bytes(name)?)),
        Kind::Bool => json!(payload.varint(name)? != 0),
        Kind::Int32 => json!(payload.varint(name)? as i32),
        Kind::Int64 => json!(payload.varint(name)? as i64),
        Kind::Float => float(f64::from_bits(payload.fixed64(name)?))?,
        Kind::Time | Kind::MicroTime => time(kind, payload.bytes(name)?)?,
        Kind::Quantity => json!(text(first("Quantity", payload.bytes(name)?)?)),
        Kind::IntOrString => int_or_string(payload.bytes(name)?)?,
        Kind::Json => match first("JSON", payload.bytes(name)?)? {
            b"" => Value::Null,
            raw => serde_json::from_slice(raw).map_err(|error| Error::Json(error.to_string()))?,
        },
        Kind::Message(_) | Kind::List(_) | Kind::Map(_) => Value::Null,
    })
}

/// The bytes of the first field of a message that has no other.
fn first<'a>(message: &'a str, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
    let mut reader = Reader::new(message, bytes);
    let mut found: &[u8] = &[];
    while let Some((number, payload)) = reader.next()? {
        if number == 1 {
            found = payload.bytes(message)?;
        }
    }
    Ok(found)
}

/// Go writes whole numbers without a point.
fn float(number: f64) -> Result<Value, Error> {
    const WHOLE: f64 = 1e15;
    if number.fract() == 0.0 && number.abs() < WHOLE {
        return Ok(json!(number as i64));
    }
    let number = Number::from_f64(number).ok_or_else(|| Error::Number(number.to_string()))?;
    Ok(Value::Number(number))
}

/// `metav1.Time` drops what is below a second, `metav1.MicroTime` below a microsecond. An empty message is no time.
fn time(kind: &Kind, bytes: &[u8]) -> Result<Value, Error> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    let mut reader = Reader::new("Timestamp", bytes);
    while let Some((number, payload)) = reader.next()? {
        match number {
            1 => seconds = payload.varint("Seconds")? as i64,
            2 => nanos = payload.varint("Nanos")? as i32,
            _ => {}
        }
    }
    let at = Timestamp::from_second(seconds).map_err(|_| Error::Time)?;
    if *kind == Kind::Time {
        return Ok(json!(format_time(at)));
    }
    let at = at
        .checked_add(SignedDuration::from_nanos(i64::from(nanos)))
        .map_err(|_| Error::Time)?;
    Ok(json!(at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Error> {
    let (mut kind, mut number, mut string) = (0, 0, String::new());
    let mut reader = Reader::new("IntOrString", bytes);
    while let Some((field, payload)) = reader.next()? {
        match field {
            1 => kind = payload.varint("Type")?,
            2 => number = payload.varint("IntVal")? as i32,
            3 => string = text(payload.bytes("StrVal")?),
            _ => {}
        }
    }
    match kind {
        0 => Ok(json!(number)),
        1 => Ok(json!(string)),
        _ => Err(Error::IntOrString),
    }
}

/// Whether Go leaves the value out of JSON. What is there of lists and maps is never empty.
fn is_zero(kind: &Kind, value: &Value) -> bool {
    match kind {
        Kind::String | Kind::Bytes => value == "",
        Kind::Bool => value == false,
        Kind::Int32 | Kind::Int64 | Kind::Float => value == 0,
        Kind::Time | Kind::MicroTime | Kind::Json => value.is_null(),
        Kind::Quantity | Kind::IntOrString | Kind::Message(_) | Kind::List(_) | Kind::Map(_) => false,
    }
}
