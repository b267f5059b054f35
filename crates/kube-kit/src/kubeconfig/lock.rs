//! The lock that client-go takes on a kubeconfig: a file beside it, there while the lock is held.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kit::{Backoff, Clock};

/// How long to wait for another program.
const PATIENCE: Duration = Duration::from_secs(15);
/// A lock this old was left behind: whoever takes it only rewrites a small file.
const STALE: Duration = Duration::from_mins(5);

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program has it.
    #[error(
        "{} is locked by another program; if none is running, delete {}", file.display(), lock.display()
    )]
    Held {
        /// The file to be locked.
        file: PathBuf,
        /// The lock.
        lock: PathBuf,
    },
    /// The lock can not be made.
    #[error("locking {} failed", file.display())]
    Create {
        /// The file to be locked.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
}

impl Lock {
    /// Locks `file` the way client-go does (`FILE.lock`, created exclusively), so that `kubectl` and we keep out of each
    /// other's way. Waits up to 15 s for whoever holds it.
    ///
    /// Differs from upstream: a lock that is older than five minutes was left behind by a program that crashed, and is
    /// removed. Among programs of this project a `flock` on the lock file makes sure that only one removes it, and that
    /// it is still the old one.
    pub(super) async fn take(file: &Path, clock: &Clock) -> Result<Self, LockError> {
        let mut path = file.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let begun = clock.now();
        let mut waits = Backoff::new(Duration::from_millis(10), Duration::from_millis(500)).jitter(0.2);
        loop {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let Err(source) = made else {
                return Ok(Self { path });
            };
            if source.kind() != ErrorKind::AlreadyExists {
                let file = file.to_path_buf();
                return Err(LockError::Create { file, source });
            }
            if remove_stale(&path).unwrap_or(false) {
                continue;
            }
            if clock.since(begun) >= PATIENCE {
                let file = file.to_path_buf();
                return Err(LockError::Held { file, lock: path });
            }
            clock.sleep(waits.next().unwrap_or(PATIENCE)).await;
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes the lock if it was left behind. Returns whether it did.
fn remove_stale(path: &Path) -> io::Result<bool> {
    let held = File::open(path)?;
    let seen = held.metadata()?;
    // File times come from the machine's clock, not from a simulated one.
    let age = SystemTime::now().duration_since(seen.modified()?).unwrap_or_default();
    if age < STALE || held.try_lock().is_err() {
        return Ok(false);
    }
    if std::fs::metadata(path)?.ino() != seen.ino() {
        return Ok(false);
    }
    std::fs::remove_file(path)?;
    Ok(true)
}
