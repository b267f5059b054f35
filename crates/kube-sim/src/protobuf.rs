//! Request bodies in the protobuf of Kubernetes, brought into the JSON that the same object has.
//!
//! A body is four bytes of magic and an envelope that names the kind; the object in it is a message of that kind. Mirrors
//! kubernetes/apimachinery pkg/runtime/serializer/protobuf/protobuf.go and the code generated for the types. Answers are
//! JSON whatever came in: clients that send protobuf accept that.

mod message;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use serde_json::{Value, json};

use self::wire::Reader;

/// The media type of these bodies.
pub(crate) const MEDIA: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("empty data")]
    EmptyData,
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Magic,
    #[error("empty body")]
    EmptyBody,
    #[error("unexpected EOF")]
    UnexpectedEof,
    #[error("proto: integer overflow")]
    Overflow,
    #[error("proto: negative length found during unmarshaling")]
    NegativeLength,
    #[error("proto: unexpected end of group")]
    EndOfGroup,
    #[error("proto: illegal wireType {0}")]
    IllegalType(u64),
    #[error("proto: wrong wireType = {wire} for field {field}")]
    WrongType { wire: u64, field: String },
    #[error("proto: {message}: wiretype end group for non-group")]
    EndGroup { message: String },
    #[error("proto: {message}: illegal tag {number} (wire type {tag})")]
    IllegalTag { message: String, number: i32, tag: u64 },
    /// Differs from upstream: generated code recurses as deep as a body makes it. The words are those of
    /// google.golang.org/protobuf.
    #[error("exceeded maximum recursion depth")]
    TooDeep,
    #[error("json: unsupported value: {0}")]
    Number(String),
    #[error("impossible IntOrString.Type")]
    IntOrString,
    #[error("year outside of range [0,9999]")]
    Time,
    #[error("invalid JSON in a field: {0}")]
    Json(String),
    #[error(
        "object {0} does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
    )]
    NotMarshalable(String),
}

/// What stands around an object: `runtime.Unknown`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    pub api_version: String,
    pub kind: String,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Opens a body. The object in it is not read yet.
    pub fn open(body: &'a [u8]) -> Result<Self, Error> {
        if body.is_empty() {
            return Err(Error::EmptyData);
        }
        let data = body.strip_prefix(MAGIC).ok_or(Error::Magic)?;
        if data.is_empty() {
            return Err(Error::EmptyBody);
        }
        let (mut api_version, mut kind) = (String::new(), String::new());
        let mut raw: &[u8] = &[];
        let mut fields = Reader::new("Unknown", data);
        while let Some((number, payload)) = fields.next()? {
            match number {
                1 => {
                    let mut fields = Reader::new("TypeMeta", payload.bytes("TypeMeta")?);
                    while let Some((number, payload)) = fields.next()? {
                        match number {
                            1 => api_version = message::text(payload.bytes("APIVersion")?),
                            2 => kind = message::text(payload.bytes("Kind")?),
                            _ => {}
                        }
                    }
                }
                2 => raw = payload.bytes("Raw")?,
                // How the object is encoded is not asked: the real server does not look at it either.
                _ => {}
            }
        }
        // What is no group and version counts as not given.
        if api_version.matches('/').count() > 1 {
            api_version.clear();
        }
        Ok(Self { api_version, kind, raw })
    }

    /// An object that says only what it is.
    pub fn head(&self) -> Value {
        json!({"apiVersion": self.api_version, "kind": self.kind})
    }

    /// Reads the object as the message that is named like its Go type.
    ///
    /// Fields that the message does not have are skipped. Zero values are left out where Go leaves them out of JSON.
    pub fn object(&self, message: &str) -> Result<Value, Error> {
        let table = table::builtin();
        let Some(id) = table.id(message) else {
            return Err(Error::NotMarshalable(message.to_owned()));
        };
        let mut object = message::decode(table, id, self.raw)?;
        if let Some(map) = object.as_object_mut() {
            map.shift_insert(0, "apiVersion".to_owned(), json!(self.api_version));
            map.shift_insert(1, "kind".to_owned(), json!(self.kind));
        }
        Ok(object)
    }
}
