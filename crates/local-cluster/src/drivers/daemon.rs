//! A program in the background: detached from the terminal, with a log, found again by later commands, and never confused
//! with another one that got its process ID.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kit::Backoff;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::error::{Error, Fault};
use crate::event::Event;
use crate::host::Host;
use crate::identity::{Identity, began};

/// A log larger than this is set aside when the program is started again.
const LARGEST_LOG: u64 = 10 * 1024 * 1024;
/// What of a log goes into an error.
const TAIL: u64 = 2_000;

/// One program of a cluster, by the directory it works in.
pub(crate) struct Daemon<'a> {
    dir: &'a Path,
    name: &'static str,
    /// Where in its log this run of it begins.
    began_at: AtomicU64,
}

impl<'a> Daemon<'a> {
    pub(crate) fn new(dir: &'a Path, name: &'static str) -> Self {
        Self {
            dir,
            name,
            began_at: AtomicU64::new(0),
        }
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join(format!("{}.pid", self.name))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// Its process ID, when it runs.
    pub(crate) fn running(&self) -> Option<u32> {
        if let Some(known) = Identity::load(&self.pid_file()).filter(Identity::runs) {
            return Some(known.pid);
        }
        // Whoever started it may have been killed before writing the file.
        find(&self.log())
    }

    /// Starts it in the background. Its log is what it writes to standard error; what it answers there is nobody to hear, and
    /// a simulator answers with its token. What etcd takes as flags from the environment would change what it does, or end it:
    /// it refuses a variable beside a flag.
    pub(crate) fn spawn(&self, host: &Host, program: &Path, args: &[OsString]) -> Result<(), Error> {
        let log = self.log();
        if log.metadata().is_ok_and(|data| data.len() > LARGEST_LOG) {
            let _ = std::fs::rename(&log, log.with_extension("log.1"));
        }
        let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&log);
        let err = open.map_err(Error::files("open", &log))?;
        let written = err.metadata().map_or(0, |data| data.len());
        self.began_at.store(written, Ordering::Relaxed);
        let mut command = tokio::process::Command::new(program);
        let env = host
            .env
            .iter()
            .filter(|(name, _)| !name.as_bytes().starts_with(b"ETCD_"));
        // A group of its own: what the terminal sends to ours does not reach it.
        command
            .args(args)
            .env_clear()
            .envs(env)
            .current_dir(self.dir)
            .process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(err);
        let child = command
            .spawn()
            .map_err(|error| Error::tool(self.name, "start", Fault::BackendMissing, error.to_string()))?;
        let Some(pid) = child.id() else { return Ok(()) };
        Identity::of(pid)
            .save(&self.pid_file())
            .map_err(Error::files("write", self.pid_file()))
    }

    /// Waits until `ready` says so, or the program ended, or time is up.
    pub(crate) async fn until<F>(&self, limit: Duration, mut ready: impl FnMut() -> F) -> Result<(), Error>
    where
        F: Future<Output = bool>,
    {
        let begun = Instant::now();
        let mut waits = Backoff::new(Duration::from_millis(5), Duration::from_millis(200)).factor(1.5);
        loop {
            if ready().await {
                return Ok(());
            }
            if self.running().is_none() {
                let message = format!("it ended at once; {} says: {}", self.log().display(), self.log_tail());
                let fault = if message.contains("address already in use") {
                    Fault::PortInUse
                } else {
                    Fault::Unknown
                };
                return Err(Error::tool(self.name, "start", fault, message));
            }
            if begun.elapsed() >= limit {
                let message = format!(
                    "it is not ready after {}; its log is {}",
                    kit::go_duration::format(limit),
                    self.log().display()
                );
                return Err(Error::tool(self.name, "start", Fault::Timeout, message));
            }
            tokio::time::sleep(waits.next().unwrap_or(limit)).await;
        }
    }

    /// Asks it to end, waits, and kills it when it does not.
    pub(crate) async fn terminate(&self, limit: Duration) -> Result<(), Error> {
        for (signal, patience) in [(Signal::TERM, limit), (Signal::KILL, Duration::from_secs(5))] {
            let Some(pid) = self.running() else { break };
            let Some(target) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
                break;
            };
            // It may end by itself in this moment.
            let _ = kill_process(target, signal);
            let begun = Instant::now();
            let mut waits = Backoff::new(Duration::from_millis(5), Duration::from_millis(200)).factor(1.5);
            while self.running().is_some() && begun.elapsed() < patience {
                tokio::time::sleep(waits.next().unwrap_or(patience)).await;
            }
        }
        if let Some(pid) = self.running() {
            return Err(Error::LeftOver {
                tool: self.name.to_owned(),
                left: format!("process {pid} does not end"),
            });
        }
        let _ = std::fs::remove_file(self.pid_file());
        Ok(())
    }

    /// On a dry run: how it would be ended.
    pub(crate) fn tell_end(&self, host: &Host) {
        if let Some(pid) = self.running() {
            host.events.tell(Event::Command {
                line: format!("kill -TERM {pid}"),
            });
        }
    }

    /// The end of its log, as far as this run of it wrote it, in one line.
    fn log_tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log())?;
            let length = file.metadata()?.len();
            let began = self.began_at.load(Ordering::Relaxed);
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL).max(began)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(3).collect();
        let tail = lines.into_iter().rev().collect::<Vec<_>>().join(" | ");
        if tail.is_empty() {
            "nothing".to_owned()
        } else {
            crate::tool::redact(&tail)
        }
    }
}

/// On a dry run: what would be removed.
pub(crate) fn tell_removal(host: &Host, dir: &Path) {
    let line = crate::tool::command_line("rm", &["-r".into(), dir.to_string_lossy()]);
    host.events.tell(Event::Command { line });
}

/// The process that writes to this log, as far as the system lets us see.
#[cfg(not(target_os = "linux"))]
fn find(log: &Path) -> Option<u32> {
    find_by_lsof(log)
}

/// Where there is no `/proc`. Who only reads it has it open as something else than standard error.
#[cfg(any(test, not(target_os = "linux")))]
fn find_by_lsof(log: &Path) -> Option<u32> {
    let told = crate::system::told("lsof", &["-t", "-a", "-d", "2", log.to_str()?])?;
    let mut pids = told.lines().filter_map(|line| line.trim().parse().ok());
    pids.find(|pid| *pid != std::process::id() && began(*pid).is_some())
}

/// The process that writes to this log, as far as the system lets us see.
#[cfg(target_os = "linux")]
fn find(log: &Path) -> Option<u32> {
    let log = std::fs::canonicalize(log).ok()?;
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let writes_there = std::fs::read_link(process.path().join("fd/2")).is_ok_and(|target| target == log);
        if pid != std::process::id() && writes_there && began(pid).is_some() {
            return Some(pid);
        }
    }
    None
}

/// `--flag value` as two arguments.
pub(crate) fn flag(args: &mut Vec<OsString>, name: &str, value: impl AsRef<OsStr>) {
    args.push(format!("--{name}").into());
    args.push(value.as_ref().to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_log_without_proc() {
        if crate::system::told("lsof", &["-v"]).is_none() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        let out = File::create(&log).unwrap();
        assert_eq!(find_by_lsof(&log), None);
        let _reader = File::open(&log).unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .stderr(out)
            .spawn()
            .unwrap();
        let found = find_by_lsof(&log);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, Some(child.id()));
    }
}
