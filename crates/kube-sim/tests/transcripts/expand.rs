//! Variables: captured values that later requests use.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub type Variables = BTreeMap<String, Value>;

/// Why a step cannot run: usually because an earlier answer lacked something.
#[derive(Debug)]
pub struct Skip(pub String);

fn lookup(name: &str, variables: &Variables) -> Result<Value, Skip> {
    variables
        .get(name)
        .cloned()
        .ok_or_else(|| Skip(format!("variable {name} was not captured")))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Fills `${name}`, `${name+N}`, `${int:name}` and `${repeat:TEXT:N}` in a text.
pub fn text(text: &str, variables: &Variables) -> Result<String, Skip> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        out.push_str(&rest[..start]);
        let name = &rest[start + 2..start + length];
        if let Some(repeat) = name.strip_prefix("repeat:") {
            let (text, count) = repeat.rsplit_once(':').unwrap();
            out.push_str(&text.repeat(count.parse().unwrap()));
        } else if let Some((name, offset)) = name.split_once('+') {
            let value: u64 = shown(&lookup(name, variables)?).parse().unwrap();
            out.push_str(&(value + offset.parse::<u64>().unwrap()).to_string());
        } else {
            out.push_str(&shown(&lookup(name.trim_start_matches("int:"), variables)?));
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Fills variables in a body, and carries out `$from`, `$set`, `$del` and `$repeat`.
pub fn value(value: &Value, variables: &Variables) -> Result<Value, Skip> {
    match value {
        Value::Object(map) if map.contains_key("$from") => edited(map, variables),
        Value::Object(map) if map.contains_key("$repeat") => {
            let item = self::value(&map["$repeat"], variables)?;
            let count = map["count"].as_u64().unwrap();
            Ok(json!(vec![item; usize::try_from(count).unwrap()]))
        }
        Value::Object(map) => {
            let members = map
                .iter()
                .map(|(k, v)| Ok((text(k, variables)?, self::value(v, variables)?)));
            Ok(Value::Object(members.collect::<Result<_, Skip>>()?))
        }
        Value::Array(items) => Ok(Value::Array(
            items
                .iter()
                .map(|v| self::value(v, variables))
                .collect::<Result<_, _>>()?,
        )),
        Value::String(t) if t.starts_with("${int:") => Ok(json!(text(t, variables)?.parse::<i64>().unwrap())),
        Value::String(t) => Ok(json!(text(t, variables)?)),
        other => Ok(other.clone()),
    }
}

fn edited(map: &Map<String, Value>, variables: &Variables) -> Result<Value, Skip> {
    let mut object = lookup(map["$from"].as_str().unwrap(), variables)?;
    for (pointer, new) in map.get("$set").and_then(Value::as_object).into_iter().flatten() {
        let new = value(new, variables)?;
        put(&mut object, pointer, Some(new))?;
    }
    for pointer in map.get("$del").and_then(Value::as_array).into_iter().flatten() {
        put(&mut object, pointer.as_str().unwrap(), None)?;
    }
    Ok(object)
}

fn put(object: &mut Value, pointer: &str, new: Option<Value>) -> Result<(), Skip> {
    let (head, last) = pointer.rsplit_once('/').unwrap();
    let mut at = object;
    for step in head.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        at = match at {
            Value::Array(items) => items.get_mut(step.parse::<usize>().unwrap()),
            Value::Object(map) => Some(map.entry(step).or_insert_with(|| json!({}))),
            _ => None,
        }
        .ok_or_else(|| Skip(format!("no {pointer} in the captured object")))?;
    }
    let last = last.replace("~1", "/").replace("~0", "~");
    match (at, new) {
        (Value::Array(items), Some(new)) if last == "-" => items.push(new),
        (Value::Array(items), Some(new)) => items[last.parse::<usize>().unwrap()] = new,
        (Value::Array(items), None) => {
            items.remove(last.parse().unwrap());
        }
        (Value::Object(map), Some(new)) => {
            map.insert(last, new);
        }
        (Value::Object(map), None) => {
            map.remove(&last);
        }
        _ => return Err(Skip(format!("no {pointer} in the captured object"))),
    }
    Ok(())
}
