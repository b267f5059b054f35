//! The shape of objects: what members a kind has, and how each is decoded, merged and owned.
//!
//! One table serves five users: decoding (types, unknown members, what Go writes for zero values), defaults, strategic merge,
//! server-side apply and OpenAPI. Built-in kinds come from `schema/types.txt`; a custom resource definition brings its own.

mod decode;
mod parse;
mod scalar;

use std::sync::{Arc, LazyLock};

use serde_json::Value;

pub(crate) use decode::decode;
pub(crate) use parse::parse;
pub(crate) use scalar::{format_time, parse_time};

/// A set of struct types that refer to each other by index.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub structs: Vec<Struct>,
}

/// One struct type.
#[derive(Debug, Default, Clone)]
pub(crate) struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
    /// Server-side apply owns it as one unit.
    pub atomic: bool,
    /// Members that are not in `fields` are kept.
    pub open: bool,
}

/// One member of a struct.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub name: String,
    pub ty: Type,
    /// Written even when it is zero.
    pub always: bool,
    pub merge: Merge,
    pub own: Own,
    pub default: Option<Value>,
}

/// The type of a member.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    String,
    Bool,
    Int32,
    Int64,
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    Any,
    Struct(usize),
    Pointer(Box<Type>),
    List(Box<Type>),
    Map(Box<Type>),
}

/// What strategic merge does with a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Merge {
    Replace,
    /// A set of scalars.
    Set,
    /// Elements that agree in this member are one.
    Key(String),
}

/// Who can own what below a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Own {
    /// Lists: the list as a whole. Maps and structs: each member by itself.
    Plain,
    Atomic,
    Set,
    Keys(Vec<String>),
}

impl Struct {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Schema {
    pub fn id(&self, name: &str) -> Option<usize> {
        self.structs.iter().position(|s| s.name == name)
    }

    pub fn get(&self, id: usize) -> &Struct {
        &self.structs[id]
    }
}

impl Type {
    /// The type behind pointers.
    pub fn inner(&self) -> &Type {
        match self {
            Type::Pointer(inner) => inner.inner(),
            other => other,
        }
    }
}

/// The table of built-in kinds.
pub(crate) fn builtin() -> &'static Arc<Schema> {
    static BUILTIN: LazyLock<Arc<Schema>> =
        LazyLock::new(|| Arc::new(parse(include_str!("schema/types.txt")).expect("the built-in table is well formed")));
    &BUILTIN
}

/// A schema and the struct in it that describes a kind.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub schema: Arc<Schema>,
    pub root: usize,
}

impl Shape {
    /// The shape of a built-in type.
    pub fn builtin(name: &str) -> Self {
        let schema = builtin().clone();
        let root = schema.id(name).expect("every built-in kind is in the table");
        Self { schema, root }
    }

    pub fn root(&self) -> &Struct {
        self.schema.get(self.root)
    }
}

/// Fills members that were left out with the defaults of the table.
pub(crate) fn fill_defaults(shape: &Shape, object: &mut Value) {
    fill(&shape.schema, &Type::Struct(shape.root), object);
}

fn fill(schema: &Schema, ty: &Type, value: &mut Value) {
    match (ty, value) {
        (Type::Pointer(inner), value) => fill(schema, inner, value),
        (Type::Struct(id), Value::Object(map)) => {
            for field in &schema.get(*id).fields {
                if let Some(value) = map.get_mut(&field.name) {
                    fill(schema, &field.ty, value);
                } else if let Some(default) = &field.default {
                    map.insert(field.name.clone(), default.clone());
                }
            }
        }
        (Type::List(inner), Value::Array(items)) => items.iter_mut().for_each(|item| fill(schema, inner, item)),
        (Type::Map(inner), Value::Object(map)) => map.values_mut().for_each(|item| fill(schema, inner, item)),
        _ => {}
    }
}
