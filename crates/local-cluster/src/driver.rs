//! What a driver must answer; everything around it is [`crate::Lifecycle`]'s.

use std::time::Duration;

use async_trait::async_trait;

use crate::config::ClusterConfig;
use crate::error::Error;
use crate::needs::Needs;
use crate::settings::{Applies, Setting, Settings};
use crate::status::Found;

/// What one look at a cluster showed. Not being able to look is an error, never one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is no such cluster.
    Absent,
    /// It is there and does not run.
    Stopped,
    /// It is on its way up.
    Starting(String),
    /// It runs, but something is missing that resuming it brings.
    Incomplete(String),
    /// It runs, but cannot take work; resuming would not help.
    NotReady(String),
    /// Its own tool cannot use it as it is; resuming it tries a repair first.
    Broken(String),
    /// It runs. Whether it takes work, its API server tells.
    Running,
}

/// What one look at a cluster showed, in all.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Whether it is there and runs.
    pub phase: Phase,
    /// The settings that could be seen.
    pub settings: Settings,
    /// The number of nodes that should be ready; zero where there are none.
    pub nodes: usize,
    /// Its address; empty when there is none to tell.
    pub address: String,
    /// The version of Kubernetes, as far as the tool tells; empty when it does not.
    pub version: String,
    /// What it consists of (containers, machines, processes), for messages.
    pub parts: Vec<String>,
}

impl Sight {
    /// A sight of this phase, with one node and nothing else known.
    pub fn of(phase: Phase) -> Self {
        Self {
            phase,
            settings: Settings::new(),
            nodes: 1,
            address: String::new(),
            version: String::new(),
            parts: Vec::new(),
        }
    }

    /// Whether there is anything.
    pub fn exists(&self) -> bool {
        self.phase != Phase::Absent
    }
}

/// How long each kind of change may take with this driver when nobody says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Creating or starting, until ready.
    pub start: Duration,
    /// Stopping.
    pub stop: Duration,
    /// Destroying.
    pub destroy: Duration,
}

/// One cluster through one tool. Each method does one thing and trusts its caller to look before and after, to hold the
/// lock, and to know the deadline: `limit` is what is left of it.
#[async_trait]
pub trait Driver: Send + Sync {
    /// The driver's name.
    fn name(&self) -> &'static str;

    /// The profile, as the tool knows it. Two spellings of one cluster give one profile.
    fn profile(&self) -> &str;

    /// The names of its kubeconfig entries.
    fn names(&self) -> EntryNames;

    /// How long things may take.
    fn deadlines(&self) -> Deadlines;

    /// See [`crate::Manager::limits`].
    fn limits(&self) -> Option<&'static str> {
        None
    }

    /// Whether creating again completes a creation that was interrupted. Where it does not, what was left has to go first.
    fn resumes_creation(&self) -> bool {
        false
    }

    /// Checks the configuration without looking at anything, and returns what it asks for in comparable form.
    ///
    /// # Errors
    /// [`Error::MissingDriverConfig`] and [`Error::InvalidConfig`].
    fn wants(&self, config: &ClusterConfig) -> Result<Settings, Error>;

    /// What a new cluster has where the configuration is silent: kept in the record, to recognise a part of a cluster.
    fn creation_defaults(&self) -> Settings {
        Settings::new()
    }

    /// What has to be on the machine before the cluster is created.
    fn needs(&self, _config: &ClusterConfig) -> Needs {
        Needs::default()
    }

    /// Finds out whether creating could succeed, as far as [`Driver::needs`] does not tell. Changes nothing.
    async fn rehearse(&self, _config: &ClusterConfig) -> Result<(), Error> {
        Ok(())
    }

    /// When a changed setting takes effect.
    fn applies(&self, field: &str, have: &Setting, want: &Setting) -> Applies;

    /// Looks at the cluster. Changes nothing.
    async fn look(&self) -> Result<Sight, Error>;

    /// Adds to a sight what takes more calls to find out, for comparing or when the API server does not tell its version.
    /// What cannot be found out is left out, with a warning.
    async fn look_closer(&self, _sight: &mut Sight) {}

    /// Creates the cluster.
    async fn create(&self, config: &ClusterConfig, limit: Duration) -> Result<(), Error>;

    /// Makes an existing cluster run that is stopped, incomplete or broken, with what of the configuration can be changed
    /// then.
    async fn resume(&self, sight: &Sight, config: &ClusterConfig, limit: Duration) -> Result<(), Error>;

    /// Stops it, keeping its data.
    async fn halt(&self, sight: &Sight, limit: Duration) -> Result<(), Error>;

    /// Removes it with all its data.
    async fn remove(&self, sight: &Sight, limit: Duration) -> Result<(), Error>;

    /// What its tool gives out as kubeconfig. Names and addresses are put right by the caller.
    async fn kubeconfig(&self) -> Result<String, Error>;

    /// All clusters the tool knows.
    async fn all(&self) -> Result<Vec<Found>, Error>;
}

/// The names of a cluster's kubeconfig entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryNames {
    /// The context.
    pub context: String,
    /// The cluster.
    pub cluster: String,
    /// The user.
    pub user: String,
}

impl EntryNames {
    /// One name for all three.
    pub fn all(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            context: name.clone(),
            cluster: name.clone(),
            user: name,
        }
    }
}
