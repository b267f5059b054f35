//! Running a person's program with our own input and output.

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::error::{Error, Fault};

/// A child that is asked to end when this is dropped before it ended.
struct Attached(Option<Pid>);

impl Attached {
    fn end(&self) {
        if let Some(pid) = self.0 {
            // It may have ended by itself in this moment.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs it to its end. When `limit` has passed it is asked to end, and killed when it has not by `grace`.
pub(super) async fn run(
    name: &str,
    mut command: Command,
    limit: Option<Duration>,
    grace: Duration,
) -> Result<ExitStatus, Error> {
    let failed = |error: std::io::Error| {
        let fault = match error.kind() {
            std::io::ErrorKind::NotFound => Fault::BackendMissing,
            std::io::ErrorKind::PermissionDenied => Fault::PermissionDenied,
            _ => Fault::Unknown,
        };
        Error::tool(name, "run", fault, error.to_string())
    };
    let mut child = command.spawn().map_err(failed)?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut attached = Attached(pid);
    let ended = match limit {
        None => Some(child.wait().await),
        Some(limit) => tokio::time::timeout(limit, child.wait()).await.ok(),
    };
    let Some(status) = ended else {
        attached.end();
        if tokio::time::timeout(grace, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
        attached.0 = None;
        let limit = kit::go_duration::format(limit.unwrap_or_default());
        let message = format!("it did not end within {limit}");
        return Err(Error::tool(name, "run", Fault::Timeout, message).advise("give it more time with --timeout"));
    };
    attached.0 = None;
    status.map_err(failed)
}
