//! What is given: the environment first, then the file.

use std::collections::BTreeMap;

use serde_json::Value;

use super::table::{Kind, SETTINGS, Setting};

/// The values that were given, by the key of their option, and what is wrong with them.
pub(super) struct Values {
    given: BTreeMap<&'static str, Given>,
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
}

struct Given {
    text: String,
    /// How a message names it.
    called: String,
}

impl Values {
    /// Gathers them. An empty value, `null`, and a zero in the file are as good as none.
    pub(super) fn gather(file: &serde_json::Map<String, Value>, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut values = Self {
            given: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        for (key, value) in file {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key.eq_ignore_ascii_case(key)) else {
                values.warnings.push(format!("{key} is unknown and has no effect"));
                continue;
            };
            if values.given.contains_key(setting.key) {
                values
                    .warnings
                    .push(format!("{} is given more than once; the last one counts", setting.key));
            }
            values.take(setting, value);
        }
        for setting in SETTINGS {
            let text = env(setting.env).map(|text| text.trim().to_owned());
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                let called = format!("env var {} ({})", setting.env, setting.key);
                values.given.insert(setting.key, Given { text, called });
            }
        }
        values
    }

    fn take(&mut self, setting: &'static Setting, value: &Value) {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) if number.as_i64() == Some(0) => String::new(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Array(_) | Value::Object(_) => {
                self.problems.push(format!("{} must be a single value", setting.key));
                return;
            }
        };
        let called = setting.key.to_owned();
        if text.is_empty() {
            self.given.remove(setting.key);
        } else {
            self.given.insert(setting.key, Given { text, called });
        }
    }

    /// The value, else the default.
    pub(super) fn text(&self, key: &str) -> String {
        self.given
            .get(key)
            .map_or_else(|| find(key).default.to_owned(), |given| given.text.clone())
    }

    /// The value, if there is one.
    pub(super) fn given(&self, key: &str) -> Option<String> {
        self.given.get(key).map(|given| given.text.clone())
    }

    /// How to name a value in a message: as the person wrote it who gave it.
    pub(super) fn called(&self, key: &str) -> String {
        self.given
            .get(key)
            .map_or_else(|| key.to_owned(), |given| given.called.clone())
    }

    pub(super) fn number(&mut self, key: &str) -> u32 {
        let Kind::Number(most) = find(key).kind else { return 0 };
        let text = self.text(key);
        let number = text.parse().ok().filter(|number| *number <= most);
        number.unwrap_or_else(|| {
            self.wrong(key, &format!("must be a number from 0 to {most}"));
            0
        })
    }

    pub(super) fn bool(&mut self, key: &str) -> bool {
        let value = bool(&self.text(key));
        value.unwrap_or_else(|| {
            self.wrong(key, "must be a boolean");
            false
        })
    }

    pub(super) fn url(&mut self, key: &str) -> String {
        let text = self.text(key).trim_end_matches('/').to_owned();
        let uri = text.parse::<http::Uri>().ok();
        let valid = uri.as_ref().is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
        });
        if !valid {
            self.wrong(key, "must be a http or https URL");
        }
        let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let local = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
        if valid && text.starts_with("http://") && !local {
            self.warnings.push(format!(
                "{key} is not https: the API key goes over the network in the clear"
            ));
        }
        text
    }

    /// Notes that a value is wrong, and shows it.
    pub(super) fn wrong(&mut self, key: &str, what: &str) {
        let (called, text) = (self.called(key), self.text(key));
        self.problems.push(format!("{called} {what}, was {text:?}"));
    }
}

/// A truth value as Go's `strconv.ParseBool` reads it.
pub(super) fn bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn find(key: &str) -> &'static Setting {
    SETTINGS
        .iter()
        .find(|setting| setting.key == key)
        .expect("every key that is asked for stands in the table")
}
