//! Strategic merge patch: merge patch that knows the keys of lists, with directives.
//!
//! Mirrors kubernetes/apimachinery pkg/util/strategicpatch/patch.go.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::schema::{Merge, Schema, Shape, Type};

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// A patch that makes no sense; the text is for the Status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadPatch(pub String);

/// Merges `patch` into `target`.
pub(crate) fn strategic_merge(shape: &Shape, target: &mut Value, patch: &Value) -> Result<(), BadPatch> {
    let context = Context { schema: &shape.schema };
    context.value(&Type::Struct(shape.root), target, patch)
}

struct Context<'a> {
    schema: &'a Schema,
}

impl Context<'_> {
    fn value(&self, ty: &Type, target: &mut Value, patch: &Value) -> Result<(), BadPatch> {
        if let (Value::Object(map), Value::Object(members)) = (&mut *target, patch) {
            self.map(ty, map, members)
        } else {
            *target = plain(patch);
            Ok(())
        }
    }

    /// The type and merge strategy of a member.
    fn member(&self, ty: &Type, name: &str) -> (Type, Merge) {
        match ty.inner() {
            Type::Struct(id) => match self.schema.get(*id).field(name) {
                Some(field) => (field.ty.clone(), field.merge.clone()),
                None => (Type::Any, Merge::Replace),
            },
            Type::Map(inner) => ((**inner).clone(), Merge::Replace),
            _ => (Type::Any, Merge::Replace),
        }
    }

    fn map(&self, ty: &Type, target: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), BadPatch> {
        match patch.get(PATCH).and_then(Value::as_str) {
            Some("replace") => {
                *target = patch
                    .iter()
                    .filter(|(name, _)| *name != PATCH)
                    .map(|(n, v)| (n.clone(), plain(v)))
                    .collect();
                return Ok(());
            }
            Some("delete") => {
                target.clear();
                return Ok(());
            }
            Some("merge") | None => {}
            Some(other) => return Err(BadPatch(format!("unknown patch type: {other}"))),
        }
        if let Some(keep) = patch.get(RETAIN).and_then(Value::as_array) {
            target.retain(|name, _| keep.iter().any(|k| k == name));
        }
        for (name, value) in patch {
            if let Some(field) = name.strip_prefix(DELETE) {
                if let (Some(list), Some(gone)) =
                    (target.get_mut(field).and_then(Value::as_array_mut), value.as_array())
                {
                    list.retain(|item| !gone.contains(item));
                }
            } else if let Some(field) = name.strip_prefix(ORDER) {
                // With a patch of the list itself, the order is applied when that is merged.
                if !patch.contains_key(field)
                    && let Some(Value::Array(list)) = target.get_mut(field)
                {
                    let (_, merge) = self.member(ty, field);
                    let before = list.clone();
                    *list = arrange(
                        &merge,
                        std::mem::take(list),
                        value.as_array().map_or(&[], Vec::as_slice),
                        &before,
                    );
                }
            } else if name.starts_with('$') {
            } else if value.is_null() {
                target.shift_remove(name);
            } else {
                self.set(ty, target, name, value, patch)?;
            }
        }
        Ok(())
    }

    fn set(
        &self,
        ty: &Type,
        target: &mut Map<String, Value>,
        name: &str,
        value: &Value,
        patch: &Map<String, Value>,
    ) -> Result<(), BadPatch> {
        let (inner, merge) = self.member(ty, name);
        let order = patch.get(&format!("{ORDER}{name}")).and_then(Value::as_array);
        if let (Some(order), Value::Array(items)) = (order, value) {
            check_order(&merge, items, order)?;
        }
        let Some(current) = target.get_mut(name) else {
            target.insert(name.to_owned(), plain(value));
            return Ok(());
        };
        match (current, value, &merge) {
            (Value::Array(list), Value::Array(items), Merge::Set | Merge::Key(_)) => {
                let element = if let Type::List(element) = inner.inner() {
                    (**element).clone()
                } else {
                    Type::Any
                };
                *list = self.list(&element, &merge, list, items, order)?;
                Ok(())
            }
            (current, value, _) => self.value(&inner, current, value),
        }
    }

    fn list(
        &self,
        element: &Type,
        merge: &Merge,
        target: &[Value],
        items: &[Value],
        order: Option<&Vec<Value>>,
    ) -> Result<Vec<Value>, BadPatch> {
        let mut merged = target.to_vec();
        let mut patched: Vec<Value> = Vec::new();
        let mut replace = false;
        for item in items {
            match item.get(PATCH).and_then(Value::as_str) {
                Some("replace") => {
                    replace = true;
                    if item.as_object().is_some_and(|o| o.len() > 1) {
                        patched.push(plain(item));
                    }
                }
                Some("delete") => {
                    let key = key_of(merge, item)?;
                    merged.retain(|other| key_of(merge, other) != Ok(key));
                }
                Some(other) => return Err(BadPatch(format!("unknown patch type: {other} in map: {item}"))),
                None => patched.push(item.clone()),
            }
        }
        if replace {
            return Ok(patched.iter().map(plain).collect());
        }
        let mut known: HashMap<Value, usize> = places(merge, &merged)
            .into_iter()
            .map(|(k, i)| (k.clone(), i))
            .collect();
        for item in &patched {
            let key = key_of(merge, item)?;
            if let Some(at) = known.get(key) {
                self.value(element, &mut merged[*at], item)?;
            } else {
                known.insert(key.clone(), merged.len());
                merged.push(plain(item));
            }
        }
        let order = order.map_or(patched.as_slice(), Vec::as_slice);
        Ok(arrange(merge, merged, order, target))
    }
}

