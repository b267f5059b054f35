//! Long work shows that it goes on: a moving line on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();

/// The steps of one piece of work, told on standard error while it happens.
///
/// On a terminal the current step has a spinner, its elapsed time and the newest detail; finished steps stay above it. In
/// a pipe or a log file every step and detail is a line of its own. Standard output is left to results.
#[derive(Debug)]
pub struct Progress {
    title: String,
    state: Mutex<State>,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Spinner(ProgressBar),
    Lines,
    Silent,
}

#[derive(Debug)]
struct State {
    begun: Instant,
    step: Option<(String, Instant)>,
}

impl Progress {
    /// Chooses by looking at standard error: a spinner on a terminal, lines elsewhere.
    pub fn new(title: impl Into<String>) -> Self {
        let mode = if std::io::stderr().is_terminal() {
            Mode::Spinner(spinner())
        } else {
            Mode::Lines
        };
        Self::with_mode(title, mode)
    }

    /// Shows nothing at all.
    pub fn silent() -> Self {
        Self::with_mode("", Mode::Silent)
    }

    fn with_mode(title: impl Into<String>, mode: Mode) -> Self {
        Self {
            title: title.into(),
            state: Mutex::new(State {
                begun: Instant::now(),
                step: None,
            }),
            mode,
        }
    }

    /// Ends the current step, if there is one, and begins the next. The step that is already going on is not begun again.
    pub fn step(&self, name: impl Into<String>) {
        let name = name.into();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.step.as_ref().is_some_and(|(current, _)| *current == name) {
            return;
        }
        if let Some(ended) = state.step.take() {
            self.finished(&ended, GOOD, '✓');
        }
        match &self.mode {
            Mode::Spinner(bar) => {
                bar.reset_elapsed();
                bar.set_prefix(name.clone());
                bar.set_message("");
            }
            Mode::Lines => self.line(state.begun, &name),
            Mode::Silent => {}
        }
        state.step = Some((name, Instant::now()));
    }

    /// Tells a detail of the current step.
    pub fn detail(&self, text: &str) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.mode {
            Mode::Spinner(bar) => bar.set_message(text.to_owned()),
            Mode::Lines => self.line(state.begun, &format!("  {text}")),
            Mode::Silent => {}
        }
    }

    /// Tells something that is not as it should be; it stays visible.
    pub fn warn(&self, text: &str) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{WARN}warning:{WARN:#} {text}");
        match &self.mode {
            Mode::Spinner(bar) => bar.suspend(|| tell(&line)),
            Mode::Lines => self.line(state.begun, &line),
            Mode::Silent => {}
        }
    }

    /// Ends the work well, with a closing line.
    pub fn done(&self, text: &str) {
        self.end(GOOD, '✓', text);
    }

    /// Ends the work badly. The error itself is told by whoever handles it.
    pub fn failed(&self) {
        self.end(BAD, '✗', "");
    }

    fn end(&self, style: Style, mark: char, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ended) = state.step.take() {
            self.finished(&ended, style, mark);
        }
        if let Mode::Spinner(bar) = &self.mode {
            bar.finish_and_clear();
        }
        match &self.mode {
            Mode::Silent => {}
            _ if text.is_empty() => {}
            Mode::Lines => self.line(state.begun, text),
            Mode::Spinner(_) => tell(&format!(
                "{}: {text} {DIM}{}{DIM:#}",
                self.title,
                seconds(state.begun.elapsed())
            )),
        }
    }

    fn finished(&self, (name, since): &(String, Instant), style: Style, mark: char) {
        if let Mode::Spinner(bar) = &self.mode {
            let line = format!("{style}{mark}{style:#} {name} {DIM}{}{DIM:#}", seconds(since.elapsed()));
            bar.suspend(|| tell(&line));
        }
    }

    fn line(&self, begun: Instant, text: &str) {
        tell(&format!("[{:>7}] {}: {text}", seconds(begun.elapsed()), self.title));
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner:.cyan} {prefix} {elapsed:.dim}  {wide_msg:.dim}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1}s", elapsed.as_secs_f64())
}

/// A closed standard error is no reason to stop working.
fn tell(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}
