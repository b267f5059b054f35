//! Secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Rules;
use super::config::{immutable, sorted};
use crate::field::FieldError;
use crate::names::config_key;

const TOTAL: usize = 1024 * 1024;
pub(crate) const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";
pub(crate) const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
pub(crate) const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// Mirrors kubernetes/kubernetes pkg/apis/core/validation `ValidateSecret`.
#[derive(Debug)]
pub(crate) struct Secret;

impl Rules for Secret {
    fn default(&self, object: &mut Value) {
        if object.get("type").is_none() {
            object["type"] = json!("Opaque");
        }
        let Some(Value::Object(texts)) = object.as_object_mut().and_then(|o| o.shift_remove("stringData")) else {
            return;
        };
        for (key, value) in texts {
            object["data"][key] = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut total = 0;
        for (key, value) in sorted(object["data"].as_object()) {
            errors.extend(config_key(&format!("data[{key}]"), key));
            total += value.as_str().map_or(0, |v| v.len() / 4 * 3);
        }
        if total > TOTAL {
            errors.push(FieldError::too_long("data", TOTAL));
        }
        let required: &[&str] = match object["type"].as_str().unwrap_or_default() {
            TOKEN_TYPE => {
                if object["metadata"]["annotations"][ACCOUNT_NAME]
                    .as_str()
                    .unwrap_or_default()
                    .is_empty()
                {
                    errors.push(FieldError::required(
                        format!("metadata.annotations[{ACCOUNT_NAME}]"),
                        "",
                    ));
                }
                &[]
            }
            "kubernetes.io/tls" => &["tls.crt", "tls.key"],
            "kubernetes.io/basic-auth"
                if object["data"].get("username").is_none() && object["data"].get("password").is_none() =>
            {
                &["username", "password"]
            }
            "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
            "kubernetes.io/dockerconfigjson" => {
                errors.extend(json_member(object, ".dockerconfigjson"));
                &[".dockerconfigjson"]
            }
            "kubernetes.io/dockercfg" => {
                errors.extend(json_member(object, ".dockercfg"));
                &[".dockercfg"]
            }
            _ => &[],
        };
        for key in required {
            if object["data"].get(key).is_none() {
                errors.push(FieldError::required(format!("data[{key}]"), ""));
            }
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if new["type"] != old["type"] {
            errors.push(FieldError::invalid("type", new["type"].clone(), "field is immutable"));
        }
        errors.extend(immutable(new, old, &["data"]));
        errors.extend(self.validate(new));
        errors
    }

    fn warnings(&self, new: &Value, _old: Option<&Value>) -> Vec<String> {
        if new["type"] != "kubernetes.io/tls" {
            return Vec::new();
        }
        let certificate = decoded(new, "tls.crt");
        if certificate.windows(11).any(|w| w == b"-----BEGIN ") {
            Vec::new()
        } else {
            vec!["tls: failed to find any PEM data in certificate input".to_owned()]
        }
    }
}

fn decoded(object: &Value, key: &str) -> Vec<u8> {
    STANDARD
        .decode(object["data"][key].as_str().unwrap_or_default())
        .unwrap_or_default()
}

fn json_member(object: &Value, key: &str) -> Option<FieldError> {
    object["data"].get(key)?;
    let error = serde_json::from_slice::<serde_json::Map<String, Value>>(&decoded(object, key)).err()?;
    Some(FieldError::invalid(
        format!("data[{key}]"),
        "<secret contents redacted>",
        &error.to_string(),
    ))
}
