//! Running other people's programs: found once, with a clean environment, no input, a deadline, bounded memory, and no
//! children left behind.

mod classify;
mod text;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::error::{Error, Fault};
use crate::event::Event;
use crate::host::Host;
use crate::identity::{Identity, MARK};
use crate::record;
pub(crate) use classify::classify;
pub(crate) use text::{beginning, command_line, is_log, json_array, last_words, redact, strip_ansi};

/// What standard output may hold; more is no answer to anything we ask.
const MOST_OUTPUT: usize = 16 * 1024 * 1024;
/// What is kept of standard output of a change: its end.
const MOST_REPORT: usize = 1024 * 1024;
/// What is kept of standard error for the message of a failure: its end.
const MOST_COMPLAINT: usize = 64 * 1024;
/// A program that ended may have left its pipes to a child of its own; what is in them by then is what we get.
const PIPES: Duration = Duration::from_millis(300);

/// What is to be known about a program before it is run.
pub(crate) struct Spec {
    /// Its name on `PATH`.
    pub(crate) program: &'static str,
    /// How to get it.
    pub(crate) advice: &'static str,
    /// The variables it must not see, because they would change what it does behind our back.
    pub(crate) hidden: fn(&str) -> bool,
    /// The variables it always gets.
    pub(crate) set: &'static [(&'static str, &'static str)],
}

/// A program on this machine.
#[derive(Clone)]
pub(crate) struct Tool {
    pub(crate) host: Arc<Host>,
    spec: &'static Spec,
    set: Vec<(OsString, OsString)>,
    /// Where it is, when that is not to be looked up.
    program: Option<PathBuf>,
    /// Where it is noted that it is changing something.
    note: Option<PathBuf>,
}

/// What a program said, and how it ended. It may be a secret, so it is not shown by `Debug`.
#[derive(Clone)]
pub(crate) struct Output {
    pub(crate) tool: &'static str,
    pub(crate) verb: String,
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Whether standard output was longer than we keep.
    pub(crate) cut: bool,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("tool", &self.tool)
            .field("verb", &self.verb)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// The output of a success; the failure as an error otherwise. Part of an answer is no answer.
    pub(crate) fn success(self) -> Result<Self, Error> {
        match self.code {
            Some(0) if self.cut => Err(self.unreadable("short enough")),
            Some(0) => Ok(self),
            _ => Err(self.failure(classify(&self))),
        }
    }

    /// The failure as an error of this class.
    pub(crate) fn failure(&self, fault: Fault) -> Error {
        let mut message = last_words(&self.stderr, &self.stdout);
        if message.is_empty() {
            message = match self.code {
                Some(code) => format!("it ended with exit code {code} and said nothing"),
                None => "it was ended by a signal".to_owned(),
            };
        }
        Error::tool(self.tool, &self.verb, fault, message)
    }

    /// It answered, but not with what it should.
    pub(crate) fn unreadable(&self, what: &str) -> Error {
        let message = if self.cut {
            format!("its answer is longer than {} MiB", MOST_OUTPUT / 1024 / 1024)
        } else {
            format!("its answer ({} bytes) is not {what}", self.stdout.len())
        };
        Error::tool(self.tool, &self.verb, Fault::BadOutput, message)
    }
}

impl Tool {
    pub(crate) fn new(host: &Arc<Host>, spec: &'static Spec) -> Self {
        Self {
            host: Arc::clone(host),
            spec,
            set: Vec::new(),
            program: None,
            note: None,
        }
    }

    /// The program at this path, whatever is on `PATH`.
    pub(crate) fn at(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Notes which process it is while it changes something of this cluster, so that a command that comes after a killed
    /// one can wait for what that one left running.
    pub(crate) fn working_on(mut self, driver: &str, profile: &str) -> Self {
        self.note = Some(record::tool_path(&self.host, driver, profile));
        self
    }

    /// Sets one more variable for it.
    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.set.push((name.into(), value.into()));
        self
    }

    /// Runs it to look at something. Ends with the host's limit for looks; cut short, it is killed at once.
    pub(crate) async fn ask(&self, args: &[&str]) -> Result<Output, Error> {
        self.run(args, self.host.limits.look, Purpose::Look).await
    }

