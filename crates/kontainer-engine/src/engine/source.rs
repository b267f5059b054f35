//! What an operation is told: which driver, how long to wait, who follows it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::driver::Driver;
use crate::observe::Observer;

/// Where a driver comes from.
#[derive(Clone)]
pub enum DriverSource {
    /// A program, started with a port as its only argument.
    Program(PathBuf),
    /// A driver of this program, served in it over a real socket.
    BuiltIn(Arc<dyn Driver>),
}

impl DriverSource {
    /// The driver's name: for a program what follows `kontainer-engine-driver-` in its file name, up to the first dash,
    /// underscore or dot, as Rancher cuts it; without that prefix the whole file name.
    pub fn name(&self) -> String {
        match self {
            Self::BuiltIn(driver) => driver.name().to_owned(),
            Self::Program(path) => {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                match file.strip_prefix("kontainer-engine-driver-") {
                    Some(rest) => rest.split(['-', '_', '.']).next().unwrap_or_default().to_owned(),
                    None => file,
                }
            }
        }
    }

    /// Where the program is, wherever it is started from.
    pub(super) fn place(&self) -> Option<PathBuf> {
        match self {
            Self::Program(path) => Some(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            Self::BuiltIn(_) => None,
        }
    }
}

impl fmt::Debug for DriverSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(path) => f.debug_tuple("Program").field(path).finish(),
            Self::BuiltIn(driver) => f.debug_tuple("BuiltIn").field(&driver.name()).finish(),
        }
    }
}

/// Who follows an operation, and who may end it.
#[derive(Clone)]
pub struct Watch {
    pub(super) observer: Arc<dyn Observer>,
    pub(super) cancel: CancellationToken,
}

impl Watch {
    /// Tells `observer`, ends with `cancel`. A cancelled operation gives its driver time to say what it has done so far,
    /// and stores that.
    pub fn new(observer: Arc<dyn Observer>, cancel: CancellationToken) -> Self {
        Self { observer, cancel }
    }

    /// Nobody follows, nobody ends it.
    pub fn nobody() -> Self {
        Self::new(
            Arc::new(|_: Duration, _: &crate::observe::Event| {}),
            CancellationToken::new(),
        )
    }
}

/// How long an engine waits for its drivers.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the first answer. Rancher gives about 96 s.
    pub start: Duration,
    /// After SIGTERM, before SIGKILL.
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(100),
            stop: Duration::from_secs(10),
        }
    }
}

/// Whether a record is removed even when the driver can not remove the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// No: the record stays, so that the removal can be tried again.
    No,
    /// Yes: what is left at the provider is left there.
    Yes,
}
