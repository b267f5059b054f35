//! The machine as drivers see it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Fault};
use crate::event::Events;

/// The operating systems that make a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Os {
    /// macOS.
    MacOs,
    /// Linux.
    Linux,
    /// Windows.
    Windows,
    /// Any other, by name.
    Other(String),
}

impl Os {
    /// The one this program runs on.
    pub fn current() -> Self {
        match std::env::consts::OS {
            "macos" => Self::MacOs,
            "linux" => Self::Linux,
            "windows" => Self::Windows,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Starting; the driver's own when `None`.
    pub start: Option<Duration>,
    /// Stopping; the driver's own when `None`.
    pub stop: Option<Duration>,
    /// Destroying; the driver's own when `None`.
    pub destroy: Option<Duration>,
    /// One look with the driver's tool while starting, stopping or destroying.
    pub look: Duration,
    /// All of `status`.
    pub status: Duration,
    /// What `status` spends on the API server beyond the tool's own time.
    pub probe: Duration,
    /// A program run by `exec`; as long as it likes when `None`.
    pub exec: Option<Duration>,
    /// Between asking a process to terminate and killing it.
    pub grace: Duration,
}

impl Limits {
    /// The same with this long for each change.
    #[must_use]
    pub fn changes_within(self, limit: Duration) -> Self {
        Self {
            start: Some(limit),
            stop: Some(limit),
            destroy: Some(limit),
            look: self.look.min(limit),
            ..self
        }
    }

    /// The same with this long for each question, be it more or less than usual.
    #[must_use]
    pub fn questions_within(self, limit: Duration) -> Self {
        Self {
            look: limit,
            status: limit,
            probe: limit / 5,
            exec: Some(limit),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: None,
            stop: None,
            destroy: None,
            look: Duration::from_secs(20),
            status: Duration::from_millis(4_800),
            probe: Duration::from_millis(900),
            exec: None,
            grace: Duration::from_secs(10),
        }
    }
}

/// What happens to the user's kubeconfig. Each cluster's own file under the data directory is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Entries are added; the current context is set when there is none.
    Add,
    /// Entries are added and the context becomes the current one.
    Switch,
    /// It is left alone.
    Never,
}

/// The machine as drivers see it: a value, so that nothing reads global state and tests need not share any.
#[derive(Clone, Debug)]
pub struct Host {
    /// The environment, which tools inherit after it was scrubbed for them.
    pub env: BTreeMap<OsString, OsString>,
    /// The operating system.
    pub os: Os,
    /// The user's home.
    pub home: PathBuf,
    /// Where our records, locks, kubeconfigs and the data of `process` and `sim` clusters are.
    pub data: PathBuf,
    /// How long things may take.
    pub limits: Limits,
    /// Where progress is told.
    pub events: Events,
    /// Commands that change something are told as events instead of being run.
    pub dry_run: bool,
    /// Whether starting waits until the cluster takes work. Otherwise it returns once there is a kubeconfig.
    pub wait: bool,
    /// What happens to the user's kubeconfig.
    pub merge: Merge,
    /// The command that runs a simulated API server; flags are added to it. Without one there is no `sim` driver.
    pub simulator: Option<Vec<OsString>>,
    /// Where the `process` driver looks for binaries first.
    pub bin_dir: Option<PathBuf>,
}

impl Host {
    /// This machine, as this process sees it.
    pub fn current() -> Self {
        Self::new(std::env::vars_os().collect(), Os::current())
    }

    /// A machine with this environment. The data directory is `ROADSTEAD_DATA_DIR`, else `roadstead` below
    /// `XDG_DATA_HOME`, else below `~/.local/share`.
    pub fn new(env: BTreeMap<OsString, OsString>, os: Os) -> Self {
        let path = |name: &str| {
            env.get(OsStr::new(name))
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = path("HOME").unwrap_or_else(|| PathBuf::from("/"));
        let data = path("ROADSTEAD_DATA_DIR").unwrap_or_else(|| {
            path("XDG_DATA_HOME")
                .unwrap_or_else(|| home.join(".local/share"))
                .join("roadstead")
        });
        Self {
            env,
            os,
            home,
            data: absolute(&data),
            limits: Limits::default(),
            events: Events::default(),
            dry_run: false,
            wait: true,
            merge: Merge::Add,
            simulator: None,
            bin_dir: None,
        }
    }

    /// A variable's value, when it is set to something.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.env
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// The program of that name on `PATH`.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(self.var("PATH")?)
            .map(|dir| dir.join(program))
            .find(|path| is_program(path))
    }

    /// The program of that name on `PATH`, or a failure that tells how to get it.
    pub(crate) fn need(&self, program: &str, advice: &str) -> Result<PathBuf, Error> {
        self.find(program).ok_or_else(|| {
            Error::tool(program, "", Fault::BackendMissing, format!("{program} is not on PATH")).advise(advice)
        })
    }

    pub(crate) fn clusters_dir(&self) -> PathBuf {
        self.data.join("clusters")
    }

    /// The file with the kubeconfig of one cluster alone.
    pub fn own_kubeconfig(&self, context: &str) -> PathBuf {
        self.data.join("kubeconfigs").join(format!("{context}.yaml"))
    }

    /// A file that tools may scribble on: the kubeconfig of a context, and what else they want in a file.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.data.join("scratch").join(format!("{name}.yaml"))
    }

    /// Makes the directory of those files.
    pub(crate) fn prepare_scratch(&self) -> Result<(), Error> {
        if self.dry_run {
            return Ok(());
        }
        let dir = self.data.join("scratch");
        kit::fs::create_private_dir(&dir).map_err(Error::files("create", dir))
    }
}

/// A path that means the same in every directory.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
