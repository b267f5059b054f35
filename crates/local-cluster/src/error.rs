//! What can go wrong, and what to do about it.

use std::path::PathBuf;

use kit::Class;

use crate::settings::Difference;

/// The texts the contract fixes: the message of each of these errors begins with exactly this.
pub mod texts {
    /// The operation needs a running cluster.
    pub const CLUSTER_NOT_RUNNING: &str = "cluster is not running";
    /// A running cluster was to be started by something that cannot treat this as done.
    pub const CLUSTER_ALREADY_RUNNING: &str = "cluster is already running";
    /// The cluster that is there differs from the one that was asked for.
    pub const CONFIG_MISMATCH: &str = "cluster configuration mismatch";
    /// No driver is registered under that name.
    pub const DRIVER_NOT_FOUND: &str = "cluster driver not found";
    /// The cluster runs but does not take work.
    pub const CLUSTER_NOT_READY: &str = "cluster is not ready";
    /// The configuration has no section for the driver.
    pub const MISSING_DRIVER_CONFIG: &str = "driver configuration is missing";
}

/// Why a tool failed, decided once from its exit status and output where they enter the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The program is not on this machine.
    BackendMissing,
    /// The program is older than what we need of it.
    BackendTooOld,
    /// The container engine does not answer.
    DaemonDown,
    /// The operating system refused.
    PermissionDenied,
    /// A port is taken.
    PortInUse,
    /// A cluster of that name exists.
    AlreadyExists,
    /// There is no such cluster.
    NotFound,
    /// The cluster does not run.
    NotRunning,
    /// An image or another download failed.
    Network,
    /// Disk, memory, processors or addresses ran out.
    OutOfResources,
    /// It took longer than it may.
    Timeout,
    /// The cluster is in a state its own tool cannot read or leave.
    Broken,
    /// Creation failed and left nothing behind.
    RolledBack,
    /// Creation failed and left things behind.
    RollbackFailed,
    /// Somebody else holds the lock of the kubeconfig.
    KubeconfigLocked,
    /// This machine cannot do that.
    Unsupported,
    /// The tool answered with something we cannot read.
    BadOutput,
    /// Anything else.
    Unknown,
}

/// What a failure is about; the six kinds of the contract first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`texts::CLUSTER_NOT_RUNNING`].
    ClusterNotRunning,
    /// See [`texts::CLUSTER_ALREADY_RUNNING`].
    ClusterAlreadyRunning,
    /// See [`texts::CONFIG_MISMATCH`].
    ConfigMismatch,
    /// See [`texts::DRIVER_NOT_FOUND`].
    DriverNotFound,
    /// See [`texts::CLUSTER_NOT_READY`].
    ClusterNotReady,
    /// See [`texts::MISSING_DRIVER_CONFIG`].
    MissingDriverConfig,
    /// A driver of that name is registered already.
    DuplicateDriver,
    /// A name or a configuration value makes no sense.
    Invalid,
    /// An interrupted creation or removal left part of a cluster.
    Partial,
    /// Something is still there after it was removed.
    LeftOver,
    /// Another process works on this cluster and did not finish in time.
    Locked,
    /// A tool failed.
    Tool(Fault),
    /// A kubeconfig could not be read or written.
    Kubeconfig,
    /// Another program holds the lock of a kubeconfig.
    KubeconfigLocked,
    /// A file of ours could not be read or written.
    Files,
}

