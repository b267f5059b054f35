//! A driver's process.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::EngineError;
use crate::observe::{Event, Reporter, parse_line};

/// How many of the last lines on stderr are told when a driver ends.
const TAIL_LINES: usize = 15;
/// Lines are kept and told up to this length, in bytes.
const LINE_BYTES: usize = 4096;
/// How long to wait for the rest of the output of a process that has ended. A child of it may hold the pipe open.
const REST: Duration = Duration::from_millis(500);

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    path: PathBuf,
    tail: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Runs `path` with the port as its one argument. Its environment is ours; what it writes goes to `report` line by line.
    pub(super) fn spawn(path: &Path, port: u16, report: &Reporter) -> Result<Self, EngineError> {
        let mut child = Command::new(path)
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C in a terminal is for the engine, which then stops the driver in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| EngineError::Start {
                path: path.to_path_buf(),
                source,
            })?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(read_lines(stdout, report.clone(), None)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(read_lines(stderr, report.clone(), Some(tail.clone()))));
        }
        Ok(Self {
            child,
            path: path.to_path_buf(),
            tail,
            readers,
        })
    }

    /// Returns when the process has ended, with the error that this is. Safe to drop while waiting.
    pub(super) async fn ended(&mut self) -> EngineError {
        let how = match self.child.wait().await {
            Ok(status) => describe(status),
            Err(error) => format!("waiting for it failed: {error}"),
        };
        self.rest_of_output().await;
        EngineError::Ended {
            driver: self.path.display().to_string(),
            how,
            tail: self.tail(),
        }
    }

    async fn rest_of_output(&mut self) {
        let readers = &mut self.readers;
        let all = async {
            for reader in readers.iter_mut().filter(|reader| !reader.is_finished()) {
                let _ = reader.await;
            }
        };
        let _ = tokio::time::timeout(REST, all).await;
    }

    /// The last lines on stderr.
    pub(super) fn tail(&self) -> Vec<String> {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.iter().cloned().collect()
    }

    /// Asks the process to end.
    pub(super) fn terminate(&self) {
        // No id means that it has ended and was reaped: the number may be another process by now.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
    }

    /// Ends the process: asks, waits for `patience`, kills. It is reaped in any case.
    pub(super) async fn stop(mut self, patience: Duration) {
        self.terminate();
        if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
            // Kills and waits.
            let _ = self.child.kill().await;
        }
        self.rest_of_output().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

fn describe(status: ExitStatus) -> String {
    // "exit status: 1", "signal: 9 (SIGKILL)"
    status.to_string()
}

async fn read_lines(pipe: impl AsyncRead + Unpin, report: Reporter, tail: Option<Arc<Mutex<VecDeque<String>>>>) {
    let mut pipe = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while let Ok(true) = next_line(&mut pipe, &mut bytes).await {
        let text = String::from_utf8_lossy(&bytes);
        let line = text.trim_end();
        if let Some(tail) = &tail {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(parse_line(line).message);
        }
        report.tell(&Event::Driver(parse_line(line)));
    }
}

/// Reads the next line without its end, the first [`LINE_BYTES`] of it: what a driver writes without ever ending the line
/// must not fill our memory. `false` when there is none.
async fn next_line(pipe: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut begun = false;
    loop {
        let read = pipe.fill_buf().await?;
        if read.is_empty() {
            return Ok(begun);
        }
        begun = true;
        let end = read.iter().position(|byte| *byte == b'\n');
        let part = &read[..end.unwrap_or(read.len())];
        let room = LINE_BYTES.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(read.len(), |end| end + 1);
        pipe.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_line_without_end_is_read_over_and_not_kept() {
        let endless = tokio::io::repeat(b'x').take(8 << 20);
        let mut pipe = BufReader::new(endless.chain(&b"\nnext\n\nlast"[..]));
        let mut line = Vec::new();
        assert!(next_line(&mut pipe, &mut line).await.unwrap());
        assert_eq!(line, vec![b'x'; LINE_BYTES]);
        assert!(line.capacity() <= 2 * LINE_BYTES, "{}", line.capacity());
        for expected in ["next", "", "last"] {
            assert!(next_line(&mut pipe, &mut line).await.unwrap());
            assert_eq!(line, expected.as_bytes());
        }
        assert!(!next_line(&mut pipe, &mut line).await.unwrap());
    }
}
