//! The command line, as Go's pflag reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

mod table;

/// Every flag there is.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    table::RUNNING.iter().chain(table::SERVING)
}

/// A flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Under which heading it stands.
    pub section: &'static str,
    /// Its name, without dashes.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Its value when it is not given.
    pub default: &'static str,
    /// Why it does nothing, if that is so.
    pub idle: Option<&'static str>,
    /// What it does.
    pub help: &'static str,
}

/// What values a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum Kind {
    Bool,
    Duration,
    Float,
    Int,
    Ip,
    /// Values with commas between them; when given again, more of them.
    List,
    /// One value each time it is given.
    Many,
    Port,
    Text,
    /// `true` or `raw`.
    Version,
}

/// Why a command line makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// There is no such flag.
    #[error("unknown flag: --{0}")]
    Unknown(String),
    /// There is no such short flag.
    #[error("unknown shorthand flag: '{0}' in -{1}")]
    UnknownShort(char, String),
    /// A flag without the value it needs.
    #[error("flag needs an argument: --{0}")]
    NoValue(String),
    /// A value the flag does not take.
    #[error("invalid argument {value:?} for \"--{name}\" flag: {why}")]
    Value {
        /// The flag.
        name: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that is no flag.
    #[error("{command:?} does not take any arguments, got {arguments:?}")]
    Arguments {
        /// The program.
        command: String,
        /// What was given.
        arguments: Vec<String>,
    },
}

impl Flag {
    pub(super) const fn new(
        section: &'static str,
        name: &'static str,
        kind: Kind,
        default: &'static str,
        idle: Option<&'static str>,
        help: &'static str,
    ) -> Self {
        Self {
            section,
            name,
            kind,
            default,
            idle,
            help,
        }
    }

    fn check(&self, value: &str) -> Result<(), FlagError> {
        let ok = |valid: bool, why: &str| if valid { Ok(()) } else { Err(why.to_owned()) };
        let checked = match self.kind {
            Kind::Bool => ok(parse_bool(value).is_some(), "must be true or false"),
            Kind::Duration => kit::go_duration::parse(value)
                .map(|_| ())
                .map_err(|error| error.to_string()),
            Kind::Float => ok(value.parse::<f64>().is_ok_and(f64::is_finite), "must be a number"),
            Kind::Int => ok(value.parse::<i32>().is_ok(), "must be an integer"),
            Kind::Ip => ok(value.parse::<std::net::IpAddr>().is_ok(), "must be an IP address"),
            Kind::Port => ok(value.parse::<u16>().is_ok(), "must be between 0 and 65535, inclusive"),
            Kind::Version => ok(
                value == "raw" || parse_bool(value).is_some(),
                "must be true, false or raw",
            ),
            Kind::List | Kind::Many | Kind::Text => Ok(()),
        };
        checked.map_err(|why| FlagError::Value {
            name: self.name,
            value: value.to_owned(),
            why,
        })
    }
}

/// A bool as Go reads it.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// What a command line says.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    given: BTreeMap<&'static str, Vec<String>>,
    /// Whether help was asked for.
    pub help: bool,
}

