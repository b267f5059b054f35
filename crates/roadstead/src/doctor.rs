//! `roadstead doctor`: what is configured, what is reachable, what is wrong, and what to do about it.

mod checks;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::console::{self, Format};
use crate::failure::Failure;

/// Find out what is missing or wrong here, and what to do about it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to write the findings.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Look only at this machine: open no connection.
    #[arg(long)]
    offline: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Fine, unless that feature is wanted.
    Note,
    /// Works, but will bite.
    Warning,
    /// Does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do next; absent when there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn new(check: &str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            verdict,
            found: found.into(),
            advice: None,
        }
    }

    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// Looks at everything and tells it. Fails when there is a problem.
pub async fn run(args: Args) -> Result<(), Failure> {
    let findings = checks::all(args.offline).await;
    console::value(args.output, &findings, || render(&findings))?;
    let problems = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Problem)
        .count();
    match problems {
        0 => Ok(()),
        1 => Err(Failure {
            message: "1 problem found".to_owned(),
            hint: None,
            code: kit::exit::FAILED,
        }),
        n => Err(Failure {
            message: format!("{n} problems found"),
            hint: None,
            code: kit::exit::FAILED,
        }),
    }
}

fn render(findings: &[Finding]) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.check.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let (style, mark) = match finding.verdict {
            Verdict::Ok => (AnsiColor::Green.on_default(), "✓"),
            Verdict::Note => (Style::new().dimmed(), "·"),
            Verdict::Warning => (AnsiColor::Yellow.on_default(), "!"),
            Verdict::Problem => (AnsiColor::Red.on_default(), "✗"),
        };
        let _ = writeln!(
            text,
            "{style}{mark}{style:#} {:<width$}   {}",
            finding.check, finding.found
        );
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "  {:<width$}   → {advice}", "");
        }
    }
    text
}
