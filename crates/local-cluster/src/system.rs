//! Small programs of the system, where there is no `/proc` to read.
#![cfg(any(test, not(target_os = "linux")))]

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// They answer at once, or something is wrong with the system.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a program of the system says, in English and in universal time whatever the user prefers: what one command wrote down,
/// a later one compares. `None` when it fails, says nothing or does not end in time.
pub(crate) fn told(program: &str, args: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .envs([
            ("PATH", "/bin:/usr/bin:/sbin:/usr/sbin"),
            ("LC_ALL", "C"),
            ("TZ", "UTC0"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let begun = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            _ => break false,
        }
    };
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    (!text.trim().is_empty()).then_some(text)
}