impl Parsed {
    /// Reads the arguments after the program's name. Underscores in names count as dashes.
    pub fn parse(command: &str, args: impl IntoIterator<Item = String>) -> Result<Self, FlagError> {
        let mut parsed = Self::default();
        let mut plain = Vec::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                plain.extend(args.by_ref());
            } else if arg == "-h" || arg == "--help" {
                parsed.help = true;
            } else if let Some(long) = arg.strip_prefix("--") {
                let (name, value) = long
                    .split_once('=')
                    .map_or((long, None), |(name, value)| (name, Some(value)));
                parsed.take(&name.replace('_', "-"), value.map(str::to_owned), &mut args)?;
            } else if let Some(short) = arg.strip_prefix("-v") {
                let value = short.strip_prefix('=').unwrap_or(short);
                parsed.take("v", (!value.is_empty()).then(|| value.to_owned()), &mut args)?;
            } else if let Some(short) = arg.strip_prefix('-').filter(|short| !short.is_empty()) {
                let letter = short.chars().next().unwrap_or_default();
                return Err(FlagError::UnknownShort(letter, short.to_owned()));
            } else {
                plain.push(arg);
            }
        }
        if plain.is_empty() {
            Ok(parsed)
        } else {
            Err(FlagError::Arguments {
                command: command.to_owned(),
                arguments: plain,
            })
        }
    }

    fn take(
        &mut self,
        name: &str,
        value: Option<String>,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), FlagError> {
        let flag = all()
            .find(|flag| flag.name == name)
            .ok_or_else(|| FlagError::Unknown(name.to_owned()))?;
        let value = match (value, flag.kind) {
            (Some(value), _) => value,
            (None, Kind::Bool | Kind::Version) => "true".to_owned(),
            (None, _) => rest.next().ok_or_else(|| FlagError::NoValue(name.to_owned()))?,
        };
        flag.check(&value)?;
        let values = self.given.entry(flag.name).or_default();
        match flag.kind {
            Kind::List => values.extend(split(&value)),
            Kind::Many => values.push(value),
            _ => *values = vec![value],
        }
        Ok(())
    }

    /// Whether a flag was given.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The flags that were given and do nothing, and why.
    pub fn idle(&self) -> Vec<(&'static str, &'static str)> {
        all()
            .filter(|flag| self.is_given(flag.name))
            .filter_map(|flag| Some((flag.name, flag.idle?)))
            .collect()
    }

    /// The values of a flag.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.given.get(name).cloned().unwrap_or_else(|| split(default(name)))
    }

    /// The value of a flag.
    pub fn text(&self, name: &str) -> String {
        let given = self.given.get(name).and_then(|values| values.last());
        given.map_or_else(|| default(name).to_owned(), Clone::clone)
    }

    /// The value of a flag, unless it is empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The value of a flag that is true or false.
    pub fn bool(&self, name: &str) -> bool {
        parse_bool(&self.text(name)).unwrap_or(false)
    }

    /// The value of a flag that is a duration.
    pub fn duration(&self, name: &str) -> std::time::Duration {
        kit::go_duration::parse(&self.text(name)).unwrap_or_default()
    }

    /// The value of a flag that is a number, an address or a port.
    pub fn number<T: std::str::FromStr + Default>(&self, name: &str) -> T {
        self.text(name).parse().unwrap_or_default()
    }

    /// Every flag and its value, for the log.
    pub fn values(&self) -> Vec<(&'static str, String)> {
        let value = |flag: &Flag| match flag.kind {
            Kind::List | Kind::Many => format!("[{}]", self.list(flag.name).join(",")),
            _ => self.text(flag.name),
        };
        all().map(|flag| (flag.name, value(flag))).collect()
    }
}

fn split(value: &str) -> Vec<String> {
    if value.is_empty() {
        Vec::new()
    } else {
        value.split(',').map(str::to_owned).collect()
    }
}

fn default(name: &str) -> &'static str {
    all().find(|flag| flag.name == name).map_or("", |flag| flag.default)
}

/// The help text.
pub fn help(command: &str, about: &str) -> String {
    let mut text = format!("{about}\n\nUsage:\n  {command} [flags]\n");
    let mut section = "";
    for flag in all() {
        if flag.section != section {
            section = flag.section;
            let _ = write!(text, "\n{}{} flags:\n\n", section[..1].to_uppercase(), &section[1..]);
        }
        let default = if flag.default.is_empty() {
            String::new()
        } else {
            format!(" (default {})", flag.default)
        };
        let idle = flag
            .idle
            .map(|why| format!(" Accepted and without effect: {why}."))
            .unwrap_or_default();
        let dashes = if flag.name == "v" { "  -v, --v" } else { "      --" };
        let name = if flag.name == "v" { "" } else { flag.name };
        let _ = writeln!(text, "{dashes}{name}\n                {}{default}{idle}", flag.help);
    }
    text
}

/// The reference page of all flags, as Markdown.
pub fn reference() -> String {
    let mut text = String::from("# Flags of every cloud controller manager\n");
    let mut section = "";
    for flag in all() {
        if flag.section != section {
            section = flag.section;
            let _ = write!(
                text,
                "\n## {section}\n\n| flag | default | what it does |\n|---|---|---|\n"
            );
        }
        let idle = flag
            .idle
            .map(|why| format!(" *Accepted and without effect: {why}.*"))
            .unwrap_or_default();
        let help = flag.help.replace('|', "\\|");
        let _ = writeln!(text, "| `--{}` | {} | {help}{idle} |", flag.name, code(flag.default));
    }
    text
}

fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{text}`")
    }
}

#[cfg(test)]
mod tests;