    /// Runs it to change something. When `limit` has passed, or the future is dropped, it is asked to terminate. On a dry
    /// run the command is told, not run.
    pub(crate) async fn change<S: AsRef<str>>(&self, args: &[S], limit: Duration) -> Result<Output, Error> {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        let line = command_line(self.spec.program, &args);
        self.host.events.tell(Event::Command { line });
        if self.host.dry_run {
            let verb = verb(&args);
            let empty = String::new;
            return Ok(Output {
                tool: self.spec.program,
                verb,
                code: Some(0),
                stdout: empty(),
                stderr: empty(),
                cut: false,
            });
        }
        let output = self.run(&args, limit, Purpose::Change).await?;
        // What is printed on the way is no answer that could be incomplete.
        Ok(Output { cut: false, ..output })
    }

    fn environment(&self) -> BTreeMap<OsString, OsString> {
        let hidden = |name: &OsStr| name.to_str().is_some_and(self.spec.hidden);
        let inherited = self.host.env.iter().filter(|(name, _)| !hidden(name));
        let mut env: BTreeMap<_, _> = inherited.map(|(name, value)| (name.clone(), value.clone())).collect();
        env.insert("NO_COLOR".into(), "1".into());
        env.extend(
            self.spec
                .set
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        env.extend(self.set.iter().cloned());
        env
    }

    async fn run(&self, args: &[&str], limit: Duration, purpose: Purpose) -> Result<Output, Error> {
        let tool = self.spec.program;
        let verb = verb(args);
        let program = match &self.program {
            Some(program) => program.clone(),
            None => self.host.need(tool, self.spec.advice)?,
        };
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(self.environment()).process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let note = self.note.as_ref().filter(|_| purpose == Purpose::Change);
        if let Some(note) = note {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let mark = format!("{}-{}", std::process::id(), now.as_nanos());
            command.env(MARK, &mark);
            // Without it, only a command after a killed one is worse off.
            let _ = Identity::announced(&mark).save(note);
        }
        let spawned = command.spawn();
        if let (Err(_), Some(note)) = (&spawned, note) {
            let _ = std::fs::remove_file(note);
        }
        let mut child = spawned.map_err(|error| {
            let fault = match error.kind() {
                std::io::ErrorKind::PermissionDenied => Fault::PermissionDenied,
                std::io::ErrorKind::NotFound => Fault::BackendMissing,
                _ => Fault::Unknown,
            };
            Error::tool(tool, &verb, fault, error.to_string())
        })?;
        let mut group = Group::of(&child, purpose);
        if let (Some(note), Some(pid)) = (note, child.id()) {
            let _ = Identity::of(pid).save(note);
        }
        let out = Arc::new(Mutex::new(match purpose {
            Purpose::Look => Kept::first(MOST_OUTPUT),
            // Of what is printed on the way, the end tells how it went.
            Purpose::Change => Kept::last(MOST_REPORT),
        }));
        let err = Arc::new(Mutex::new(Kept::last(MOST_COMPLAINT)));
        let mut pipes = JoinSet::new();
        let teller = (purpose == Purpose::Change).then(|| Arc::clone(&self.host));
        if let Some(pipe) = child.stdout.take() {
            pipes.spawn(drain(pipe, Arc::clone(&out), teller.clone()));
        }
        if let Some(pipe) = child.stderr.take() {
            pipes.spawn(drain(pipe, Arc::clone(&err), teller));
        }
        let ended = tokio::time::timeout(limit, child.wait()).await;
        let timed_out = ended.is_err();
        let status = match ended {
            Ok(status) => status,
            Err(_) => group.end(&mut child, self.host.limits.grace).await,
        };
        group.done();
        if let Some(note) = note {
            let _ = std::fs::remove_file(note);
        }
        let _ = tokio::time::timeout(PIPES, async { while pipes.join_next().await.is_some() {} }).await;
        let status = status.map_err(|error| Error::tool(tool, &verb, Fault::Unknown, error.to_string()))?;
        let (stdout, cut) = out.lock().unwrap_or_else(PoisonError::into_inner).text();
        let (stderr, _) = err.lock().unwrap_or_else(PoisonError::into_inner).text();
        let output = Output {
            tool,
            verb,
            code: status.code(),
            stdout,
            stderr,
            cut,
        };
        if timed_out {
            let words = last_words(&output.stderr, "");
            let said = if words.is_empty() {
                String::new()
            } else {
                format!("; it last said: {words}")
            };
            let message = format!("it did not finish within {}{said}", kit::go_duration::format(limit));
            return Err(Error::tool(tool, &output.verb, Fault::Timeout, message));
        }
        Ok(output)
    }
}

/// The words of a command line that say what it does.
fn verb(args: &[&str]) -> String {
    let words = args
        .iter()
        .take_while(|arg| !arg.starts_with('-') && arg.len() <= 64)
        .take(2);
    words.copied().collect::<Vec<_>>().join(" ")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Look,
    Change,
}

/// A child and all its children. Dropped before the child ended, it ends them: politely when something is being changed,
/// at once otherwise.
struct Group {
    pid: Option<Pid>,
    purpose: Purpose,
}

impl Group {
    fn of(child: &Child, purpose: Purpose) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { pid, purpose }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // It may have ended by itself in the meantime.
            let _ = kill_process_group(pid, signal);
        }
    }

    async fn end(&mut self, child: &mut Child, grace: Duration) -> std::io::Result<std::process::ExitStatus> {
        if self.purpose == Purpose::Change {
            self.signal(Signal::TERM);
            if let Ok(status) = tokio::time::timeout(grace, child.wait()).await {
                return status;
            }
        }
        self.signal(Signal::KILL);
        // One that waits for a disk or a network drive cannot be ended by anybody.
        tokio::time::timeout(grace, child.wait())
            .await
            .unwrap_or_else(|_| Err(std::io::Error::other("it cannot be killed")))
    }

    fn done(&mut self) {
        self.pid = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(match self.purpose {
            Purpose::Look => Signal::KILL,
            Purpose::Change => Signal::TERM,
        });
    }
}

