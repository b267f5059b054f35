//! Reads the table of messages.

use std::collections::HashMap;
use std::sync::LazyLock;

/// All messages. They refer to each other by index.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub messages: Vec<Message>,
    ids: HashMap<String, usize>,
}

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    pub name: String,
    pub fields: Vec<Field>,
}

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub number: i32,
    /// The name in JSON; see the table for `=` and for none.
    pub name: String,
    pub kind: Kind,
    /// A pointer in Go: when it is there, its zero value is written.
    pub pointer: bool,
    /// Written even when it is zero.
    pub always: bool,
}

/// What a field holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Bool,
    Int32,
    Int64,
    Float,
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    Json,
    Message(usize),
    List(Box<Kind>),
    Map(Box<Kind>),
}

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum TableError {
    #[error("{message}: no field number in {entry:?}")]
    Number { message: String, entry: String },
    #[error("{message}: no type named {name:?}")]
    Type { message: String, name: String },
}

impl Message {
    pub fn field(&self, number: i32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

impl Table {
    /// Reads a table in the format that `messages.txt` describes.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let mut table = Self::default();
        let mut entries: Vec<Vec<&str>> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            if !line.starts_with(' ')
                && let Some(name) = words.next()
            {
                table.ids.insert(name.to_owned(), entries.len());
                table.messages.push(Message {
                    name: name.to_owned(),
                    fields: Vec::new(),
                });
                entries.push(Vec::new());
            }
            if let Some(last) = entries.last_mut() {
                last.extend(words);
            }
        }
        for (id, entries) in entries.iter().enumerate() {
            for entry in entries {
                let field = field(entry, &table.messages[id].name, &table.ids)?;
                table.messages[id].fields.push(field);
            }
        }
        Ok(table)
    }

    pub fn id(&self, name: &str) -> Option<usize> {
        self.ids.get(name).copied()
    }
}

fn field(entry: &str, message: &str, ids: &HashMap<String, usize>) -> Result<Field, TableError> {
    let mut parts = entry.splitn(3, ':');
    let number = parts.next().and_then(|number| number.parse().ok());
    let (Some(number), Some(name)) = (number, parts.next()) else {
        return Err(TableError::Number {
            message: message.to_owned(),
            entry: entry.to_owned(),
        });
    };
    let spelled = parts.next().unwrap_or("string");
    let text = spelled.trim_end_matches('!');
    let plain = text.trim_start_matches('*');
    let kind = kind(plain, ids).ok_or_else(|| TableError::Type {
        message: message.to_owned(),
        name: plain.to_owned(),
    })?;
    Ok(Field {
        number,
        name: name.to_owned(),
        kind,
        pointer: plain != text,
        always: text != spelled,
    })
}

fn kind(text: &str, ids: &HashMap<String, usize>) -> Option<Kind> {
    if let Some(inner) = text.strip_prefix("[]") {
        return kind(inner, ids).map(|inner| Kind::List(Box::new(inner)));
    }
    if let Some(inner) = text.strip_prefix("map:") {
        return kind(inner, ids).map(|inner| Kind::Map(Box::new(inner)));
    }
    Some(match text {
        "string" => Kind::String,
        "bool" => Kind::Bool,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float" => Kind::Float,
        "bytes" => Kind::Bytes,
        "time" => Kind::Time,
        "microtime" => Kind::MicroTime,
        "quantity" => Kind::Quantity,
        "intstr" => Kind::IntOrString,
        "json" => Kind::Json,
        name => Kind::Message(*ids.get(name)?),
    })
}

/// The messages of the built-in kinds.
pub(super) fn builtin() -> &'static Table {
    static BUILTIN: LazyLock<Table> =
        LazyLock::new(|| Table::parse(include_str!("messages.txt")).expect("the table of messages is well formed"));
    &BUILTIN
}
