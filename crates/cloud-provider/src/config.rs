//! What a provider is configured with: the JSON file of `--cloud-config`, and the environment, which wins.
//!
//! It reads as the Go originals do (keys in any case, an empty variable is not set), and more kindly where that cannot be
//! misunderstood: a comma too many is passed over, what has no effect is said, and all problems are told at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::str::FromStr;

use kit::Class;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::error::CloudError;

/// A configuration being read. Ask for each setting, report what is wrong, then [`Config::finish`].
///
/// ```
/// use cloud_provider::config::Config;
/// let file = br#"{"apiKey": "from the file", "ProjectID": "p", "apiServerPort": 6443, "share": true,}"#;
/// let config = Config::new(Some(file), |name| (name == "API_KEY").then(|| "from the environment".to_owned()));
/// assert_eq!(config.text("apiKey", Some("API_KEY")).as_deref(), Some("from the environment"));
/// assert_eq!(config.text("projectId", None).as_deref(), Some("p"));
/// assert_eq!(config.number("apiServerPort", None, 0..=65_535), Some(6443));
/// assert_eq!(config.flag("share", None), Some(true));
/// assert!(config.finish(()).is_ok());
/// ```
pub struct Config<'a> {
    file: Map<String, Value>,
    env: Environment<'a>,
    asked: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

/// The value of a variable, if it is set.
type Environment<'a> = Box<dyn Fn(&str) -> Option<String> + 'a>;

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigError(pub Vec<String>);

impl From<ConfigError> for CloudError {
    fn from(error: ConfigError) -> Self {
        CloudError::new(Class::Invalid, "provider config error").because(error)
    }
}

impl<'a> Config<'a> {
    /// A configuration of this file, if there is one, and this environment, usually `|name| std::env::var(name).ok()`.
    pub fn new(file: Option<&[u8]>, env: impl Fn(&str) -> Option<String> + 'a) -> Self {
        let (file, problem) = match file.map(parse) {
            None => (Map::new(), None),
            Some(Ok(file)) => (file, None),
            Some(Err(problem)) => (Map::new(), Some(problem)),
        };
        Self {
            file,
            env: Box::new(env),
            asked: RefCell::default(),
            problems: RefCell::new(problem.into_iter().collect()),
        }
    }

    /// A text; nothing when it is empty.
    pub fn text(&self, key: &str, variable: Option<&str>) -> Option<String> {
        match self.given(key, variable)? {
            (Value::String(text), _) => Some(text),
            (_, at) => {
                self.problem(format!("{at} must be a string"));
                None
            }
        }
    }

    /// A text that no other text may show.
    pub fn secret(&self, key: &str, variable: Option<&str>) -> Option<SecretString> {
        self.text(key, variable).map(SecretString::from)
    }

    /// A whole number within these bounds. In the file it may stand in quotes.
    pub fn number<T>(&self, key: &str, variable: Option<&str>, bounds: std::ops::RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
        T::Err: std::fmt::Display,
    {
        let (text, at) = match self.given(key, variable)? {
            (Value::String(text), at) => (text, at),
            (Value::Number(number), at) => (number.to_string(), at),
            (_, at) => {
                self.problem(format!("{at} must be a number"));
                return None;
            }
        };
        match text.parse::<T>() {
            Ok(number) if bounds.contains(&number) => Some(number),
            Ok(number) => {
                let (least, most) = (bounds.start(), bounds.end());
                self.problem(format!("{at} must be between {least} and {most}, was {number}"));
                None
            }
            Err(error) => {
                self.problem(format!("{at} must be a number, was {text}: {error}"));
                None
            }
        }
    }

    /// Yes or no. In the file it may stand in quotes.
    pub fn flag(&self, key: &str, variable: Option<&str>) -> Option<bool> {
        let (text, at) = match self.given(key, variable)? {
            (Value::Bool(flag), _) => return Some(flag),
            (Value::String(text), at) => (text, at),
            (_, at) => {
                self.problem(format!("{at} must be true or false"));
                return None;
            }
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => {
                self.problem(format!("{at} must be true or false, was {text}"));
                None
            }
        }
    }

    /// Something that is read from a text by [`FromStr`].
    pub fn parsed<T>(&self, key: &str, variable: Option<&str>) -> Option<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text(key, variable)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(format!("{key} {text:?} makes no sense: {error}"));
                None
            }
        }
    }

    /// Remembers something that is wrong.
    pub fn problem(&self, text: impl Into<String>) {
        self.problems.borrow_mut().push(text.into());
    }

    /// What was read, unless something is wrong. Says which keys of the file nobody asked for.
    pub fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        let problems = self.problems.into_inner();
        if !problems.is_empty() {
            return Err(ConfigError(problems));
        }
        let asked = self.asked.into_inner();
        for key in self.file.keys().filter(|key| !asked.contains(&key.to_lowercase())) {
            tracing::warn!("the configuration file has {key:?}, which is not known and has no effect");
        }
        Ok(value)
    }

    /// What is given and where: by the variable, else in the file under the very same key, else under the same in another
    /// case. An empty text is nothing.
    fn given(&self, key: &str, variable: Option<&str>) -> Option<(Value, String)> {
        self.asked.borrow_mut().insert(key.to_lowercase());
        let set = variable.and_then(|name| Some((trimmed(&(self.env)(name)?)?, format!("env var {name}"))));
        if let Some((text, at)) = set {
            return Some((Value::String(text), at));
        }
        let mut any_case = self.file.iter().filter(|(other, _)| other.eq_ignore_ascii_case(key));
        let stored = self.file.get(key).or_else(|| any_case.next().map(|(_, value)| value))?;
        let value = match stored {
            Value::Null => return None,
            Value::String(text) => Value::String(trimmed(text)?),
            other => other.clone(),
        };
        Some((value, format!("{key} in the configuration file")))
    }
}

