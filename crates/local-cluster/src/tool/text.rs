//! Making sense of what programs print.

use std::sync::LazyLock;

use regex::Regex;
use serde::de::DeserializeOwned;

/// The longest message taken from a program's output.
const LONGEST: usize = 600;

/// What of a line is looked at.
const LONGEST_LINE: usize = 4 * 1024;

/// The first so many bytes of a text, or a few less: a character is not cut.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn pattern(text: &'static str) -> Regex {
    Regex::new(text).expect("the pattern is a constant that the tests compile")
}

/// Removes the escape sequences of colours and cursor movements.
pub(crate) fn strip_ansi(text: &str) -> String {
    static ESCAPES: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_])"));
    ESCAPES.replace_all(text, "").into_owned()
}

/// Replaces the values of everything that looks like a secret.
pub(crate) fn redact(text: &str) -> String {
    static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"(?i)((?:k3s_token|k3d\.cluster\.token|clustertoken|agent_?token|--token|\btoken|password|client-key-data|bearer)"?\s*[=:\s]\s*"?)([^\s",;&]+)"#,
        )
    });
    SECRETS.replace_all(text, "${1}***").into_owned()
}

/// Whether a line is one of a Go program's log, not of its answer.
pub(crate) fn is_log(line: &str) -> bool {
    static LOG: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(time=|level=|(TRAC|DEBU|INFO|WARN|ERRO)\[)"));
    LOG.is_match(line)
}

/// A log line's message without the time and level around it.
pub(crate) fn without_log_dress(line: &str) -> String {
    static LOGFMT: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\bmsg=(?:"((?:[^"\\]|\\.)*)"|(\S+))"#));
    static LOGRUS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:TRAC|DEBU|INFO|WARN|ERRO|FATA|PANI)\[[^\]]*\]\s*"));
    if line.contains("level=")
        && let Some(found) = LOGFMT.captures(line)
    {
        let quoted = found.get(1).map(|text| text.as_str().replace("\\\"", "\""));
        return quoted
            .or_else(|| found.get(2).map(|text| text.as_str().to_owned()))
            .unwrap_or_default();
    }
    LOGRUS.replace(line, "").into_owned()
}

/// The line that says why a program failed: the last one marked as an error, else the last one of standard error, else of
/// standard output. Without secrets, and not longer than a message should be.
pub(crate) fn last_words(stderr: &str, stdout: &str) -> String {
    static MARKED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)^(ERROR|FATA|ERRO|error:|X Exiting|Exiting due)|level=(fatal|error)|Command Output:")
    });
    let lines = |text: &'_ str| -> Vec<String> {
        text.lines()
            .map(|line| beginning(line.trim(), LONGEST_LINE).to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    let (errors, results) = (lines(stderr), lines(stdout));
    let marked: Vec<_> = errors
        .iter()
        .chain(&results)
        .filter(|line| MARKED.is_match(line))
        .collect();
    let chosen = match marked.as_slice() {
        [] => errors.last().or(results.last()).cloned().unwrap_or_default(),
        [.., before, last] if last.starts_with("Command Output:") => format!("{before} {last}"),
        [.., last] => (*last).clone(),
    };
    let text = redact(&without_log_dress(&chosen));
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

/// The JSON array in an output that may have log lines before it.
pub(crate) fn json_array<T: DeserializeOwned>(text: &str) -> Option<Vec<T>> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            let mut stream = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Vec<T>>();
            if let Some(Ok(found)) = stream.next() {
                return Some(found);
            }
        }
        start += line.len();
    }
    None
}

/// The flag that k3d and colima take variables with.
const ENVIRONMENT: &str = "--env";

/// A command line that can be pasted into a shell, but for the secrets in it.
pub(crate) fn command_line<S: AsRef<str>>(program: &str, args: &[S]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    let mut line = program.to_owned();
    let mut before = "";
    for arg in args.iter().map(AsRef::as_ref) {
        line.push(' ');
        // Whose environment it is, knows what is a secret in it; we do not.
        let name = arg.split_once('=').map(|(name, _)| format!("{name}=***"));
        let hidden = name.filter(|_| before == ENVIRONMENT);
        before = arg;
        let arg = hidden.as_deref().unwrap_or(arg);
        if !arg.is_empty() && arg.chars().all(plain) {
            line.push_str(arg);
        } else {
            line.push('\'');
            line.push_str(&arg.replace('\'', r"'\''"));
            line.push('\'');
        }
    }
    redact(&line)
}