/// The first or the last so many bytes of a stream.
struct Kept {
    bytes: Vec<u8>,
    most: usize,
    first: bool,
    cut: bool,
}

impl Kept {
    fn first(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most,
            first: true,
            cut: false,
        }
    }

    fn last(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most,
            first: false,
            cut: false,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.first {
            let room = self.most.saturating_sub(self.bytes.len());
            self.cut |= bytes.len() > room;
            self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else {
            self.bytes.extend_from_slice(bytes);
            if self.bytes.len() > 2 * self.most {
                self.bytes.drain(..self.bytes.len() - self.most);
                self.cut = true;
            }
        }
    }

    fn text(&self) -> (String, bool) {
        let text = String::from_utf8_lossy(&self.bytes);
        // Escape sequences are rare: do not copy megabytes for nothing.
        let text = if text.contains('\u{1b}') {
            strip_ansi(&text)
        } else {
            text.into_owned()
        };
        (text, self.cut)
    }
}

/// The longest line that is told as progress.
const LONGEST_LINE: usize = 300;

async fn drain(mut pipe: impl AsyncRead + Unpin, kept: Arc<Mutex<Kept>>, teller: Option<Arc<Host>>) {
    let mut buffer = vec![0; 16 * 1024];
    let mut line: Vec<u8> = Vec::new();
    while let Ok(read) = pipe.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        kept.lock().unwrap_or_else(PoisonError::into_inner).add(&buffer[..read]);
        let Some(host) = &teller else { continue };
        for byte in &buffer[..read] {
            match byte {
                b'\n' | b'\r' => tell(host, &mut line),
                byte if line.len() < LONGEST_LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    if let Some(host) = &teller {
        tell(host, &mut line);
    }
}

fn tell(host: &Host, line: &mut Vec<u8>) {
    let text = redact(strip_ansi(&String::from_utf8_lossy(line)).trim());
    if !text.is_empty() {
        host.events.detail(text::without_log_dress(&text));
    }
    line.clear();
}

#[cfg(test)]
mod tests;
