//! The settings of the table, asked for by key.

use cloud_provider::config::{Config, ConfigError};
use tracing::warn;

use super::table::{Kind, SETTINGS, Setting};

/// What is given, with the defaults of the table.
pub(super) struct Values<'a>(Config<'a>);

impl<'a> Values<'a> {
    /// What is given in this file, if there is one, and this environment.
    pub(super) fn new(file: Option<&[u8]>, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let values = Self(Config::new(file, env));
        if file.is_some_and(|file| file.trim_ascii().is_empty()) {
            // A Secret without its content, most likely.
            values.wrong("failed to process json of configuration file: it is empty");
        }
        values
    }

    /// The value, if there is one.
    pub(super) fn given(&self, key: &str) -> Option<String> {
        self.0.text(key, Some(find(key).env))
    }

    /// The value, else the default.
    pub(super) fn text(&self, key: &str) -> String {
        self.given(key).unwrap_or_else(|| find(key).default.to_owned())
    }

    /// A number. A zero is as good as none.
    pub(super) fn number(&self, key: &str) -> u32 {
        let setting = find(key);
        let Kind::Number(most) = setting.kind else { return 0 };
        let given = self.0.number(key, Some(setting.env), 0..=most);
        let given = given.filter(|number| *number != 0);
        given.unwrap_or_else(|| setting.default.parse().unwrap_or_default())
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.0.flag(key, Some(find(key).env)).unwrap_or(false)
    }

    pub(super) fn url(&self, key: &str) -> String {
        let text = self.text(key).trim_end_matches('/').to_owned();
        let uri = text.parse::<http::Uri>().ok();
        let valid = uri.as_ref().is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
        });
        if !valid {
            self.wrong(format!("{key} must be a http or https URL, was {text:?}"));
        }
        let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let local = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
        if valid && text.starts_with("http://") && !local {
            warn!("{key} is not https: the API key goes over the network in the clear");
        }
        text
    }

    /// Notes something that is wrong.
    pub(super) fn wrong(&self, text: impl Into<String>) {
        self.0.problem(text);
    }

    /// What was read, unless something is wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        self.0.finish(value)
    }
}

fn find(key: &str) -> &'static Setting {
    SETTINGS
        .iter()
        .find(|setting| setting.key == key)
        .expect("every key that is asked for stands in the table")
}