fn trimmed(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The object in a file. What cannot be understood is told by its place, never by its text: there are secrets in it.
fn parse(file: &[u8]) -> Result<Map<String, Value>, String> {
    let broken = |why: &dyn std::fmt::Display| format!("failed to process json of configuration file: {why}");
    let text = std::str::from_utf8(file).map_err(|error| broken(&error))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let read = serde_json::from_str::<Value>(text).or_else(|error| {
        let read = serde_json::from_str(&without_stray_commas(text)).map_err(|_| error)?;
        tracing::warn!("the configuration file has a comma before a closing bracket, which is passed over");
        Ok::<Value, serde_json::Error>(read)
    });
    match read.map_err(|error| broken(&error))? {
        Value::Object(fields) => Ok(fields),
        _ => Err(broken(&"it must hold an object")),
    }
}

/// The text without the commas that stand before a closing bracket: the published templates of the originals had some.
fn without_stray_commas(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        let rest = text.get(at + 1..).unwrap_or_default();
        let stray = c == ',' && !quoted && rest.trim_start().starts_with(['}', ']']);
        if !stray {
            out.push(c);
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &str) -> Config<'_> {
        Config::new(Some(file.as_bytes()), |name| {
            (name == "SET").then(|| " env ".to_owned())
        })
    }

    #[test]
    fn the_environment_wins_and_an_empty_text_is_nothing() {
        let config = config(r#"{"a": "file", "B": " file ", "c": "", "d": null, "e": "file"}"#);
        assert_eq!(config.text("a", Some("SET")).as_deref(), Some("env"));
        assert_eq!(config.text("b", Some("UNSET")).as_deref(), Some("file"));
        for key in ["c", "d", "f"] {
            assert_eq!(config.text(key, None), None, "{key}");
        }
        assert_eq!(config.text("g", Some("SET")).as_deref(), Some("env"));
        assert_eq!(config.finish(1), Ok(1));
    }

    #[test]
    fn numbers_may_stand_in_quotes_and_have_bounds() {
        let config = config(r#"{"a": 1, "b": "2", "c": 70000, "d": "x", "e": true, "f": 1.5}"#);
        assert_eq!(config.number("a", None, 0..=9), Some(1));
        assert_eq!(config.number("b", None, 0..=9), Some(2));
        for key in ["c", "d", "e", "f", "g"] {
            assert_eq!(config.number::<i32>(key, None, 0..=65_535), None, "{key}");
        }
        let ConfigError(problems) = config.finish(()).unwrap_err();
        assert_eq!(
            problems,
            [
                "c in the configuration file must be between 0 and 65535, was 70000",
                "d in the configuration file must be a number, was x: invalid digit found in string",
                "e in the configuration file must be a number",
                "f in the configuration file must be a number, was 1.5: invalid digit found in string",
            ]
        );
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = config(r#"{"a": 1, "b": ["x"]}"#);
        config.text("a", None);
        config.text("b", None);
        config.problem("and one more");
        let error = CloudError::from(config.finish(()).unwrap_err());
        assert_eq!(
            kit::chain(&error),
            "provider config error: a in the configuration file must be a string; \
             b in the configuration file must be a string; and one more"
        );
    }

    #[test]
    fn stray_commas_are_passed_over_and_those_in_texts_stay() {
        let text = without_stray_commas(
            r#"{"a": "x,}", "b": [1, 2 , ], "c\"": ",]",
        }"#,
        );
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, serde_json::json!({"a": "x,}", "b": [1, 2], "c\"": ",]"}));
    }

    #[test]
    fn a_file_that_is_no_object_is_refused_without_showing_it() {
        for file in [r#"{"secret": "hunter2" "#, "[]", "hunter2", "\u{0}"] {
            let ConfigError(problems) = config(file).finish(()).unwrap_err();
            assert!(
                problems[0].starts_with("failed to process json of configuration file: "),
                "{problems:?}"
            );
            assert!(!problems[0].contains("hunter2"), "{problems:?}");
        }
        for file in ["", " \n", "{}"] {
            assert_eq!(config(file).finish(()), Ok(()));
        }
        assert!(Config::new(None, |_| None).finish(()).is_ok());
    }
}
