//! What each command does: an engine, the store of its clusters, and how the outcome is told.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use kit::Clock;
use kontainer_engine::{
    Cluster, DriverFlags, DriverOptions, DriverSource, Engine, EngineError, FileStore, Force, PersistentStore as _,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Follow, Which, open_store, options, show, typed};
use crate::console::{self, Format};
use crate::drivers;
use crate::failure::Failure;

/// An engine, its store, how results are written, and what may end it.
pub(super) struct Session {
    engine: Engine,
    store: Arc<FileStore>,
    output: Format,
    stop: CancellationToken,
}

/// What became of one cluster: a line for people, members for machines.
struct Told {
    line: String,
    members: Value,
}

impl Session {
    pub(super) fn new(dir: Option<PathBuf>, output: Format, stop: CancellationToken) -> Result<Self, Failure> {
        let store = Arc::new(open_store(dir)?);
        let engine = Engine::new(store.clone(), Clock::system());
        Ok(Self {
            engine,
            store,
            output,
            stop,
        })
    }

    pub(super) fn into_stop(self) -> CancellationToken {
        self.stop
    }

    pub(super) async fn create(&self, words: Vec<OsString>) -> Result<(), Failure> {
        let Some(driver) = self.driver_of(&words, "create").await? else {
            return typed::help_without_driver("create");
        };
        let follow = Follow::new("engine", &self.stop);
        let flags = self.engine.create_flags(&driver, &follow.quiet()).await?;
        let Some(typed) = typed::parse("create", &flags, words)? else {
            return Ok(());
        };
        self.finish(
            "running",
            &typed,
            follow,
            async |watch, options| self.engine.create(&driver, &typed.cluster, options, watch).await,
            typed.options.clone(),
        )
        .await
    }

    pub(super) async fn update(&self, words: Vec<OsString>) -> Result<(), Failure> {
        let given = typed::driver_word(&words).is_some();
        let Some(driver) = self.driver_of(&words, "update").await? else {
            return typed::help_without_driver("update");
        };
        let follow = Follow::new("engine", &self.stop);
        let flags = self.engine.update_flags(&driver, &follow.quiet()).await?;
        let Some(typed) = typed::parse("update", &flags, words)? else {
            return Ok(());
        };
        if given {
            self.moved(&driver, &typed.cluster).await?;
        }
        self.finish(
            "updated",
            &typed,
            follow,
            async |watch, options| self.engine.update(&driver, &typed.cluster, options, watch).await,
            typed.options.clone(),
        )
        .await
    }

    /// Runs a create or an update with its progress, and tells what became of it.
    async fn finish(
        &self,
        done: &str,
        typed: &typed::Parsed,
        follow: Follow,
        work: impl AsyncFnOnce(&kontainer_engine::Watch, DriverOptions) -> Result<Cluster, EngineError>,
        options: DriverOptions,
    ) -> Result<(), Failure> {
        let name = &typed.cluster;
        let follow = follow.titled(name);
        match work(&follow.watch(), options).await {
            Ok(cluster) => {
                follow.done();
                console::value(self.output, &cluster.redacted(), || {
                    format!(
                        "{name} is {done}: {} nodes, {}, {}\n",
                        cluster.node_count,
                        cluster.version,
                        cluster.server()
                    )
                })
            }
            Err(error) => {
                follow.failed();
                Err(error.into())
            }
        }
    }

    /// The driver the words name, or the one of the stored cluster they end with.
    async fn driver_of(&self, words: &[OsString], action: &str) -> Result<Option<DriverSource>, Failure> {
        if let Some(name) = typed::driver_word(words) {
            return drivers::find(&name).map(Some);
        }
        let stored = match words
            .last()
            .and_then(|word| word.to_str())
            .filter(|word| !word.starts_with('-'))
        {
            Some(name) => self.store.get(name).await.ok().flatten(),
            None => None,
        };
        match stored {
            Some(cluster) => drivers::of(&cluster).map(Some),
            None if words.is_empty() || words.iter().any(|word| word == "--help" || word == "-h") => Ok(None),
            None if action == "update" => Err(EngineError::NotFound(
                words
                    .last()
                    .map(|word| word.to_string_lossy().into_owned())
                    .unwrap_or_default(),
            )
            .into()),
            None => Err(
                Failure::usage("a driver is needed: --driver NAME, or the path of its binary")
                    .hint(drivers::which_there_are()),
            ),
        }
    }

    /// The driver of a known cluster; one that is given is remembered.
    async fn driver_for(&self, name: &str, given: Option<&str>) -> Result<DriverSource, Failure> {
        let cluster = self.known(name).await?;
        let Some(given) = given else {
            return drivers::of(&cluster);
        };
        let driver = drivers::find(given)?;
        self.moved(&driver, name).await?;
        Ok(driver)
    }

    /// Remembers where the driver of a cluster is now.
    async fn moved(&self, driver: &DriverSource, name: &str) -> Result<(), Failure> {
        let watch = Follow::new("engine", &self.stop).quiet();
        Ok(self.engine.set_driver(driver, name, &watch).await?)
    }

