//! `roadstead engine`: clusters through any cluster driver, without Rancher.
//!
//! The commands, their aliases and the place where clusters are remembered are those of the original `kontainer-engine`
//! command. Differs from it: external drivers, secrets that are not shown, files that are private, only options that were
//! given are sent, machine-readable output.

mod flags;
mod follow;
mod offers;
mod options;
mod session;
mod show;
mod typed;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use kit::Clock;
use kontainer_engine::{EngineError, FileStore, Force, StoreError};
use tokio_util::sync::CancellationToken;

use self::session::Session;
use crate::console::Format;
use crate::failure::Failure;

pub(crate) use follow::Follow;
pub(crate) use session::flags_of;
pub use typed::{hoisted, with_flags};

/// Create, update and remove clusters through any cluster driver.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where clusters are remembered [default: ~/.kontainer].
    #[arg(long, global = true, env = "ROADSTEAD_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
    /// How to write results [default: table; inspect: json].
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
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
    List,
    /// Show all that is known of a cluster, without its secrets.
    Inspect {
        /// The cluster.
        name: String,
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
        #[command(flatten)]
        which: Which,
    },
    /// Show the Kubernetes version that runs.
    #[command(visible_alias = "gv")]
    GetVersion {
        #[command(flatten)]
        which: Which,
    },
    /// Upgrade Kubernetes.
    #[command(visible_alias = "sv")]
    SetVersion {
        /// The version.
        #[arg(long)]
        version: String,
        #[command(flatten)]
        which: Which,
    },
    /// Show the number of nodes.
    #[command(visible_alias = "gcs")]
    GetClusterSize {
        #[command(flatten)]
        which: Which,
    },
    /// Change the number of nodes.
    #[command(visible_alias = "scs")]
    SetClusterSize {
        /// The number of nodes.
        #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
        cluster_size: i64,
        #[command(flatten)]
        which: Which,
    },
    /// Show what a driver's provider sells: regions, kinds of machines, and their prices per hour.
    ///
    /// The account's credential comes from the environment: ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN, or the driver's own
    /// RXTSPOT_REFRESH_TOKEN. A winning bid is the lowest valid one that would have won the last auction.
    Offers {
        /// The driver.
        #[arg(short, long)]
        driver: String,
        /// Only what this region has.
        #[arg(long)]
        region: Option<String>,
        /// Only what can be had now.
        #[arg(long)]
        available: bool,
    },
    /// Show the options of a driver.
    Options {
        /// The driver: the name of a built-in one or of one on PATH, or the path of its binary.
        #[arg(short, long)]
        driver: String,
        /// The options of update instead of create.
        #[arg(long)]
        update: bool,
    },
}

/// Clusters, and where their driver is if it is not where it was.
#[derive(Debug, clap::Args)]
struct Which {
    /// The clusters' driver has moved: its name, or the path of its binary. It is remembered.
    #[arg(short, long, value_name = "NAME|PATH")]
    driver: Option<String>,
    /// The clusters.
    #[arg(required = true)]
    names: Vec<String>,
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
    let output = args.output.unwrap_or_default();
    let session = Session::new(args.store, output, stop)?;
    match args.action {
        Action::Create(typed) => session.create(typed.words).await,
        Action::Update(typed) => session.update(typed.words).await,
        Action::List => session.list().await,
        Action::Inspect { name } => show::inspect(&session.known(&name).await?, args.output.unwrap_or(Format::Json)),
        Action::Env { name } => session.env(&name).await,
        Action::Remove { force, which } => session.remove(&which, if force { Force::Yes } else { Force::No }).await,
        Action::GetVersion { which } => session.versions(&which).await,
        Action::SetVersion { version, which } => session.set_version(&which, &version).await,
        Action::GetClusterSize { which } => session.sizes(&which).await,
        Action::SetClusterSize { cluster_size, which } => session.set_size(&which, cluster_size).await,
        Action::Offers {
            driver,
            region,
            available,
        } => {
            let asked = offers::Asked {
                driver,
                region,
                available,
                output,
            };
            offers::print(asked, session.into_stop()).await
        }
        Action::Options { driver, update } => session.options(&driver, update).await,
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
            EngineError::OtherDriver { .. } => {
                told.hint("leave --driver out, or give the driver that made the cluster")
            }
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
