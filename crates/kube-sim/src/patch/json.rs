//! JSON patch, RFC 6902, with the deviations of the library that the real server uses (evanphx/json-patch): `replace` adds a
//! missing member, and `test` for null passes on one.

use serde_json::Value;

/// How many bytes of JSON all copies of one patch may come to, as in the real server: copies of copies grow without end.
const COPIED: usize = 3 * 1024 * 1024;
/// How deep a patch may nest an object: as deep as a body can, which is what clients can read.
const DEPTH: usize = 128;

/// An operation that cannot be done. The real server does not say which.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rejected;

/// Applies the operations in order; on an error `target` is half-done and must be thrown away.
pub(crate) fn json_patch(target: &mut Value, operations: &[Value]) -> Result<(), Rejected> {
    let mut copied_bytes = 0;
    for operation in operations {
        let text = |member: &str| operation[member].as_str().ok_or(Rejected);
        let value = || operation["value"].clone();
        match text("op")? {
            "add" => add(target, text("path")?, value())?,
            "remove" => {
                remove(target, text("path")?)?;
            }
            "replace" => replace(target, text("path")?, value())?,
            "move" => {
                let moved = remove(target, text("from")?)?;
                add(target, text("path")?, moved)?;
            }
            "copy" => {
                let copied = target.pointer(text("from")?).ok_or(Rejected)?;
                copied_bytes += copied.to_string().len();
                if copied_bytes > COPIED {
                    return Err(Rejected);
                }
                let copied = copied.clone();
                add(target, text("path")?, copied)?;
            }
            "test" => test(target, text("path")?, &operation["value"])?,
            _ => return Err(Rejected),
        }
    }
    Ok(())
}

/// The container that a path points into, and the last step of the path.
fn parent<'a>(target: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), Rejected> {
    let (head, last) = path.rsplit_once('/').ok_or(Rejected)?;
    let container = target.pointer_mut(head).ok_or(Rejected)?;
    Ok((container, last.replace("~1", "/").replace("~0", "~")))
}

fn index(text: &str, length: usize) -> Result<usize, Rejected> {
    text.parse().ok().filter(|i| *i < length).ok_or(Rejected)
}

fn check_depth(path: &str, value: &Value) -> Result<(), Rejected> {
    let depth = path.matches('/').count() + depth(value);
    if depth > DEPTH { Err(Rejected) } else { Ok(()) }
}

/// How many containers stand in each other.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), Rejected> {
    check_depth(path, &value)?;
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (container, last) = parent(target, path)?;
    match container {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => items.insert(index(&last, items.len() + 1)?, value),
        _ => return Err(Rejected),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, Rejected> {
    let (container, last) = parent(target, path)?;
    match container {
        Value::Object(map) => map.shift_remove(&last).ok_or(Rejected),
        Value::Array(items) => Ok(items.remove(index(&last, items.len())?)),
        _ => Err(Rejected),
    }
}

fn replace(target: &mut Value, path: &str, value: Value) -> Result<(), Rejected> {
    check_depth(path, &value)?;
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (container, last) = parent(target, path)?;
    match container {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(items) => {
            let at = index(&last, items.len())?;
            items[at] = value;
        }
        _ => return Err(Rejected),
    }
    Ok(())
}

fn test(target: &mut Value, path: &str, wanted: &Value) -> Result<(), Rejected> {
    let found = if let Some(found) = target.pointer(path) {
        found.clone()
    } else {
        // Missing counts as null, but only in a container that is there.
        parent(target, path)?;
        Value::Null
    };
    if found == *wanted { Ok(()) } else { Err(Rejected) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(operations: &Value) -> Result<Value, Rejected> {
        let mut target = json!({"a": {"b": "c"}, "l": [1, 2]});
        json_patch(&mut target, operations.as_array().unwrap())?;
        Ok(target)
    }

    #[test]
    fn operations_do_what_the_rfc_says() {
        for (operation, pointer, expected) in [
            (
                json!({"op": "add", "path": "/a/x~1y", "value": 1}),
                "/a/x~1y",
                Some(json!(1)),
            ),
            (
                json!({"op": "add", "path": "/l/0", "value": 0}),
                "/l",
                Some(json!([0, 1, 2])),
            ),
            (
                json!({"op": "add", "path": "/l/-", "value": 3}),
                "/l",
                Some(json!([1, 2, 3])),
            ),
            (json!({"op": "remove", "path": "/l/0"}), "/l", Some(json!([2]))),
            (
                json!({"op": "move", "from": "/a/b", "path": "/m"}),
                "/m",
                Some(json!("c")),
            ),
            (
                json!({"op": "copy", "from": "/a", "path": "/m"}),
                "/m/b",
                Some(json!("c")),
            ),
        ] {
            assert_eq!(
                patched(&json!([operation])).unwrap().pointer(pointer),
                expected.as_ref(),
                "{operation}"
            );
        }
    }

    #[test]
    fn what_cannot_be_done_is_rejected() {
        for operation in [
            json!({"op": "add", "path": "/none/x", "value": 1}),
            json!({"op": "add", "path": "/l/9", "value": 1}),
            json!({"op": "remove", "path": "/a/none"}),
            json!({"op": "replace", "path": "/l/9", "value": 1}),
            json!({"op": "test", "path": "/a/b", "value": "d"}),
            json!({"op": "test", "path": "/none/x", "value": null}),
            json!({"op": "frobnicate", "path": "/a"}),
            json!({"op": "remove"}),
        ] {
            assert_eq!(patched(&json!([operation])), Err(Rejected), "{operation}");
        }
    }

    #[test]
    fn the_deviations_of_the_real_server_hold() {
        assert!(patched(&json!([{"op": "test", "path": "/a/none", "value": null}])).is_ok());
        assert_eq!(
            patched(&json!([{"op": "replace", "path": "/a/none", "value": 1}])).unwrap()["a"]["none"],
            1
        );
    }
}
