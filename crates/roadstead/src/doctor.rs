//! `roadstead doctor`: what is configured, what is reachable, what is wrong, and what to do about it.

mod checks;
mod rackspace_spot;
mod reach;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use kit::{Finding, Verdict};

use crate::console::{self, Format};
use crate::failure::Failure;

/// Find out what is missing or wrong here, and what to do about it.
///
/// Providers are asked the way a driver asks them: through the proxy, over TLS, with the credential in the environment.
/// Nothing is changed anywhere, and no check takes longer than a few seconds. Exit code 0: no problem; 1: at least one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to write the findings.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Look only at this machine: open no connection.
    #[arg(long)]
    offline: bool,
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
