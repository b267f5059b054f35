//! One change to a cluster at a time, across processes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::Backoff;
use tokio::time::Instant;

use crate::error::Error;

/// Held while a cluster is changed. The operating system releases it when its holder dies, however that happens, so a
/// left-over file with the number of a dead process means nothing.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting has the file open until it becomes another
        // program.
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> Result<File, Error> {
    let dir = path.parent().unwrap_or(Path::new("."));
    kit::fs::create_private_dir(dir).map_err(Error::files("create", dir))?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Error::files("open the lock", path))
}

impl Lock {
    /// Waits for it, at most `longest`. `waiting` is called once, with the holder's process ID, when it is not free.
    ///
    /// # Errors
    /// [`Error::Locked`] when it was not free in time, [`Error::Files`] when it cannot be made.
    pub async fn acquire(
        path: PathBuf,
        cluster: &str,
        longest: Duration,
        waiting: impl FnOnce(&str) + Send,
    ) -> Result<Self, Error> {
        let begun = Instant::now();
        let mut waiting = Some(waiting);
        let mut waits = Backoff::new(Duration::from_millis(10), Duration::from_millis(250))
            .factor(1.5)
            .jitter(0.3);
        let mut file = open(&path)?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(Error::files("lock", path)(error)),
            }
            let holder = holder(&mut file);
            if let Some(waiting) = waiting.take() {
                waiting(&holder);
            }
            if begun.elapsed() >= longest {
                return Err(Error::Locked {
                    cluster: cluster.to_owned(),
                    holder,
                    advice: "wait for it, or give more time with --timeout".to_owned(),
                });
            }
            tokio::time::sleep(waits.next().unwrap_or(longest)).await;
        }
        // Who holds it is told to people only; nothing depends on it.
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = write!(file, "{}", std::process::id());
        Ok(Self { file })
    }

    /// Whether somebody holds it now. Looking never makes anybody fail, at most wait a moment.
    pub fn is_held(path: &Path) -> bool {
        let Ok(file) = File::open(path) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.rewind();
    let _ = file.take(32).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "a process whose ID is not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_left_over_file_of_a_dead_process_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        std::fs::write(&path, "999999999").unwrap();
        assert!(!Lock::is_held(&path));
        let lock = Lock::acquire(path.clone(), "x", Duration::ZERO, |_| {}).await.unwrap();
        assert!(Lock::is_held(&path));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(lock);
        assert!(!Lock::is_held(&path));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_holders_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let _held = Lock::acquire(path.clone(), "x", Duration::ZERO, |_| {}).await.unwrap();
        let error = Lock::acquire(path, "the k3d cluster x", Duration::from_mins(1), |_| {})
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&std::process::id().to_string()) && text.contains("k3d cluster x"),
            "{text}"
        );
    }
}
