//! `roadstead cluster`: Kubernetes on this machine, through whichever tool is there.

mod args;
mod ask;
mod progress;
mod show;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use local_cluster::{
    Choice, ClusterConfig, Error, Host, Manager, Merge, Registry, State, Status, choose, drivers, has_context, list,
};
use tokio_util::sync::CancellationToken;

pub use self::args::Args;
use self::args::{Change, Common, Output, Verb};
use self::progress::Teller;
use crate::failure::Failure;

/// The exit code of `status` for a cluster that does not run, or is not there.
const STOPPED: u8 = 3;
/// The exit code of `status` for a cluster on its way up, or running without taking work.
const NOT_READY: u8 = 4;

/// Does one thing to a cluster. When `stop` is cancelled, what is under way is ended: the tool that runs is told to
/// terminate, and the next command finds out what it left.
pub async fn run(args: Args, stop: CancellationToken) -> Result<(), Failure> {
    let work = dispatch(args);
    tokio::select! {
        outcome = work => outcome,
        () = stop.cancelled() => Err(Failure::interrupted()
            .hint("nothing was rolled back: roadstead cluster status tells what is there, and the same command goes on")),
    }
}

async fn dispatch(args: Args) -> Result<(), Failure> {
    let Args { common, verb } = args;
    match verb {
        Verb::Start { change, recreate, yes } => start(&common, &change, recreate, yes).await,
        Verb::Restart { change } => {
            let cluster = Cluster::to_change(&common, |host| change.apply(host))?;
            let work = cluster.manager.restart(&cluster.config);
            cluster.change("ready", work).await
        }
        Verb::Stop { dry_run } => {
            let cluster = Cluster::to_change(&common, |host| host.dry_run = dry_run)?;
            cluster.change("stopped", cluster.manager.stop()).await
        }
        Verb::Destroy { dry_run, yes } => {
            let cluster = Cluster::to_change(&common, |host| host.dry_run = dry_run)?;
            cluster.confirm(yes || dry_run).await?;
            cluster.change("gone", cluster.manager.destroy()).await
        }
        Verb::Status => status(&common).await,
        Verb::List => {
            let host = Arc::new(asking(&common));
            let listing = list(&registry()?, &host).await;
            for problem in &listing.problems {
                ask::warn(problem);
            }
            if listing.clusters.is_empty() && common.output == Output::Table {
                ask::note("there is no local cluster; roadstead cluster start makes one");
            }
            show::value(common.output, &listing.clusters, || show::listing(&listing))
        }
        Verb::Kubeconfig { path } => {
            let cluster = Cluster::to_ask(&common)?;
            let (text, file) = cluster.own_kubeconfig().await?;
            show::kubeconfig(common.output, &text, path.then_some(file.as_path()))
        }
        Verb::Drivers => {
            let drivers = show::drivers(&registry()?.names(), &asking(&common));
            show::value(common.output, &drivers, || show::driver_table(&drivers))
        }
        Verb::Exec { command } => exec(&common, &command).await,
    }
}

async fn start(common: &Common, change: &Change, recreate: bool, yes: bool) -> Result<(), Failure> {
    let cluster = Cluster::to_change(common, |host| change.apply(host))?;
    if recreate {
        cluster.confirm(yes || change.dry_run).await?;
        let work = cluster.manager.recreate(&cluster.config);
        return cluster.change("ready", work).await;
    }
    cluster.change("ready", cluster.manager.start(&cluster.config)).await
}

/// Its exit codes are its own: what cannot be told must not look like a state.
async fn status(common: &Common) -> Result<(), Failure> {
    let own = |code: u8| {
        move |failure: Failure| Failure {
            code: if failure.code == kit::exit::USAGE {
                failure.code
            } else {
                code
            },
            ..failure
        }
    };
    let cluster = Cluster::to_ask(common).map_err(own(kit::exit::USAGE))?;
    let status = cluster
        .manager
        .status()
        .await
        .map_err(|error| own(kit::exit::FAILED)(error.into()))?;
    cluster.show(&status)?;
    match status.state {
        State::Ready => Ok(()),
        State::Stopped => Err(silent(STOPPED)),
        State::Starting | State::NotReady => Err(silent(NOT_READY)),
    }
}

