//! Talking to whoever sits at the terminal.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use tokio::sync::oneshot;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Tells something that did not stop the command but should be known.
pub(super) fn warn(text: &str) {
    let _ = writeln!(anstream::stderr(), "{WARNING}warning:{WARNING:#} {text}");
}

/// Tells somebody who may wonder.
pub(super) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Asks a question that is answered with yes or, in any other way, with no.
pub(super) async fn confirmed(question: &str) -> bool {
    let mut err = anstream::stderr();
    let _ = write!(err, "{question} [y/N] ");
    let _ = err.flush();
    let (tell, answer) = oneshot::channel();
    // A thread of its own: reading cannot be interrupted, and Ctrl-C must not wait for it.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let yes = read.is_ok() && ["y", "yes"].contains(&line.trim().to_lowercase().as_str());
        let _ = tell.send(yes);
    });
    answer.await.unwrap_or(false)
}
