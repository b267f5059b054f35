//! `roadstead engine`: clusters through any cluster driver, without Rancher.
//!
//! The commands, their aliases and the place where clusters are remembered are those of the original `kontainer-engine`
//! command. Differs from it: external drivers, secrets that are not shown, files that are private, only options that were
//! given are sent, machine-readable output.

mod flags;
mod follow;
mod options;
mod show;
mod typed;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kit::Clock;
use kontainer_engine::{
    Cluster, DriverOptions, DriverSource, Engine, EngineError, FileStore, Force, PersistentStore as _, StoreError,
};
use tokio_util::sync::CancellationToken;

use crate::console::{self, Format};
use crate::drivers;
use crate::failure::Failure;

pub(crate) use follow::Follow;
pub use typed::with_builtin_flags;

/// Create, update and remove clusters through any cluster driver.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where clusters are remembered [default: ~/.kontainer].
    #[arg(long, global = true, env = "ROADSTEAD_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
    /// Give up after this long, such as 30m; what was done until then is remembered.
    #[arg(long, global = true, env = "ROADSTEAD_TIMEOUT", value_name = "DURATION", value_parser = kit::go_duration::parse)]
    timeout: Option<Duration>,
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Create a cluster, or go on with one whose creation failed or was interrupted.
    #[command(disable_help_flag = true)]
    Create(Typed),
    /// Change a cluster.
    #[command(disable_help_flag = true)]
    Update(Typed),
    /// List the clusters.
    #[command(visible_alias = "ls")]
    List {
        /// How to write the list.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show all that is known of a cluster, without its secrets.
    Inspect {
        /// The cluster.
        name: String,
        /// How to write it; a table is not offered.
        #[arg(short, long, value_enum, default_value = "json")]
        output: Format,
    },
    /// Make a cluster the current context of the kubeconfig, and say how to use it.
    Env {
        /// The cluster.
        name: String,
    },
    /// Remove clusters, at the provider and here.
    #[command(visible_alias = "rm")]
    Remove {
        /// Forget a cluster even when its driver fails; what is left at the provider is left there.
        #[arg(short, long)]
        force: bool,
        /// The clusters.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show the Kubernetes version that runs.
    #[command(visible_alias = "gv")]
    GetVersion {
        /// The clusters.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Upgrade Kubernetes.
    #[command(visible_alias = "sv")]
    SetVersion {
        /// The version.
        #[arg(long)]
        version: String,
        /// The clusters.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show the number of nodes.
    #[command(visible_alias = "gcs")]
    GetClusterSize {
        /// The clusters.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Change the number of nodes.
    #[command(visible_alias = "scs")]
    SetClusterSize {
        /// The number of nodes.
        #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
        cluster_size: i64,
        /// The clusters.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show the options of a driver.
    Options {
        /// The driver: the name of a built-in one or of one on PATH, or the path of its binary.
        #[arg(long)]
        driver: String,
        /// The options of update instead of create.
        #[arg(long)]
        update: bool,
        /// How to write them.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// Words that can only be understood once the driver's options are known.
#[derive(Debug, clap::Args)]
struct Typed {
    #[arg(
        allow_hyphen_values = true,
        trailing_var_arg = true,
        value_name = "--driver NAME|PATH [OPTIONS] CLUSTER"
    )]
    words: Vec<OsString>,
}

/// Does it. `stop` ends it in order: the driver gets time to say what it has done so far, and that is stored.
pub async fn run(args: Args, stop: CancellationToken) -> Result<(), Failure> {
    let Some(timeout) = args.timeout else {
        return act(args, stop).await;
    };
    // An end by the clock is an end in order, too.
    let ended = stop.child_token();
    let work = act(args, ended.clone());
    tokio::pin!(work);
    tokio::select! {
        outcome = &mut work => return outcome,
        () = tokio::time::sleep(timeout) => ended.cancel(),
    }
    match work.await {
        Err(failure) if failure.code == kit::exit::INTERRUPTED => Err(Failure {
            message: format!("not done within {}", kit::go_duration::format(timeout)),
            hint: Some("the same command goes on where it stopped".to_owned()),
            code: kit::exit::TIMED_OUT,
        }),
        outcome => outcome,
    }
}

async fn act(args: Args, stop: CancellationToken) -> Result<(), Failure> {
    let session = Session::new(args.store, stop)?;
    match args.action {
        Action::Create(typed) => session.create(typed.words).await,
        Action::Update(typed) => session.update(typed.words).await,
        Action::List { output } => session.list(output).await,
        Action::Inspect { name, output } => show::inspect(&session.known(&name).await?, output),
        Action::Env { name } => session.env(&name).await,
        Action::Remove { force, names } => session.remove(&names, if force { Force::Yes } else { Force::No }).await,
        Action::GetVersion { names } => {
            {
                session.each(&names, async |name, driver, watch| {
                    let version = session.engine.version(driver, name, watch).await?;
                    Ok(format!("{name}: {version}"))
                })
            }
            .await
        }
        Action::SetVersion { version, names } => {
            {
                session.each(&names, async |name, driver, watch| {
                    session.engine.set_version(driver, name, &version, watch).await?;
                    Ok(format!("{name} updated to {version}"))
                })
            }
            .await
        }
        Action::GetClusterSize { names } => {
            {
                session.each(&names, async |name, driver, watch| {
                    let size = session.engine.cluster_size(driver, name, watch).await?;
                    Ok(format!("{name}: {size}"))
                })
            }
            .await
        }
        Action::SetClusterSize { cluster_size, names } => {
            {
                session.each(&names, async |name, driver, watch| {
                    session
                        .engine
                        .set_cluster_size(driver, name, cluster_size, watch)
                        .await?;
                    Ok(format!("{name} updated to {cluster_size} nodes"))
                })
            }
            .await
        }
        Action::Options { driver, update, output } => session.options(&driver, update, output).await,
    }
}

/// Where clusters are remembered unless `--store` says otherwise.
pub fn default_store() -> Result<FileStore, Failure> {
    open_store(None)
}

fn open_store(dir: Option<PathBuf>) -> Result<FileStore, Failure> {
    if let Some(dir) = dir {
        return Ok(FileStore::new(dir, Clock::system()));
    }
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| {
        Failure::usage("HOME is not set, so there is no place to remember clusters in")
            .hint("set it, or give --store DIR")
    })?;
    Ok(FileStore::in_home(&home, Clock::system()))
}

/// An engine, its store, and what may end it.
struct Session {
    engine: Engine,
    store: Arc<FileStore>,
    stop: CancellationToken,
}

impl Session {
    fn new(dir: Option<PathBuf>, stop: CancellationToken) -> Result<Self, Failure> {
        let store = Arc::new(open_store(dir)?);
        let engine = Engine::new(store.clone(), Clock::system());
        Ok(Self { engine, store, stop })
    }

    async fn create(&self, words: Vec<OsString>) -> Result<(), Failure> {
        let Some(driver) = self.driver_of(&words, "create").await? else {
            return typed::help_without_driver("create");
        };
        let follow = Follow::new("engine", &self.stop);
        let flags = self.engine.create_flags(&driver, &follow.quiet()).await?;
        let Some(typed) = typed::parse("create", &flags, words)? else {
            return Ok(());
        };
        self.finish(
            "create",
            &typed.cluster,
            follow,
            async |watch, options| self.engine.create(&driver, &typed.cluster, options, watch).await,
            typed.options,
        )
        .await
    }

    async fn update(&self, words: Vec<OsString>) -> Result<(), Failure> {
        let Some(driver) = self.driver_of(&words, "update").await? else {
            return typed::help_without_driver("update");
        };
        let follow = Follow::new("engine", &self.stop);
        let flags = self.engine.update_flags(&driver, &follow.quiet()).await?;
        let Some(typed) = typed::parse("update", &flags, words)? else {
            return Ok(());
        };
        self.finish(
            "update",
            &typed.cluster,
            follow,
            async |watch, options| self.engine.update(&driver, &typed.cluster, options, watch).await,
            typed.options,
        )
        .await
    }

    /// Runs a create or an update with its progress, and tells what became of it.
    async fn finish(
        &self,
        action: &str,
        name: &str,
        follow: Follow,
        work: impl AsyncFnOnce(&kontainer_engine::Watch, DriverOptions) -> Result<Cluster, EngineError>,
        options: DriverOptions,
    ) -> Result<(), Failure> {
        let follow = follow.titled(name);
        match work(&follow.watch(), options).await {
            Ok(cluster) => {
                follow.done();
                let done = if action == "create" { "running" } else { "updated" };
                console::line(format!(
                    "{name} is {done}: {} nodes, {}, {}",
                    cluster.node_count,
                    cluster.version,
                    cluster.server()
                ))
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

    async fn known(&self, name: &str) -> Result<Cluster, Failure> {
        let stored = self.store.get(name).await?;
        Ok(stored.ok_or_else(|| EngineError::NotFound(name.to_owned()))?)
    }

    async fn list(&self, output: Format) -> Result<(), Failure> {
        let (clusters, damaged) = self.store.list().await?;
        show::list(&clusters, output)?;
        // The others are shown all the same.
        match damaged.into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    async fn env(&self, name: &str) -> Result<(), Failure> {
        self.known(name).await?;
        self.store.set_current(name).await?;
        console::line(format!("Current context is set to {name}"))?;
        console::line(format!("export KUBECONFIG={}", self.store.kubeconfig().display()))
    }

    async fn remove(&self, names: &[String], force: Force) -> Result<(), Failure> {
        self.each(names, async |name, driver, watch| {
            self.engine.remove(driver, name, force, watch).await?;
            Ok(name.to_owned())
        })
        .await
    }

    async fn options(&self, driver: &str, update: bool, output: Format) -> Result<(), Failure> {
        let driver = drivers::find(driver)?;
        let watch = Follow::new("engine", &self.stop).quiet();
        let flags = if update {
            self.engine.update_flags(&driver, &watch).await
        } else {
            self.engine.create_flags(&driver, &watch).await
        };
        options::print(&flags?, output)
    }

    /// Does something with each of the clusters, prints what it says, and goes on after a failure; the last one is told.
    async fn each(
        &self,
        names: &[String],
        work: impl AsyncFn(&str, &DriverSource, &kontainer_engine::Watch) -> Result<String, EngineError>,
    ) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for name in names {
            let one = async {
                let driver = drivers::of(&self.known(name).await?)?;
                let follow = Follow::new("engine", &self.stop).titled(name);
                let done = work(name, &driver, &follow.watch()).await;
                match &done {
                    Ok(_) => follow.done(),
                    Err(_) => follow.failed(),
                }
                console::line(done?)
            };
            if let Err(failed) = one.await
                && let Err(earlier) = std::mem::replace(&mut outcome, Err(failed))
            {
                console::complain(&earlier);
            }
        }
        outcome
    }
}

/// What an engine's error means for whoever typed the command.
impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let told = Self::classed(kit::chain(&error), error.class());
        match error {
            EngineError::Cancelled => Self {
                message: told.message,
                ..Self::interrupted()
            },
            EngineError::Exists => told.hint("`roadstead engine update` changes it"),
            EngineError::NotFound(_) => told.hint("`roadstead engine ls` shows the clusters"),
            EngineError::NotCreated(_) => told.hint("`roadstead engine create` goes on where it stopped"),
            EngineError::Silent { .. } => Self {
                code: kit::exit::TIMED_OUT,
                ..told
            },
            _ => told,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        EngineError::from(error).into()
    }
}