    pub(super) async fn known(&self, name: &str) -> Result<Cluster, Failure> {
        let stored = self.store.get(name).await?;
        Ok(stored.ok_or_else(|| EngineError::NotFound(name.to_owned()))?)
    }

    pub(super) async fn list(&self) -> Result<(), Failure> {
        let (clusters, damaged) = self.store.list().await?;
        show::list(&clusters, self.output)?;
        // The others are shown all the same.
        match damaged.into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    pub(super) async fn env(&self, name: &str) -> Result<(), Failure> {
        self.known(name).await?;
        self.store.set_current(name).await?;
        let kubeconfig = self.store.kubeconfig();
        let kubeconfig = kubeconfig.display();
        console::value(
            self.output,
            &json!({"name": name, "kubeconfig": kubeconfig.to_string()}),
            || format!("Current context is set to {name}\nexport KUBECONFIG={kubeconfig}\n"),
        )
    }

    pub(super) async fn remove(&self, which: &Which, force: Force) -> Result<(), Failure> {
        self.each(which, async |name, driver, watch| {
            self.engine.remove(driver, name, force, watch).await?;
            Ok(Told {
                line: name.to_owned(),
                members: json!({"removed": true}),
            })
        })
        .await
    }

    pub(super) async fn versions(&self, which: &Which) -> Result<(), Failure> {
        self.each(which, async |name, driver, watch| {
            let version = self.engine.version(driver, name, watch).await?;
            Ok(Told {
                line: format!("{name}: {version}"),
                members: json!({"version": version}),
            })
        })
        .await
    }

    pub(super) async fn set_version(&self, which: &Which, version: &str) -> Result<(), Failure> {
        self.each(which, async |name, driver, watch| {
            self.engine.set_version(driver, name, version, watch).await?;
            Ok(Told {
                line: format!("{name} updated to {version}"),
                members: json!({"version": version}),
            })
        })
        .await
    }

    pub(super) async fn sizes(&self, which: &Which) -> Result<(), Failure> {
        self.each(which, async |name, driver, watch| {
            let size = self.engine.cluster_size(driver, name, watch).await?;
            Ok(Told {
                line: format!("{name}: {size}"),
                members: json!({"nodeCount": size}),
            })
        })
        .await
    }

    pub(super) async fn set_size(&self, which: &Which, size: i64) -> Result<(), Failure> {
        self.each(which, async |name, driver, watch| {
            self.engine.set_cluster_size(driver, name, size, watch).await?;
            Ok(Told {
                line: format!("{name} updated to {size} nodes"),
                members: json!({"nodeCount": size}),
            })
        })
        .await
    }

    pub(super) async fn options(&self, driver: &str, update: bool) -> Result<(), Failure> {
        let driver = drivers::find(driver)?;
        let watch = Follow::new("engine", &self.stop).quiet();
        let flags = if update {
            self.engine.update_flags(&driver, &watch).await
        } else {
            self.engine.create_flags(&driver, &watch).await
        };
        options::print(&flags?, self.output)
    }

    /// Does something with each of the clusters and goes on after a failure; the last one is told. People read each
    /// outcome as it comes, machines get all of them as one list.
    async fn each(
        &self,
        which: &Which,
        work: impl AsyncFn(&str, &DriverSource, &kontainer_engine::Watch) -> Result<Told, EngineError>,
    ) -> Result<(), Failure> {
        let mut outcome = Ok(());
        let mut list = Vec::new();
        for name in &which.names {
            let one = async {
                let driver = self.driver_for(name, which.driver.as_deref()).await?;
                let follow = Follow::new("engine", &self.stop).titled(name);
                let done = work(name, &driver, &follow.watch()).await;
                match &done {
                    Ok(_) => follow.done(),
                    Err(_) => follow.failed(),
                }
                let Told { line, mut members } = done?;
                if self.output == Format::Table {
                    return console::line(line);
                }
                members["name"] = Value::from(name.as_str());
                list.push(members);
                Ok(())
            };
            if let Err(failed) = one.await
                && let Err(earlier) = std::mem::replace(&mut outcome, Err(failed))
            {
                console::complain(&earlier);
            }
        }
        if self.output != Format::Table {
            console::value(self.output, &list, String::new)?;
        }
        outcome
    }
}

/// The flags of create and of update of a driver, which is started to be asked when it is a program.
pub(crate) async fn flags_of(driver: &str, stop: &CancellationToken) -> Result<[DriverFlags; 2], Failure> {
    let driver = drivers::find(driver)?;
    // Nothing is remembered, so any place will do.
    let store = FileStore::new(std::env::temp_dir(), Clock::system());
    let engine = Engine::new(Arc::new(store), Clock::system());
    let watch = Follow::new("engine", stop).quiet();
    Ok([
        engine.create_flags(&driver, &watch).await?,
        engine.update_flags(&driver, &watch).await?,
    ])
}