/// Without a limit the program takes our place: signals and the terminal are between it and the user. A cluster that is only
/// remembered runs nothing.
async fn exec(common: &Common, command: &[OsString]) -> Result<(), Failure> {
    let cluster = Cluster::to_ask(common)?;
    let ours = common.timeout.is_some() || cluster.manager.driver() == "mock";
    let Some((program, args)) = command.split_first().filter(|_| !ours) else {
        let ended = cluster.manager.exec(command).await?;
        let code = ended.code().and_then(|code| u8::try_from(code).ok());
        return match code.unwrap_or(kit::exit::FAILED) {
            kit::exit::OK => Ok(()),
            code => Err(silent(code)),
        };
    };
    let (_, file) = cluster.own_kubeconfig().await?;
    let error = std::process::Command::new(program)
        .args(args)
        .env("KUBECONFIG", file)
        .exec();
    Err(Failure::other(&format!("run {}", program.to_string_lossy()), error))
}

fn registry() -> Result<Registry, Failure> {
    drivers::standard().map_err(|error| Failure::other("register the drivers", error))
}

/// This machine, with this program as its simulator.
pub fn this_machine() -> Host {
    let mut host = Host::current();
    // Without the path of the program there is no `sim` driver; everything else works.
    host.simulator = std::env::current_exe()
        .ok()
        .map(|program| vec![program.into_os_string(), "sim".into(), "kubernetes".into()]);
    host
}

/// The machine for a command that looks.
fn asking(common: &Common) -> Host {
    let mut host = this_machine();
    host.bin_dir.clone_from(&common.bin_dir);
    if let Some(limit) = common.timeout {
        host.limits = host.limits.questions_within(limit);
    }
    host
}

/// The machine for a command that changes something.
fn changing(common: &Common) -> Host {
    let mut host = this_machine();
    host.bin_dir.clone_from(&common.bin_dir);
    if let Some(limit) = common.timeout {
        host.limits = host.limits.changes_within(limit);
    }
    host
}

/// The cluster that the command line means.
struct Cluster {
    host: Arc<Host>,
    config: ClusterConfig,
    manager: Arc<dyn Manager>,
    profile: String,
    output: Output,
    teller: Arc<Teller>,
}

impl Cluster {
    fn to_ask(common: &Common) -> Result<Self, Failure> {
        Self::find(common, asking(common), false)
    }

    fn to_change(common: &Common, prepare: impl FnOnce(&mut Host)) -> Result<Self, Failure> {
        let mut host = changing(common);
        prepare(&mut host);
        Self::find(common, host, true)
    }

    fn find(common: &Common, mut host: Host, changes: bool) -> Result<Self, Failure> {
        let given = match &common.config {
            Some(path) => Some(ClusterConfig::from_file(path).map_err(|error| Failure {
                code: kit::exit::USAGE,
                ..error.into()
            })?),
            None => None,
        };
        let named = common.driver.clone().or_else(|| {
            given
                .as_ref()
                .map(|config| config.driver.clone())
                .filter(|driver| !driver.is_empty())
        });
        let choice = named.map_or_else(
            || choose(&host, &common.profile),
            |driver| Choice {
                driver,
                why: String::new(),
            },
        );
        let teller = Arc::new(Teller::new(
            common.output,
            &format!("{} cluster {}", choice.driver, common.profile),
            host.dry_run,
        ));
        // Who asks is told the driver with the answer.
        if changes && !choice.why.is_empty() {
            teller.note(&format!("driver {}: {}", choice.driver, choice.why));
        }
        let sink = Arc::clone(&teller);
        host.events = local_cluster::Events::to(move |event| sink.tell(&event));
        let host = Arc::new(host);
        let manager = registry()?.manager(&choice.driver, &host, &common.profile)?;
        // Without a file, the tools' own defaults are meant; a file has to have the section it needs.
        let config = given.unwrap_or_else(|| ClusterConfig::defaults(&choice.driver));
        Ok(Self {
            host,
            config,
            manager,
            profile: common.profile.clone(),
            output: common.output,
            teller,
        })
    }

