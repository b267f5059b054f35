//! The lock that client-go takes on a kubeconfig: a file beside it, there while the lock is held.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::{Backoff, Clock};

/// How long to wait for another program, as client-go does.
const PATIENCE: Duration = Duration::from_secs(10);

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
    /// other's way. Waits up to 10 s for whoever holds it.
    ///
    /// Differs from upstream: a lock that says it is ours and whose process is gone is removed. Another program's never is:
    /// its lock does not say whether it still runs. Among programs of this project a `flock` on the lock file makes sure that
    /// only one removes it, and that it is still the old one.
    pub(super) async fn take(file: &Path, clock: &Clock) -> Result<Self, LockError> {
        let mut path = file.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let begun = clock.now();
        let mut waits = Backoff::new(Duration::from_millis(10), Duration::from_millis(500)).jitter(0.2);
        loop {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let source = match made {
                Ok(mut file) => {
                    // Tells later programs of this project that it is ours, and of which process.
                    let _ = file.write_all(owner(std::process::id()).as_bytes());
                    return Ok(Self { path });
                }
                Err(source) => source,
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

/// What a lock of ours says: the process, and in which boot of which machine's processes its ID counts. Empty where the
/// system does not tell; such a lock is never removed.
fn owner(pid: u32) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let space = std::fs::read_link("/proc/self/ns/pid");
    match (boot, space) {
        (Ok(boot), Ok(space)) => format!("roadstead {pid} {} {}", boot.trim(), space.display()),
        _ => String::new(),
    }
}

/// Whether a lock is one of ours whose process is gone. Locks of other programs are empty.
fn owner_died(lock: &File) -> bool {
    let mut text = String::new();
    if lock.take(256).read_to_string(&mut text).is_err() {
        return false;
    }
    let pid = text.split(' ').nth(1).and_then(|pid| pid.parse().ok());
    pid.is_some_and(|pid: u32| text == owner(pid) && !Path::new("/proc").join(pid.to_string()).exists())
}

/// Removes the lock if it was left behind. Returns whether it did.
fn remove_stale(path: &Path) -> io::Result<bool> {
    let held = File::open(path)?;
    let seen = held.metadata()?;
    if !owner_died(&held) || held.try_lock().is_err() {
        return Ok(false);
    }
    if std::fs::metadata(path)?.ino() != seen.ino() {
        return Ok(false);
    }
    std::fs::remove_file(path)?;
    Ok(true)
}