/// Everything that can fail here. The message of the contract's six begins with the fixed text; details follow `: `.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operation needs a running cluster; the text names it.
    #[error("{text}: {0}", text = texts::CLUSTER_NOT_RUNNING)]
    ClusterNotRunning(String),
    /// A running cluster was to be started by something that cannot treat this as done.
    #[error("{text}: {0}", text = texts::CLUSTER_ALREADY_RUNNING)]
    ClusterAlreadyRunning(String),
    /// The cluster that is there differs from the one that was asked for.
    #[error("{text}: {all}", text = texts::CONFIG_MISMATCH, all = list(.0))]
    ConfigMismatch(Vec<Difference>),
    /// No driver is registered under that name.
    #[error("{}: {name:?} (there are: {})", texts::DRIVER_NOT_FOUND, if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    DriverNotFound {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The cluster runs but does not take work.
    #[error("{}: {reason}", texts::CLUSTER_NOT_READY)]
    ClusterNotReady {
        /// What it is waiting for.
        reason: String,
        /// What to do about it.
        advice: String,
    },
    /// The configuration has no section for the driver.
    #[error("{text}: there is no {0:?} section", text = texts::MISSING_DRIVER_CONFIG)]
    MissingDriverConfig(&'static str),
    /// A driver of that name is registered already.
    #[error("cluster driver {0:?} is registered already")]
    DuplicateDriver(String),
    /// A profile name no driver, or not this one, can use.
    #[error("{profile:?} is not a usable profile name: {reason}")]
    InvalidProfile {
        /// The name.
        profile: String,
        /// The rule it breaks.
        reason: String,
    },
    /// A configuration value makes no sense.
    #[error("configuration: {field}: {reason}")]
    InvalidConfig {
        /// Where it stands.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An interrupted creation or removal left part of a cluster.
    #[error("the {what} of {cluster} was interrupted and left it incomplete: {found}")]
    Partial {
        /// `creation` or `removal`.
        what: &'static str,
        /// The cluster.
        cluster: String,
        /// What is there.
        found: String,
    },
    /// Something is still there after it was removed, or still runs after it was stopped.
    #[error("{tool} reports that it is done, but {left}")]
    LeftOver {
        /// The tool that was asked.
        tool: String,
        /// What is left.
        left: String,
    },
    /// Another process works on this cluster and did not finish in time.
    #[error("{cluster} is being worked on by {holder}, which did not finish in time")]
    Locked {
        /// The cluster.
        cluster: String,
        /// Who it is.
        holder: String,
        /// What to do about it.
        advice: String,
    },
    /// A tool failed.
    #[error("{}{message}", if verb.is_empty() { String::new() } else { format!("{tool} {verb}: ") })]
    Tool {
        /// The program.
        tool: String,
        /// What it was asked to do; empty when it was not even found.
        verb: String,
        /// Why it failed.
        fault: Fault,
        /// What it said, without secrets.
        message: String,
        /// What to do about it.
        advice: Option<String>,
    },
    /// A kubeconfig could not be read or written.
    #[error("kubeconfig: {message}")]
    Kubeconfig {
        /// What failed.
        message: String,
        /// How it is to be treated.
        class: Class,
        /// What to do about it.
        advice: Option<String>,
    },
    /// Another program holds the lock of a kubeconfig and does not let go of it.
    #[error("kubeconfig: {message}")]
    KubeconfigLocked {
        /// Which file, and since when.
        message: String,
        /// What to do about it.
        advice: String,
    },
    /// A file of ours could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Files {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// What was interrupted, in [`Error::Partial`].
pub(crate) const CREATION: &str = "creation";
/// What was interrupted, in [`Error::Partial`].
pub(crate) const REMOVAL: &str = "removal";

fn list(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

impl Error {
    /// What the failure is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ClusterNotRunning(_) => Kind::ClusterNotRunning,
            Self::ClusterAlreadyRunning(_) => Kind::ClusterAlreadyRunning,
            Self::ConfigMismatch(_) => Kind::ConfigMismatch,
            Self::DriverNotFound { .. } => Kind::DriverNotFound,
            Self::ClusterNotReady { .. } => Kind::ClusterNotReady,
            Self::MissingDriverConfig(_) => Kind::MissingDriverConfig,
            Self::DuplicateDriver(_) => Kind::DuplicateDriver,
            Self::InvalidProfile { .. } | Self::InvalidConfig { .. } => Kind::Invalid,
            Self::Partial { .. } => Kind::Partial,
            Self::LeftOver { .. } => Kind::LeftOver,
            Self::Locked { .. } => Kind::Locked,
            Self::Tool { fault, .. } => Kind::Tool(*fault),
            Self::Kubeconfig { .. } => Kind::Kubeconfig,
            Self::KubeconfigLocked { .. } => Kind::KubeconfigLocked,
            Self::Files { .. } => Kind::Files,
        }
    }

    /// Finds one of our errors in a chain of causes and says what it is about, the way Go's `errors.Is` is used with the
    /// original's sentinel errors.
    pub fn kind_of(error: &(dyn std::error::Error + 'static)) -> Option<Kind> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(ours) = error.downcast_ref::<Self>() {
                return Some(ours.kind());
            }
            next = error.source();
        }
        None
    }

    /// The fault of the tool, when it was one.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Tool { fault, .. } => Some(*fault),
            _ => None,
        }
    }

    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::ClusterNotRunning(_)
            | Self::ClusterAlreadyRunning(_)
            | Self::ConfigMismatch(_)
            | Self::Partial { .. }
            | Self::DuplicateDriver(_) => Class::Conflict,
            Self::DriverNotFound { .. } => Class::NotFound,
            Self::MissingDriverConfig(_) | Self::InvalidProfile { .. } | Self::InvalidConfig { .. } => Class::Invalid,
            Self::ClusterNotReady { .. } | Self::Locked { .. } | Self::KubeconfigLocked { .. } => Class::Transient,
            Self::LeftOver { .. } | Self::Files { .. } => Class::Permanent,
            Self::Kubeconfig { class, .. } => *class,
            Self::Tool { fault, .. } => match fault {
                Fault::DaemonDown | Fault::Network | Fault::Timeout | Fault::KubeconfigLocked => Class::Transient,
                Fault::AlreadyExists | Fault::PortInUse | Fault::NotRunning => Class::Conflict,
                Fault::NotFound => Class::NotFound,
                Fault::PermissionDenied => Class::Unauthorized,
                _ => Class::Permanent,
            },
        }
    }

    /// Whether it failed because time ran out.
    pub fn timed_out(&self) -> bool {
        let waited = matches!(
            self,
            Self::ClusterNotReady { .. } | Self::Locked { .. } | Self::KubeconfigLocked { .. }
        );
        waited || self.fault() == Some(Fault::Timeout)
    }

    /// What to do about it, when we know.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Tool { advice, .. } | Self::Kubeconfig { advice, .. } => advice.clone(),
            Self::ClusterNotReady { advice, .. }
            | Self::Locked { advice, .. }
            | Self::KubeconfigLocked { advice, .. } => Some(advice.clone()),
            Self::ConfigMismatch(differences) => Some(if differences.iter().all(Difference::applies_on_restart) {
                "restart the cluster to apply it, or ask for what is running".to_owned()
            } else {
                "ask for what is there, or destroy and start again (start --recreate; this removes the cluster's data)"
                    .to_owned()
            }),
            Self::ClusterNotRunning(_) => Some("start it first".to_owned()),
            Self::MissingDriverConfig(section) => Some(format!(
                "add {section}: to the file, if only as {section}: {{}}, or choose another driver"
            )),
            Self::Partial { what, .. } => Some(match *what {
                REMOVAL => "destroy removes what is left; start --recreate does, and begins again".to_owned(),
                _ => "nothing was deleted; start --recreate removes what is left and begins again".to_owned(),
            }),
            Self::LeftOver { .. } => Some("look at the tool's own output, then try again".to_owned()),
            _ => None,
        }
    }

    pub(crate) fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidConfig {
            field: field.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn tool(tool: &str, verb: &str, fault: Fault, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Tool {
            tool: tool.to_owned(),
            verb: verb.to_owned(),
            fault,
            message,
            advice: fault.advice(tool),
        }
    }

    /// Replaces the advice of a failure that has its own by better one.
    #[must_use]
    pub(crate) fn advise(mut self, better: impl Into<String>) -> Self {
        match &mut self {
            Self::Tool { advice, .. } | Self::Kubeconfig { advice, .. } => *advice = Some(better.into()),
            Self::KubeconfigLocked { advice, .. } | Self::Locked { advice, .. } => *advice = better.into(),
            _ => {}
        }
        self
    }

    pub(crate) fn files(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files { action, path, source }
    }
}

impl Fault {
    /// What to do about it.
    fn advice(self, tool: &str) -> Option<String> {
        Some(match self {
            Self::DaemonDown => "start the container engine (docker info tells when it answers), then try again; the \
                                 driver sim needs none"
                .to_owned(),
            Self::BackendTooOld => format!("update {tool}"),
            Self::PermissionDenied => {
                "check that this user may use the container engine and the files named".to_owned()
            }
            Self::PortInUse => "choose another port in the configuration, or stop whatever holds it".to_owned(),
            Self::Network => "check the network and the registry, then try again".to_owned(),
            Self::OutOfResources => "free disk space or memory, or ask for less".to_owned(),
            Self::Timeout => "look at the state with status; give more time with --timeout".to_owned(),
            Self::RollbackFailed => "destroy the cluster to remove what is left".to_owned(),
            _ => return None,
        })
    }
}
