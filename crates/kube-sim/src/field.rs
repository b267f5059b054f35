//! Validation errors: what is wrong with which member.
//!
//! Mirrors kubernetes/apimachinery pkg/util/validation/field/errors.go.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One thing that is wrong with one member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldError {
    reason: &'static str,
    field: String,
    message: String,
}

impl FieldError {
    fn new(reason: &'static str, field: impl Into<String>, message: String) -> Self {
        Self {
            reason,
            field: field.into(),
            message,
        }
    }

    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueRequired", field, with_detail("Required value", detail))
    }

    pub fn invalid(field: impl Into<String>, value: impl Into<Value>, detail: &str) -> Self {
        let text = format!("Invalid value: {}", quote(&value.into()));
        Self::new("FieldValueInvalid", field, with_detail(&text, detail))
    }

    /// A member of the wrong type, as the schema of a custom resource sees it.
    pub fn type_invalid(field: impl Into<String>, value: impl Into<Value>, detail: &str) -> Self {
        let text = format!("Invalid value: {}", quote(&value.into()));
        Self::new("FieldValueTypeInvalid", field, with_detail(&text, detail))
    }

    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, with_detail("Forbidden", detail))
    }

    pub fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(
            "FieldValueDuplicate",
            field,
            format!("Duplicate value: {}", quote(&value.into())),
        )
    }

    pub fn not_supported(field: impl Into<String>, value: impl Into<Value>, supported: &[&str]) -> Self {
        let names: Vec<String> = supported.iter().map(|s| format!("\"{s}\"")).collect();
        let text = format!(
            "Unsupported value: {}: supported values: {}",
            quote(&value.into()),
            names.join(", ")
        );
        Self::new("FieldValueNotSupported", field, text)
    }

    /// Text of more than `max` bytes; the value itself is not repeated.
    pub fn too_long(field: impl Into<String>, max: usize) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self::new(
            "FieldValueTooLong",
            field,
            format!("Too long: may not be more than {max} {unit}"),
        )
    }

    pub fn too_many(field: impl Into<String>, found: usize, max: usize) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::new(
            "FieldValueTooMany",
            field,
            format!("Too many: {found}: must have at most {max} {unit}"),
        )
    }

    pub fn cause(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }

    #[cfg(test)]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The same error with a reason after it.
    pub fn because(mut self, detail: &str) -> Self {
        self.message = with_detail(&self.message, detail);
        self
    }

    /// The same error below `prefix`.
    pub fn below(mut self, prefix: &str) -> Self {
        let dot = if self.field.starts_with('[') || prefix.is_empty() {
            ""
        } else {
            "."
        };
        self.field = format!("{prefix}{dot}{}", self.field);
        self
    }

    pub fn text(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }
}

fn with_detail(text: &str, detail: &str) -> String {
    if detail.is_empty() {
        text.to_owned()
    } else {
        format!("{text}: {detail}")
    }
}

/// A value as Go's `%q` and `%v` print it in these messages.
fn quote(value: &Value) -> String {
    match value {
        Value::String(text) => go_quote(text),
        other => other.to_string(),
    }
}

/// Go's `%q`.
pub(crate) fn go_quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a text cannot fail.
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// All errors in one text: repeated ones once, brackets around several.
pub(crate) fn aggregate(errors: &[FieldError]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        let text = error.text();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_stands_alone_and_several_stand_in_brackets() {
        let a = FieldError::invalid("a", "x\"y", "bad");
        assert_eq!(aggregate(&[a.clone(), a.clone()]), r#"a: Invalid value: "x\"y": bad"#);
        let b = FieldError::required("b", "");
        assert_eq!(
            aggregate(&[a, b]),
            r#"[a: Invalid value: "x\"y": bad, b: Required value]"#
        );
    }
}
