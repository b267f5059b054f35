//! The file a kubeconfig is kept in.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use kit::Clock;

use super::lock::{Lock, LockError};
use super::{Kubeconfig, ParseError, layout};

/// Why a kubeconfig file was not read or changed. It is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can not be read.
    #[error("reading {} failed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not a kubeconfig.
    #[error("{} is not a kubeconfig", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ParseError,
    },
    /// It can not be written.
    #[error("writing {} failed", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is locked.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Reads a kubeconfig file. One that does not exist is empty.
pub fn load(path: &Path) -> Result<Kubeconfig, FileError> {
    parse(path, &read(path)?)
}

fn read(path: &Path) -> Result<String, FileError> {
    match std::fs::read_to_string(path) {
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(String::new()),
        outcome => outcome.map_err(|source| FileError::Read {
            path: path.to_path_buf(),
            source,
        }),
    }
}

fn parse(path: &Path, text: &str) -> Result<Kubeconfig, FileError> {
    Kubeconfig::parse(text).map_err(|source| FileError::Parse {
        path: path.to_path_buf(),
        source,
    })
}

/// Changes a kubeconfig file under client-go's lock, in one step, leaving it readable by its owner only. The file and its
/// directory are made when they are missing; a file that `change` leaves as it is, is not touched.
pub async fn edit<T>(path: &Path, clock: &Clock, change: impl FnOnce(&mut Kubeconfig) -> T) -> Result<T, FileError> {
    let write = |source| FileError::Write {
        path: path.to_path_buf(),
        source,
    };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        kit::fs::create_private_dir(dir).map_err(write)?;
    }
    let _lock = Lock::take(path, clock).await?;
    let text = read(path)?;
    let before = parse(path, &text)?;
    let mut after = before.clone();
    let result = change(&mut after);
    if after != before || !path.exists() {
        // Comments and layout stay where that is possible.
        let text = layout::patch(&text, &before, &after).unwrap_or_else(|| after.to_yaml());
        kit::fs::write_private(path, text.as_bytes()).map_err(write)?;
    }
    Ok(result)
}

/// The file that commands change when none is named: of the list in `KUBECONFIG` the first that exists, else the last;
/// without a list `.kube/config` in the home directory. Mirrors `PathOptions.GetDefaultFilename` of client-go.
pub fn default_file(kubeconfig: Option<&OsStr>, home: Option<&Path>) -> Option<PathBuf> {
    let listed: Vec<PathBuf> = kubeconfig
        .map(|list| {
            std::env::split_paths(list)
                .filter(|path| !path.as_os_str().is_empty())
                .collect()
        })
        .unwrap_or_default();
    match listed.iter().find(|path| path.exists()).or(listed.last()) {
        Some(path) => Some(path.clone()),
        None => home.map(|home| home.join(".kube/config")),
    }
}
