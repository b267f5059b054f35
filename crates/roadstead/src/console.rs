//! The one place that prints results and complaints.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For machines.
    Json,
    /// For machines that people read.
    Yaml,
}

/// Prints one line of a result.
pub fn line(text: impl AsRef<str>) -> Result<(), Failure> {
    written(writeln!(anstream::stdout(), "{}", text.as_ref()))
}

/// Prints a text as it is.
pub fn text(text: impl AsRef<str>) -> Result<(), Failure> {
    written(write!(anstream::stdout(), "{}", text.as_ref()))
}

/// Prints a value as JSON or YAML, or calls `table` for what people read.
pub fn value(format: Format, value: &impl Serialize, table: impl FnOnce() -> String) -> Result<(), Failure> {
    match format {
        Format::Table => text(table()),
        Format::Json => {
            line(serde_json::to_string_pretty(value).map_err(|error| Failure::other("write the result", error))?)
        }
        Format::Yaml => {
            text(serde_saphyr::to_string(value).map_err(|error| Failure::other("write the result", error))?)
        }
    }
}

/// Tells on standard error why the command failed and what to do. A failure without a message only has an exit code.
pub fn complain(failure: &Failure) {
    if failure.message.is_empty() {
        return;
    }
    let mut err = anstream::stderr();
    let _ = writeln!(err, "{ERROR}error:{ERROR:#} {}", failure.message);
    if let Some(hint) = &failure.hint {
        let _ = writeln!(err, "{HINT}hint:{HINT:#} {hint}");
    }
}

/// A reader that stopped reading (`| head`) is no failure.
fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::other("write to standard output", error))
        }
        _ => Ok(()),
    }
}
