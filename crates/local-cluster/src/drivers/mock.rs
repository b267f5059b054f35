//! A cluster that is only remembered: for the tests of programs and scripts that use this one.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::ClusterConfig;
use crate::error::Error;
use crate::host::Host;
use crate::lock::Lock;
use crate::manager::Manager;
use crate::profile;
use crate::settings::{Applies, Difference, Setting, Settings, differences};
use crate::status::{Found, State, Status};

const LIMITS: &str = "this is no cluster: what was asked for is remembered, and nothing runs; sim is a cluster without \
                      containers";

/// The mock of one profile. Clones share one cluster; those of [`Mock::kept`] share it with other processes.
#[derive(Clone, Debug)]
pub struct Mock {
    profile: String,
    memory: Memory,
}

#[derive(Clone, Debug)]
enum Memory {
    Own(Arc<Mutex<Cluster>>),
    File { host: Arc<Host>, path: PathBuf },
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Cluster {
    config: Option<ClusterConfig>,
    running: bool,
    script: VecDeque<State>,
}

impl Mock {
    /// A mock without a cluster, known to its clones only.
    ///
    /// # Errors
    /// [`Error::InvalidProfile`].
    pub fn new(profile: &str) -> Result<Self, Error> {
        profile::check(profile)?;
        Ok(Self {
            profile: profile.to_owned(),
            memory: Memory::Own(Arc::default()),
        })
    }

    /// The mock of this profile on a machine, kept in a file below its data directory.
    ///
    /// # Errors
    /// [`Error::InvalidProfile`].
    pub fn kept(host: &Arc<Host>, profile: &str) -> Result<Self, Error> {
        profile::check(profile)?;
        let path = host.data.join("mock").join(format!("{profile}.json"));
        Ok(Self {
            profile: profile.to_owned(),
            memory: Memory::File {
                host: Arc::clone(host),
                path,
            },
        })
    }

    /// The states that `status` tells next while the cluster runs, one a call; then it is ready.
    ///
    /// # Errors
    /// That its file cannot be written.
    pub async fn script(&self, states: impl IntoIterator<Item = State> + Send) -> Result<(), Error> {
        let states = states.into_iter().collect();
        self.change(|cluster| cluster.script = states).await
    }

    async fn change<T>(&self, change: impl FnOnce(&mut Cluster) -> T + Send) -> Result<T, Error> {
        match &self.memory {
            Memory::Own(cluster) => Ok(change(&mut cluster.lock().unwrap_or_else(PoisonError::into_inner))),
            Memory::File { host, path } => {
                let lock = path.with_extension("lock");
                let _lock = Lock::acquire(lock, &self.context(), host.limits.look, |_| {}).await?;
                let mut cluster = load(path);
                let before = serde_json::to_vec(&cluster).unwrap_or_default();
                let done = change(&mut cluster);
                let after = serde_json::to_vec(&cluster).unwrap_or_default();
                if after == before || host.dry_run {
                    return Ok(done);
                }
                if cluster.config.is_none() {
                    // Nothing to remember is no file.
                    let _ = std::fs::remove_file(path);
                } else {
                    kit::fs::write_private(path, &after).map_err(Error::files("write", path))?;
                }
                Ok(done)
            }
        }
    }
}

fn load(path: &Path) -> Cluster {
    let kept = std::fs::read(path).ok();
    kept.and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// Each field that was given, by its path.
fn settings(config: &ClusterConfig) -> Settings {
    fn collect(path: &str, value: &Value, settings: &mut Settings) {
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                for (name, value) in fields {
                    let below = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    collect(&below, value, settings);
                }
            }
            Value::String(text) => drop(settings.insert(path.to_owned(), Setting::plain(text))),
            other => drop(settings.insert(path.to_owned(), Setting::plain(other))),
        }
    }
    let mut settings = Settings::new();
    collect("", &serde_json::to_value(config).unwrap_or_default(), &mut settings);
    settings
}

/// Each field that differs. One that only one of the two has, differs from nothing.
fn compare(have: &ClusterConfig, want: &ClusterConfig) -> Vec<Difference> {
    let (mut have, mut want) = (settings(have), settings(want));
    for field in have.keys().chain(want.keys()).cloned().collect::<Vec<_>>() {
        have.entry(field.clone()).or_insert_with(|| Setting::plain("nothing"));
        want.entry(field).or_insert_with(|| Setting::plain("nothing"));
    }
    differences(&want, &have, &Settings::new(), |_, _, _| Applies::Restart)
}

#[async_trait]
impl Manager for Mock {
    fn driver(&self) -> &'static str {
        "mock"
    }

    fn context(&self) -> String {
        format!("mock-{}", self.profile)
    }

    fn limits(&self) -> Option<&'static str> {
        Some(LIMITS)
    }

    async fn start(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.change(|cluster| {
            if let Some(have) = cluster.config.as_ref().filter(|_| cluster.running) {
                let differences = compare(have, config);
                if !differences.is_empty() {
                    return Err(Error::ConfigMismatch(differences));
                }
            }
            cluster.config = Some(config.clone());
            cluster.running = true;
            Ok(())
        })
        .await?
    }

    async fn stop(&self) -> Result<(), Error> {
        self.change(|cluster| cluster.running = false).await
    }

    async fn destroy(&self) -> Result<(), Error> {
        self.change(|cluster| *cluster = Cluster::default()).await?;
        if let Memory::File { host, .. } = &self.memory
            && !host.dry_run
        {
            let _ = std::fs::remove_file(host.own_kubeconfig(&self.context()));
        }
        Ok(())
    }

    async fn status(&self) -> Result<Status, Error> {
        let kube_context = self.context();
        self.change(|cluster| {
            let (state, version) = if cluster.running {
                (cluster.script.pop_front().unwrap_or(State::Ready), "v0.0.0-mock")
            } else {
                (State::Stopped, "")
            };
            Status {
                state,
                driver: "mock".to_owned(),
                kubernetes_version: version.to_owned(),
                ip_address: String::new(),
                kube_context,
                exists: cluster.config.is_some(),
                reason: String::new(),
            }
        })
        .await
    }

    async fn exec(&self, _command: &[OsString]) -> Result<ExitStatus, Error> {
        if self.change(|cluster| cluster.running).await? {
            Ok(ExitStatus::from_raw(0))
        } else {
            Err(Error::ClusterNotRunning(self.context()))
        }
    }

    async fn kubeconfig(&self) -> Result<String, Error> {
        if !self.change(|cluster| cluster.running).await? {
            return Err(Error::ClusterNotRunning(self.context()));
        }
        Ok(kube_kit::kubeconfig::Kubeconfig::default().to_yaml())
    }

    async fn list(&self) -> Result<Vec<Found>, Error> {
        match &self.memory {
            Memory::Own(_) => {
                let there = self
                    .change(|cluster| cluster.config.is_some().then_some(cluster.running))
                    .await?;
                let profile = self.profile.clone();
                Ok(there.map(|running| Found { profile, running }).into_iter().collect())
            }
            Memory::File { path, .. } => {
                let entries = path.parent().and_then(|dir| std::fs::read_dir(dir).ok());
                let mut found: Vec<Found> = entries
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter_map(|entry| {
                        let file = entry.path();
                        let profile = file.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
                        profile::check(&profile).ok()?;
                        let running = load(&file).running;
                        Some(Found { profile, running })
                    })
                    .collect();
                found.sort_by(|a, b| a.profile.cmp(&b.profile));
                Ok(found)
            }
        }
    }
}
