//! The command line of `roadstead cluster`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum, ValueHint};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line or a file makes no sense, or --yes is missing
  3  not found
  4  exists already, differs, or is in the wrong state
  5  not allowed
  6  not finished in time
  130  interrupted
Exit codes of status:
  0  ready
  1  it cannot be told
  2  the command line makes no sense
  3  stopped or absent
  4  starting or not ready
exec ends with the exit code of its command.";

/// Run Kubernetes on this machine, through whichever tool is there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What every subcommand takes.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// colima, k3d, kind, minikube, auto (colima on macOS, k3d elsewhere), process (etcd and kube-apiserver without
    /// containers), sim (a simulated API that needs nothing) or mock (it only remembers) [default: the one the cluster was
    /// made with, else the first tool that is installed, else sim].
    #[arg(long, global = true, env = "ROADSTEAD_CLUSTER_DRIVER")]
    pub(super) driver: Option<String>,
    /// The cluster's name.
    #[arg(long, global = true, default_value = "dev", env = "ROADSTEAD_CLUSTER_PROFILE")]
    pub(super) profile: String,
    /// A file with what kind of cluster is wanted.
    #[arg(long, global = true, value_name = "FILE.yaml", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    /// How long it may take (90s, 5m) [default: the driver's own to change something, 5s for status, 20s for other
    /// questions, and for exec as long as its command likes].
    #[arg(long, global = true, value_parser = duration)]
    pub(super) timeout: Option<Duration>,
    /// How to write the result; jsonl also writes what happens, one event a line.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(super) output: Output,
    /// process: where etcd and kube-apiserver are [default: KUBEBUILDER_ASSETS, then PATH].
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) bin_dir: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    match kit::go_duration::parse(text) {
        Ok(Duration::ZERO) => Err("it must be more than nothing".to_owned()),
        outcome => outcome.map_err(|error| error.to_string()),
    }
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    #[default]
    Table,
    /// For machines.
    Json,
    /// For machines that people read.
    Yaml,
    /// For machines that follow what happens.
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make the cluster run: create it, resume it, or leave it be when it runs already.
    Start {
        #[command(flatten)]
        change: Change,
        /// Destroy what is there first, with all its data.
        #[arg(long)]
        recreate: bool,
        /// Do not ask before something is destroyed; needed without a terminal.
        #[arg(short, long)]
        yes: bool,
    },
    /// Stop it, keeping its data.
    Stop {
        /// Print the commands that would change something, and run none of them.
        #[arg(long)]
        dry_run: bool,
    },
    /// Stop and start it; applies what can be changed that way.
    Restart {
        #[command(flatten)]
        change: Change,
    },
    /// Remove it with all its data and its kubeconfig entries.
    Destroy {
        /// Print the commands that would change something, and run none of them.
        #[arg(long)]
        dry_run: bool,
        /// Do not ask; needed without a terminal.
        #[arg(short, long)]
        yes: bool,
    },
    /// Tell whether it runs and takes work.
    Status,
    /// List the local clusters of all drivers, whoever made them.
    List,
    /// Print a kubeconfig with this cluster alone.
    Kubeconfig {
        /// Print the path of the file instead.
        #[arg(long)]
        path: bool,
    },
    /// List the drivers and whether they can be used here.
    Drivers,
    /// Run a command with KUBECONFIG pointing at this cluster alone.
    Exec {
        /// The command and its arguments, after --.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
}

/// What starting and restarting take.
#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// Wait until the cluster takes work.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true",
          value_name = "true|false", require_equals = true)]
    pub(super) wait: bool,
    /// Print the commands that would change something, and run none of them.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Leave the user's kubeconfig alone.
    #[arg(long, conflicts_with = "switch_context")]
    pub(super) no_merge: bool,
    /// Make the cluster's context the current one; otherwise only when there is none.
    #[arg(long)]
    pub(super) switch_context: bool,
}
