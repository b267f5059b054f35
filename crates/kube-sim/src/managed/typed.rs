//! Walks objects by their shape: which fields there are, what differs, how two states merge.
//!
//! Mirrors kubernetes-sigs/structured-merge-diff typed/{tofieldset,compare,merge,remove}.go.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::set::{Set, show};
use crate::schema::{Own, Schema, Shape, Type};

/// What differs between two states.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub added: Set,
    pub modified: Set,
    pub removed: Set,
}

pub(super) struct Typed<'a> {
    shape: &'a Shape,
}

impl<'a> Typed<'a> {
    pub fn new(shape: &'a Shape) -> Self {
        Self { shape }
    }

    fn schema(&self) -> &'a Schema {
        &self.shape.schema
    }

    fn root(&self) -> (Type, Own) {
        (Type::Struct(self.shape.root), Own::Plain)
    }

    /// The step to an element of a list.
    fn step(&self, element: &Type, own: &Own, item: &Value) -> Option<String> {
        match own {
            Own::Keys(keys) => {
                let mut sorted = BTreeMap::new();
                for key in keys {
                    let default = || match element.inner() {
                        Type::Struct(id) => self.schema().get(*id).field(key)?.default.clone(),
                        _ => None,
                    };
                    if let Some(value) = item.get(key).cloned().or_else(default) {
                        sorted.insert(key, value);
                    }
                }
                (!sorted.is_empty()).then(|| format!("k:{}", serde_json::to_string(&sorted).unwrap_or_default()))
            }
            _ => Some(format!("v:{item}")),
        }
    }

    /// What does not fit the shape: members it has not, elements that cannot be told apart.
    pub fn check(&self, object: &Value) -> Result<(), String> {
        let (ty, own) = self.root();
        self.check_value(&ty, &own, object, "", true)
    }

    fn check_value(&self, ty: &Type, own: &Own, value: &Value, path: &str, root: bool) -> Result<(), String> {
        match (ty.inner(), value) {
            (Type::Struct(id), Value::Object(map)) => {
                let structure = self.schema().get(*id);
                for (name, value) in map {
                    if root && matches!(name.as_str(), "apiVersion" | "kind") {
                        continue;
                    }
                    match structure.field(name) {
                        Some(field) => {
                            self.check_value(&field.ty, &field.own, value, &format!("{path}.{name}"), false)?;
                        }
                        None if structure.open => {}
                        None => return Err(format!("{path}.{name}: field not declared in schema")),
                    }
                }
                Ok(())
            }
            (Type::Map(inner), Value::Object(map)) => map.iter().try_for_each(|(name, value)| {
                self.check_value(inner, &Own::Plain, value, &format!("{path}.{name}"), false)
            }),
            (Type::List(inner), Value::Array(items)) => {
                let mut seen = BTreeSet::new();
                for (i, item) in items.iter().enumerate() {
                    if matches!(own, Own::Set | Own::Keys(_)) {
                        let Some(step) = self.step(inner, own, item) else {
                            return Err(format!(
                                "{path}: element {i}: associative list with keys has an element that omits key field"
                            ));
                        };
                        if seen.contains(&step) {
                            return Err(format!("{path}: duplicate entries for key {}", show(&step)));
                        }
                        seen.insert(step);
                    }
                    self.check_value(inner, &Own::Plain, item, &format!("{path}[{i}]"), false)?;
                }
                Ok(())
            }
            (Type::Struct(_) | Type::Map(_) | Type::List(_), Value::Null) => Ok(()),
            (Type::Struct(_) | Type::Map(_), _) => Err(format!("{path}: expected map, got {value}")),
            (Type::List(_), _) => Err(format!("{path}: expected list, got {value}")),
            _ => Ok(()),
        }
    }

    /// The fields that a configuration sets.
    pub fn fields(&self, object: &Value) -> Set {
        let (ty, own) = self.root();
        let mut set = Set::default();
        self.collect(&ty, &own, object, &mut Vec::new(), &mut set);
        set
    }

    fn collect(&self, ty: &Type, own: &Own, value: &Value, path: &mut Vec<String>, set: &mut Set) {
        match (self.kind_of(ty, own, value), value) {
            (Shallow::Struct(id), Value::Object(map)) => {
                let structure = self.schema().get(id);
                for (name, value) in map {
                    path.push(format!("f:{name}"));
                    let field = structure.field(name);
                    let (ty, own) = field.map_or((&Type::Any, &Own::Plain), |f| (&f.ty, &f.own));
                    self.collect(ty, own, value, path, set);
                    let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                    if empty || field.is_none() {
                        set.insert(path);
                    }
                    path.pop();
                }
            }
            (Shallow::Map(inner), Value::Object(map)) => {
                for (name, value) in map {
                    path.push(format!("f:{name}"));
                    self.collect(&inner, &Own::Plain, value, path, set);
                    set.insert(path);
                    path.pop();
                }
            }
            (Shallow::List(inner), Value::Array(items)) => {
                for item in items {
                    let Some(step) = self.step(&inner, own, item) else {
                        continue;
                    };
                    path.push(step);
                    self.collect(&inner, &Own::Plain, item, path, set);
                    set.insert(path);
                    path.pop();
                }
            }
            (Shallow::Leaf, _) => set.insert(path),
            _ => {}
        }
    }

    fn kind_of(&self, ty: &Type, own: &Own, value: &Value) -> Shallow {
        if *own == Own::Atomic {
            return Shallow::Leaf;
        }
        match ty.inner() {
            Type::Struct(id) => {
                if self.schema().get(*id).atomic {
                    Shallow::Leaf
                } else {
                    Shallow::Struct(*id)
                }
            }
            Type::Map(inner) => Shallow::Map((**inner).clone()),
            Type::List(inner) if matches!(own, Own::Set | Own::Keys(_)) => Shallow::List((**inner).clone()),
            Type::Any if value.is_object() => Shallow::Map(Type::Any),
            _ => Shallow::Leaf,
        }
    }

    /// What differs from `old` to `new`.
    pub fn compare(&self, old: &Value, new: &Value) -> Comparison {
        let (ty, own) = self.root();
        let mut out = Comparison::default();
        self.differ(&ty, &own, Some(old), Some(new), &mut Vec::new(), &mut out);
        out
    }

    fn differ(
        &self,
        ty: &Type,
        own: &Own,
        old: Option<&Value>,
        new: Option<&Value>,
        path: &mut Vec<String>,
        out: &mut Comparison,
    ) {
        let Some(sample) = new.filter(|v| !v.is_null()).or(old).or(new) else {
            return;
        };
        let kind = self.kind_of(ty, own, sample);
        let empty = |value: Option<&Value>| match value {
            None | Some(Value::Null) => true,
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            Some(_) => false,
        };
        if matches!(kind, Shallow::Leaf) || empty(old) && empty(new) {
            match (old, new) {
                (None, Some(_)) => out.added.insert(path),
                (Some(_), None) => out.removed.insert(path),
                (Some(old), Some(new)) if old != new => out.modified.insert(path),
                _ => {}
            }
            return;
        }
        match kind {
            Shallow::Struct(id) => {
                let structure = self.schema().get(id);
                self.differ_members(old, new, path, out, |name| {
                    structure
                        .field(name)
                        .map_or((Type::Any, Own::Plain), |f| (f.ty.clone(), f.own.clone()))
                });
            }
            Shallow::Map(inner) => self.differ_members(old, new, path, out, |_| (inner.clone(), Own::Plain)),
            Shallow::List(inner) => {
                let (old_items, new_items) = (self.items(&inner, own, old), self.items(&inner, own, new));
                let (before, after) = (by_step(&old_items), by_step(&new_items));
                let added = new_items.iter().filter(|(step, _)| !before.contains_key(step.as_str()));
                for (step, _) in old_items.iter().chain(added) {
                    let (old, new) = (before.get(step.as_str()), after.get(step.as_str()));
                    path.push(step.clone());
                    self.differ(&inner, &Own::Plain, old.copied(), new.copied(), path, out);
                    path.pop();
                }
            }
            Shallow::Leaf => {}
        }
        match (old, new) {
            (None, Some(_)) => out.added.insert(path),
            (Some(_), None) => out.removed.insert(path),
            _ => {}
        }
    }

    fn differ_members(
        &self,
        old: Option<&Value>,
        new: Option<&Value>,
        path: &mut Vec<String>,
        out: &mut Comparison,
        member: impl Fn(&str) -> (Type, Own),
    ) {
        let none = Map::new();
        let (old, new) = (
            old.and_then(Value::as_object).unwrap_or(&none),
            new.and_then(Value::as_object).unwrap_or(&none),
        );
        for name in old.keys().chain(new.keys().filter(|n| !old.contains_key(*n))) {
            let (ty, own) = member(name);
            path.push(format!("f:{name}"));
            self.differ(&ty, &own, old.get(name), new.get(name), path, out);
            path.pop();
        }
    }

    fn items<'v>(&self, element: &Type, own: &Own, list: Option<&'v Value>) -> Vec<(String, &'v Value)> {
        let items = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        items
            .iter()
            .filter_map(|item| Some((self.step(element, own, item)?, item)))
            .collect()
    }

    /// The state after a configuration has been laid over an object.
    pub fn merge(&self, live: &Value, config: &Value) -> Value {
        let (ty, own) = self.root();
        self.overlay(&ty, &own, Some(live), config)
    }

    fn overlay(&self, ty: &Type, own: &Own, live: Option<&Value>, config: &Value) -> Value {
        let Some(live) = live.filter(|v| !v.is_null()) else {
            return config.clone();
        };
        match (self.kind_of(ty, own, config), live, config) {
            (Shallow::Struct(id), Value::Object(before), Value::Object(members)) => {
                let structure = self.schema().get(id);
                let mut out = before.clone();
                for (name, value) in members {
                    let (ty, own) = structure
                        .field(name)
                        .map_or((&Type::Any, &Own::Plain), |f| (&f.ty, &f.own));
                    let merged = self.overlay(ty, own, before.get(name), value);
                    out.insert(name.clone(), merged);
                }
                Value::Object(out)
            }
            (Shallow::Map(inner), Value::Object(before), Value::Object(members)) => {
                let mut out = before.clone();
                for (name, value) in members {
                    let merged = self.overlay(&inner, &Own::Plain, before.get(name), value);
                    out.insert(name.clone(), merged);
                }
                Value::Object(out)
            }
            (Shallow::List(inner), Value::Array(_), Value::Array(_)) => self.overlay_list(&inner, own, live, config),
            _ => config.clone(),
        }
    }

    /// Shared elements come in the order of the configuration; what only the object has stays where it was.
    fn overlay_list(&self, element: &Type, own: &Own, live: &Value, config: &Value) -> Value {
        let (before, wanted) = (
            self.items(element, own, Some(live)),
            self.items(element, own, Some(config)),
        );
        let (known, asked) = (by_step(&before), by_step(&wanted));
        let is_wanted = |step: &String| asked.contains_key(step.as_str());
        let mut out = Vec::new();
        let mut at = 0;
        for (step, item) in &wanted {
            while at < before.len() && !is_wanted(&before[at].0) {
                out.push(before[at].1.clone());
                at += 1;
            }
            let old = known.get(step.as_str()).copied();
            out.push(self.overlay(element, &Own::Plain, old, item));
            if at < before.len() && before[at].0 == *step {
                at += 1;
            }
        }
        out.extend(
            before[at.min(before.len())..]
                .iter()
                .filter(|(s, _)| !is_wanted(s))
                .map(|(_, item)| (*item).clone()),
        );
        Value::Array(out)
    }

    /// The set with the members of structs on the way to its paths.
    pub fn with_named(&self, set: &Set) -> Set {
        let (ty, _) = self.root();
        self.named(&ty, set)
    }

    fn named(&self, ty: &Type, set: &Set) -> Set {
        let mut out = Set {
            members: set.members.clone(),
            children: BTreeMap::new(),
        };
        for (step, child) in &set.children {
            let field = match (ty.inner(), step.strip_prefix("f:")) {
                (Type::Struct(id), Some(name)) => self.schema().get(*id).field(name),
                _ => None,
            };
            if field.is_some() {
                out.members.insert(step.clone());
            }
            let inner = match (field, ty.inner()) {
                (Some(field), _) => field.ty.clone(),
                (None, Type::Map(inner) | Type::List(inner)) => (**inner).clone(),
                _ => Type::Any,
            };
            out.children.insert(step.clone(), self.named(&inner, child));
        }
        out
    }

    /// Removes the paths of `set` from an object, with all below them.
    pub fn remove(&self, object: &mut Value, set: &Set) {
        let (ty, own) = self.root();
        self.cut(&ty, &own, object, set);
    }

    fn cut(&self, ty: &Type, own: &Own, value: &mut Value, set: &Set) {
        match (self.kind_of(ty, own, value), value) {
            (Shallow::Struct(id), Value::Object(map)) => {
                let structure = self.schema().get(id);
                cut_members(map, set, |name, value, child| {
                    let (ty, own) = structure
                        .field(name)
                        .map_or((&Type::Any, &Own::Plain), |f| (&f.ty, &f.own));
                    self.cut(ty, own, value, child);
                });
            }
            (Shallow::Map(inner), Value::Object(map)) => {
                cut_members(map, set, |_, value, child| self.cut(&inner, &Own::Plain, value, child));
            }
            (Shallow::List(inner), Value::Array(items)) => {
                items.retain(|item| {
                    self.step(&inner, own, item)
                        .is_none_or(|step| !set.members.contains(&step))
                });
                for item in items {
                    if let Some(child) = self.step(&inner, own, item).and_then(|step| set.children.get(&step)) {
                        self.cut(&inner, &Own::Plain, item, child);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The elements of a list by their steps; of several with one step the first.
fn by_step<'s, 'v>(items: &'s [(String, &'v Value)]) -> HashMap<&'s str, &'v Value> {
    items.iter().rev().map(|(step, item)| (step.as_str(), *item)).collect()
}

fn cut_members(map: &mut Map<String, Value>, set: &Set, mut below: impl FnMut(&str, &mut Value, &Set)) {
    map.retain(|name, _| !set.members.contains(&format!("f:{name}")));
    for (name, value) in map.iter_mut() {
        if let Some(child) = set.children.get(&format!("f:{name}")) {
            below(name, value, child);
        }
    }
}

/// How ownership sees a value.
enum Shallow {
    /// Owned as a whole.
    Leaf,
    Struct(usize),
    Map(Type),
    /// A list whose elements are told apart.
    List(Type),
}
