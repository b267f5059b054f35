//! `roadstead cluster`: Kubernetes on this machine, through whichever tool is there.

mod args;
mod progress;
mod show;

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use local_cluster::{
    Choice, ClusterConfig, Error, Host, Manager, Merge, Registry, State, Status, choose, drivers, list,
};
use tokio_util::sync::CancellationToken;

pub use self::args::Args;
use self::args::{Change, Common, Output, Verb};
use self::progress::Teller;
use crate::console;
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
        () = stop.cancelled() => Err(Failure::interrupted()),
    }
}

async fn dispatch(args: Args) -> Result<(), Failure> {
    let Args { common, verb } = args;
    match verb {
        Verb::Start { change, recreate, yes } => start(&common, &change, recreate, yes).await,
        Verb::Restart { change } => restart(&common, &change).await,
        Verb::Stop { dry_run } => {
            let cluster = Cluster::find(&common, |host| host.dry_run = dry_run)?;
            cluster.change("stopped", cluster.manager.stop()).await?;
            cluster.tell_outcome(dry_run).await
        }
        Verb::Destroy { dry_run, yes } => {
            let cluster = Cluster::find(&common, |host| host.dry_run = dry_run)?;
            cluster.confirm(yes || dry_run)?;
            cluster.change("gone", cluster.manager.destroy()).await?;
            cluster.tell_outcome(dry_run).await
        }
        Verb::Status => status(&common).await,
        Verb::List => {
            let host = Arc::new(host(&common));
            let listing = list(&registry()?, &host).await;
            for problem in &listing.problems {
                console::complain(&Failure::usage(problem.clone()));
            }
            show::value(common.output, &listing.clusters, || show::listing(&listing))
        }
        Verb::Kubeconfig { path } => {
            let cluster = Cluster::find(&common, |_| {})?;
            let text = cluster.manager.kubeconfig().await?;
            if path {
                return console::line(
                    cluster
                        .host
                        .own_kubeconfig(&cluster.manager.context())
                        .display()
                        .to_string(),
                );
            }
            console::text(text)
        }
        Verb::Drivers => {
            let host = host(&common);
            let drivers = show::drivers(&registry()?.names(), &host);
            show::value(common.output, &drivers, || show::driver_table(&drivers))
        }
        Verb::Exec { command } => {
            let cluster = Cluster::find(&common, |_| {})?;
            let ended = cluster.manager.exec(&command).await?;
            let code = ended
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(kit::exit::FAILED);
            if code == kit::exit::OK {
                Ok(())
            } else {
                Err(silent(code))
            }
        }
    }
}

async fn start(common: &Common, change: &Change, recreate: bool, yes: bool) -> Result<(), Failure> {
    let cluster = Cluster::find(common, |host| change.apply(host))?;
    if recreate {
        cluster.confirm(yes || change.dry_run)?;
        cluster.rehearse(common, change).await?;
        cluster.change("gone", cluster.manager.destroy()).await?;
    }
    cluster.change("ready", cluster.manager.start(&cluster.config)).await?;
    cluster.tell_outcome(change.dry_run).await
}

async fn restart(common: &Common, change: &Change) -> Result<(), Failure> {
    let cluster = Cluster::find(common, |host| change.apply(host))?;
    cluster
        .change("ready", cluster.manager.restart(&cluster.config))
        .await?;
    cluster.tell_outcome(change.dry_run).await
}

async fn status(common: &Common) -> Result<(), Failure> {
    let cluster = Cluster::find(common, |_| {})?;
    let status = cluster.manager.status().await?;
    cluster.show(&status)?;
    match status.state {
        State::Ready => Ok(()),
        State::Stopped => Err(silent(STOPPED)),
        State::Starting | State::NotReady => Err(silent(NOT_READY)),
    }
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

/// The machine, with what the command line says about it.
fn host(common: &Common) -> Host {
    let mut host = this_machine();
    host.bin_dir.clone_from(&common.bin_dir);
    host.limits.start = common.timeout;
    host.limits.stop = common.timeout;
    host.limits.destroy = common.timeout;
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
    fn find(common: &Common, prepare: impl FnOnce(&mut Host)) -> Result<Self, Failure> {
        let mut host = host(common);
        prepare(&mut host);
        let given = match &common.config {
            Some(path) => Some(ClusterConfig::from_file(path)?),
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
        ));
        if !choice.why.is_empty() {
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

    async fn change(&self, done: &str, work: impl Future<Output = Result<(), Error>>) -> Result<(), Failure> {
        match work.await {
            Ok(()) => {
                let done = if self.host.dry_run { "nothing was changed" } else { done };
                self.teller.done(done);
                Ok(())
            }
            Err(error) => {
                self.teller.failed(&error);
                Err(error.into())
            }
        }
    }

    async fn tell_outcome(&self, dry_run: bool) -> Result<(), Failure> {
        if dry_run {
            return Ok(());
        }
        let status = self.manager.status().await?;
        self.show(&status)
    }

    fn show(&self, status: &Status) -> Result<(), Failure> {
        show::status(self.output, status, &self.profile, self.manager.limits())
    }

    /// Finds out, without doing it, whether the cluster could be made as wanted: what could not be made anew must not be
    /// destroyed. That it differs from what is there is the reason to make it anew.
    async fn rehearse(&self, common: &Common, change: &Change) -> Result<(), Failure> {
        let mut host = host(common);
        change.apply(&mut host);
        host.dry_run = true;
        let host = Arc::new(host);
        let start_as = async |profile: &str| {
            let manager = registry()?.manager(self.manager.driver(), &host, profile)?;
            Ok::<_, Failure>(manager.start(&self.config).await)
        };
        match start_as(&self.profile).await? {
            // A port that is not this cluster's may be somebody else's, which only a cluster that is not there finds out.
            Err(Error::ConfigMismatch(differences)) if differences.iter().any(|one| one.field == "apiPort") => {
                Ok(start_as(&format!("rehearsal-{}", std::process::id())).await??)
            }
            Err(Error::ConfigMismatch(_)) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Asks before data is removed, when there is somebody to ask.
    fn confirm(&self, yes: bool) -> Result<(), Failure> {
        if yes || !std::io::stdin().is_terminal() {
            return Ok(());
        }
        let mut err = anstream::stderr();
        let _ = write!(
            err,
            "Destroy the {} cluster {} with all its data? [y/N] ",
            self.manager.driver(),
            self.profile
        );
        let _ = err.flush();
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        if read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
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