    /// Does a change, and shows what there is after it: the state, or on a dry run the commands.
    async fn change(&self, done: &str, work: impl Future<Output = Result<(), Error>>) -> Result<(), Failure> {
        if let Err(error) = work.await {
            self.teller.failed(&error);
            return Err(error.into());
        }
        if self.host.dry_run {
            self.teller.done("nothing was changed");
            return show::plan(self.output, &self.teller.commands());
        }
        let waited = self.host.wait || done != "ready";
        self.teller.done(if waited { done } else { "started" });
        self.show(&self.manager.status().await?)
    }

    fn show(&self, status: &Status) -> Result<(), Failure> {
        let hints = show::Hints {
            limits: self.manager.limits(),
            way_in: self.way_in(),
        };
        show::status(self.output, status, &self.profile, &hints)
    }

    /// A command line that reaches the cluster; `None` when nothing would.
    fn way_in(&self) -> Option<String> {
        let context = self.manager.context();
        if has_context(&self.host, &context) {
            return Some(format!("kubectl --context {context} get namespaces"));
        }
        let (driver, profile) = (self.manager.driver(), &self.profile);
        let own = self.host.own_kubeconfig(&context).exists();
        own.then(|| format!("roadstead cluster exec --driver {driver} --profile {profile} -- kubectl get namespaces"))
    }

    /// A kubeconfig with this cluster alone, and the file of ours that has it.
    async fn own_kubeconfig(&self) -> Result<(String, PathBuf), Failure> {
        let text = self.manager.kubeconfig().await?;
        let file = self.host.own_kubeconfig(&self.manager.context());
        let write = || {
            kit::fs::create_private_dir(file.parent().unwrap_or(&file))?;
            kit::fs::write_private(&file, text.as_bytes())
        };
        write().map_err(|error| Failure::other(&format!("write {}", file.display()), error))?;
        Ok((text, file))
    }

    /// Asks before data is removed. Without a terminal there is nobody to ask, and silence is no consent.
    async fn confirm(&self, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        let title = format!("the {} cluster {}", self.manager.driver(), self.profile);
        if !std::io::stdin().is_terminal() {
            return Err(
                Failure::usage(format!("destroying {title} removes all its data, and nobody was asked"))
                    .hint("pass --yes to do it without a question"),
            );
        }
        if self.manager.status().await.is_ok_and(|status| !status.exists) {
            return Ok(());
        }
        if ask::confirmed(&format!("Destroy {title} with all its data?")).await {
            return Ok(());
        }
        Err(Failure {
            message: "not confirmed; nothing was destroyed".to_owned(),
            hint: Some("--yes answers the question".to_owned()),
            code: kit::exit::FAILED,
        })
    }
}

impl Change {
    fn apply(&self, host: &mut Host) {
        host.dry_run = self.dry_run;
        host.wait = self.wait;
        host.merge = match (self.no_merge, self.switch_context) {
            (true, _) => Merge::Never,
            (false, true) => Merge::Switch,
            (false, false) => Merge::Add,
        };
    }
}

/// Everything was said already; only the exit code is left.
fn silent(code: u8) -> Failure {
    Failure {
        message: String::new(),
        hint: None,
        code,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut failure = Self::classed(kit::chain(&error), error.class());
        if error.timed_out() {
            failure.code = kit::exit::TIMED_OUT;
        }
        failure.hint = error.advice();
        failure
    }
}
