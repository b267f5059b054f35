//! What names, labels and keys may look like, in the words of the real server.
//!
//! Mirrors kubernetes/apimachinery pkg/util/validation/validation.go.

use crate::field::FieldError;

pub(crate) const LABEL_1123: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
pub(crate) const SUBDOMAIN: &str = r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn ends(text: &str, ok: fn(u8) -> bool) -> bool {
    text.bytes().next().is_some_and(ok) && text.bytes().last().is_some_and(ok)
}

fn longer(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// Names of objects count characters, in words at least.
fn longer_name(max: usize) -> String {
    format!("must be no more than {max} characters")
}

/// Problems with a DNS label.
pub(crate) fn dns_label(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > 63 {
        problems.push(longer_name(63));
    }
    let part = |p: &str| ends(p, lower) && p.bytes().all(|b| lower(b) || b == b'-');
    if !part(text) {
        let dots = text.split('.').all(part);
        problems.push(if dots {
            "must not contain dots".to_owned()
        } else {
            LABEL_1123.to_owned()
        });
    }
    problems
}

/// Problems with a DNS subdomain.
pub(crate) fn dns_subdomain(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > 253 {
        problems.push(longer_name(253));
    }
    let part = |p: &str| ends(p, lower) && p.bytes().all(|b| lower(b) || b == b'-');
    if !text.split('.').all(part) {
        problems.push(SUBDOMAIN.to_owned());
    }
    problems
}

/// Problems with the name of a port of a container.
pub(crate) fn port_name(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > 15 {
        problems.push(longer_name(15));
    }
    if !text.bytes().all(|b| lower(b) || b == b'-') {
        problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    } else if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        problems.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        problems.push("must not begin or end with a hyphen".to_owned());
    }
    problems
}

/// Problems with one segment of a path.
pub(crate) fn path_segment(text: &str) -> Vec<String> {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ["/", "%"]
        .iter()
        .filter(|bad| text.contains(**bad))
        .map(|bad| format!("may not contain '{bad}'"))
        .collect()
}

/// Problems with a qualified name: a label key, a finalizer, an annotation key.
pub(crate) fn qualified_name(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                problems.extend(dns_subdomain(prefix).into_iter().map(|p| format!("prefix part {p}")));
            }
            name
        }
        _ => {
            let rule = QUALIFIED.strip_prefix("name part ").unwrap_or(QUALIFIED);
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                rule
            )];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        problems.push(format!("name part {}", longer(63)));
    }
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !(ends(name, |b| b.is_ascii_alphanumeric()) && name.bytes().all(inner)) {
        problems.push(QUALIFIED.to_owned());
    }
    problems
}

/// Problems with the value of a label.
pub(crate) fn label_value(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > 63 {
        problems.push(longer(63));
    }
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let fits = ends(text, |b| b.is_ascii_alphanumeric()) && text.bytes().all(inner);
    if !text.is_empty() && !fits {
        problems.push(LABEL_VALUE.to_owned());
    }
    problems
}

/// Errors of a key in a ConfigMap or Secret.
pub(crate) fn config_key(field: &str, key: &str) -> Vec<FieldError> {
    let mut problems = Vec::new();
    if key.len() > 253 {
        problems.push(longer(253));
    }
    if key.is_empty()
        || !key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        problems.push(CONFIG_KEY.to_owned());
    }
    if key == "." || key == ".." {
        problems.push(format!("must not be '{key}'"));
    } else if key.starts_with("..") {
        problems.push("must not start with '..'".to_owned());
    }
    problems.iter().map(|p| FieldError::invalid(field, key, p)).collect()
}
