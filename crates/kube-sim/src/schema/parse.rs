//! Reads the table of types.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Field, Merge, Own, Schema, Struct, Type};

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ParseError {
    #[error("line {line}: a field before the first type")]
    Orphan { line: usize },
    #[error("line {line}: unknown word {word:?}")]
    Word { line: usize, word: String },
    #[error("line {line}: no type named {name:?}")]
    NoType { line: usize, name: String },
}

/// Reads a table in the format that `types.txt` describes.
pub(crate) fn parse(text: &str) -> Result<Schema, ParseError> {
    let mut schema = Schema::default();
    let mut ids = HashMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("type") && !line.starts_with(' ') {
            let name = words.next().unwrap_or_default().to_owned();
            ids.insert(name.clone(), schema.structs.len());
            schema.structs.push(Struct {
                name,
                atomic: words.next() == Some("atomic"),
                ..Struct::default()
            });
        }
    }
    let mut current = None;
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        if !text.starts_with(' ') {
            current = Some(current.map_or(0, |id: usize| id + 1));
            continue;
        }
        let id = current.ok_or(ParseError::Orphan { line })?;
        let field = field(text, line, &ids)?;
        schema.structs[id].fields.push(field);
    }
    Ok(schema)
}

fn field(text: &str, line: usize, ids: &HashMap<String, usize>) -> Result<Field, ParseError> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default().to_owned();
    let spelled = words.next().unwrap_or_default();
    let ty = ty(spelled.trim_end_matches('!'), line, ids)?;
    let mut field = Field {
        name,
        ty,
        always: spelled.ends_with('!'),
        merge: Merge::Replace,
        own: Own::Plain,
        default: None,
    };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("merge", "") => field.merge = Merge::Set,
            ("merge", key) => field.merge = Merge::Key(key.to_owned()),
            ("set", "") => field.own = Own::Set,
            ("atomic", "") => field.own = Own::Atomic,
            ("keys", keys) => field.own = Own::Keys(keys.split(',').map(str::to_owned).collect()),
            ("default", value) => field.default = Some(default(value, &field.ty)),
            _ => {
                return Err(ParseError::Word {
                    line,
                    word: word.to_owned(),
                });
            }
        }
    }
    Ok(field)
}

fn default(text: &str, ty: &Type) -> Value {
    match ty.inner() {
        Type::Int32 | Type::Int64 => text.parse::<i64>().map_or(Value::Null, |n| json!(n)),
        Type::Bool => json!(text == "true"),
        _ => json!(text),
    }
}

fn ty(text: &str, line: usize, ids: &HashMap<String, usize>) -> Result<Type, ParseError> {
    if let Some(inner) = text.strip_prefix('*') {
        return Ok(Type::Pointer(Box::new(ty(inner, line, ids)?)));
    }
    if let Some(inner) = text.strip_prefix("[]") {
        return Ok(Type::List(Box::new(ty(inner, line, ids)?)));
    }
    if let Some(inner) = text.strip_prefix("map:") {
        return Ok(Type::Map(Box::new(ty(inner, line, ids)?)));
    }
    Ok(match text {
        "string" => Type::String,
        "bool" => Type::Bool,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "bytes" => Type::Bytes,
        "time" => Type::Time,
        "microtime" => Type::MicroTime,
        "quantity" => Type::Quantity,
        "intstr" => Type::IntOrString,
        "any" => Type::Any,
        name => Type::Struct(*ids.get(name).ok_or_else(|| ParseError::NoType {
            line,
            name: name.to_owned(),
        })?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_line_says_type_presence_merge_and_ownership() {
        let schema =
            parse("type A\n  list []B! merge=name keys=name,port\n\ntype B atomic\n  n *int32 default=3\n").unwrap();
        let field = &schema.structs[0].fields[0];
        assert_eq!(field.ty, Type::List(Box::new(Type::Struct(1))));
        assert!(field.always);
        assert_eq!(field.merge, Merge::Key("name".into()));
        assert_eq!(field.own, Own::Keys(vec!["name".into(), "port".into()]));
        assert!(schema.structs[1].atomic);
        assert_eq!(schema.structs[1].fields[0].default, Some(json!(3)));
    }

    #[test]
    fn a_table_that_names_no_type_is_refused() {
        assert_eq!(parse("  a string").unwrap_err(), ParseError::Orphan { line: 1 });
        let missing = ParseError::NoType {
            line: 2,
            name: "Nosuch".into(),
        };
        assert_eq!(parse("type A\n  a Nosuch").unwrap_err(), missing);
    }
}