/// What tells elements of a list apart.
fn key_of<'a>(merge: &Merge, item: &'a Value) -> Result<&'a Value, BadPatch> {
    match merge {
        Merge::Key(key) => item
            .get(key)
            .ok_or_else(|| BadPatch(format!("map: {item} does not contain declared merge key: {key}"))),
        Merge::Set | Merge::Replace => Ok(item),
    }
}

/// Where the keys of a list come first.
fn places<'a>(merge: &Merge, list: &'a [Value]) -> HashMap<&'a Value, usize> {
    let keys = list.iter().enumerate().rev();
    keys.filter_map(|(i, item)| Some((key_of(merge, item).ok()?, i)))
        .collect()
}

/// The elements of the patch must come in the order that it asks for.
fn check_order(merge: &Merge, items: &[Value], order: &[Value]) -> Result<(), BadPatch> {
    let plain_items: Vec<&Value> = items.iter().filter(|i| i.get(PATCH).is_none()).collect();
    let mut wanted = order.iter();
    for item in &plain_items {
        let key = key_of(merge, item)?;
        if !wanted.any(|o| key_of(merge, o) == Ok(key)) {
            let list = |values: &[&Value]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            return Err(BadPatch(format!(
                "The order in patch list:\n[{}]\n doesn't match $setElementOrder list:\n[{}]\n",
                list(&plain_items),
                list(&order.iter().collect::<Vec<_>>())
            )));
        }
    }
    Ok(())
}

/// Sorts a merged list: what the patch names comes in its order, the rest keeps its place where that can be told from the
/// list as it was.
fn arrange(merge: &Merge, merged: Vec<Value>, order: &[Value], before: &[Value]) -> Vec<Value> {
    let (order, before) = (places(merge, order), places(merge, before));
    let place = |list: &HashMap<&Value, usize>, item: &Value| list.get(key_of(merge, item).ok()?).copied();
    let (mut named, mut rest): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(&order, item).is_some());
    named.sort_by_key(|item| place(&order, item));
    rest.sort_by_key(|item| place(&before, item));
    let mut out = Vec::with_capacity(named.len() + rest.len());
    let (mut named, mut rest) = (named.into_iter().peekable(), rest.into_iter().peekable());
    loop {
        let take_rest = match (rest.peek(), named.peek()) {
            (Some(left), Some(right)) => match (place(&before, left), place(&before, right)) {
                (Some(left), Some(right)) => left < right,
                _ => false,
            },
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return out,
        };
        out.extend(if take_rest { rest.next() } else { named.next() });
    }
}

/// A value of a patch without its directives and nulls.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(name, v)| !name.starts_with('$') && !v.is_null())
                .map(|(n, v)| (n.clone(), plain(v)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .filter(|item| {
                    let directive = item.get(PATCH);
                    directive.is_none_or(|d| {
                        *d != "delete" && !(*d == "replace" && item.as_object().is_some_and(|o| o.len() == 1))
                    })
                })
                .map(plain)
                .collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn node(patch: &Value) -> Value {
        let mut node = json!({"metadata": {"finalizers": ["a/x", "b/x"], "labels": {"l": "1"}},
            "status": {"addresses": [{"type": "A", "address": "1"}, {"type": "B", "address": "2"}]}});
        strategic_merge(&Shape::builtin("Node"), &mut node, patch).unwrap();
        node
    }

    #[test]
    fn lists_merge_by_their_key_and_patched_elements_keep_their_place() {
        let merged =
            node(&json!({"status": {"addresses": [{"type": "B", "address": "3"}, {"type": "C", "address": "4"}]}}));
        let types: Vec<&str> = merged["status"]["addresses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["type"].as_str().unwrap())
            .collect();
        assert_eq!(types, ["A", "B", "C"]);
        assert_eq!(merged["status"]["addresses"][1]["address"], "3");
    }

    #[test]
    fn directives_replace_delete_and_retain() {
        let replaced = node(&json!({"status": {"addresses": [{"$patch": "replace"}, {"type": "Z", "address": "9"}]}}));
        assert_eq!(replaced["status"]["addresses"], json!([{"type": "Z", "address": "9"}]));
        let deleted = node(&json!({"status": {"addresses": [{"$patch": "delete", "type": "A"}]}}));
        assert_eq!(deleted["status"]["addresses"], json!([{"type": "B", "address": "2"}]));
        let without = node(&json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"]}}));
        assert_eq!(without["metadata"]["finalizers"], json!(["b/x"]));
        let retained = node(&json!({"metadata": {"labels": {"$retainKeys": ["m"], "m": "2"}}}));
        assert_eq!(retained["metadata"]["labels"], json!({"m": "2"}));
    }

    fn addresses() -> impl Strategy<Value = Vec<Value>> {
        let address = ("[A-D]", "[0-9]").prop_map(|(kind, address)| json!({"type": kind, "address": address}));
        prop::collection::vec(address, 0..4).prop_map(|mut list: Vec<Value>| {
            let mut seen = Vec::new();
            list.retain(|a| {
                !seen.contains(&a["type"]) && {
                    seen.push(a["type"].clone());
                    true
                }
            });
            list
        })
    }

    proptest! {
        #[test]
        fn merging_twice_is_the_same_as_once(start in addresses(), patch in addresses()) {
            let shape = Shape::builtin("Node");
            let patch = json!({"status": {"addresses": patch}});
            let mut once = json!({"status": {"addresses": start}});
            strategic_merge(&shape, &mut once, &patch).unwrap();
            let mut twice = once.clone();
            strategic_merge(&shape, &mut twice, &patch).unwrap();
            prop_assert_eq!(once, twice);
        }
    }
}
