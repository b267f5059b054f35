//! The second look at a command line, once the driver and so its options are known.

use std::ffi::OsString;

use clap::{Arg, Command};
use kontainer_engine::{DriverFlags, DriverOptions};

use super::flags;
use crate::failure::Failure;
use crate::{console, drivers};

/// Names of ours that a driver's flags do not get.
const RESERVED: [&str; 5] = ["driver", "help", "store", "timeout", "name"];

/// What was typed.
pub(super) struct Parsed {
    pub(super) cluster: String,
    pub(super) options: DriverOptions,
}

/// The value of `--driver X`, `--driver=X`, `-d X` or `-d=X` among the words.
pub(super) fn driver_word(words: &[OsString]) -> Option<String> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.iter().enumerate().find_map(|(at, word)| match word.as_ref() {
        "--driver" | "-d" => words.get(at + 1).map(ToString::to_string),
        word => word
            .strip_prefix("--driver=")
            .or_else(|| word.strip_prefix("-d="))
            .map(str::to_owned),
    })
}

/// Reads the words with the driver's flags. Help, when it was asked for, is printed, and nothing is left to do.
pub(super) fn parse(
    action: &'static str,
    flags: &DriverFlags,
    words: Vec<OsString>,
) -> Result<Option<Parsed>, Failure> {
    let mut words = words;
    words.insert(0, OsString::from(action));
    let matches = match command(action, flags).try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => {
            console::text(error.render().ansi().to_string())?;
            return Ok(None);
        }
        Err(error) => {
            let text = error.render().to_string();
            return Err(Failure::usage(text.trim_start_matches("error: ").trim_end().to_owned()));
        }
    };
    let cluster = matches.get_one::<String>("cluster").cloned().unwrap_or_default();
    Ok(Some(Parsed {
        cluster,
        options: flags::given(flags, &matches)?,
    }))
}

fn command(action: &'static str, flags: &DriverFlags) -> Command {
    let about = match action {
        "create" => "Create a cluster, or go on with one whose creation failed or was interrupted",
        _ => "Change a cluster: what is not given stays as it is",
    };
    Command::new(action)
        .bin_name(format!("roadstead engine {action}"))
        .about(about)
        .arg(driver_argument())
        .args(flags::arguments(flags, &RESERVED))
        .arg(
            Arg::new("cluster")
                .value_name("CLUSTER")
                .required(true)
                .help("The name of the cluster"),
        )
}

fn driver_argument() -> Arg {
    Arg::new("driver")
        .short('d')
        .long("driver")
        .value_name("NAME|PATH")
        .help("A built-in driver, one on PATH, or the path of a driver's binary; not needed for a known cluster")
}

/// What can be said without a driver.
pub(super) fn help_without_driver(action: &'static str) -> Result<(), Failure> {
    let mut command = command(action, &DriverFlags::default()).after_help(format!(
        "A driver's own options are shown with --driver NAME --help.\n{}",
        drivers::which_there_are()
    ));
    console::text(command.render_long_help().ansi().to_string())
}

/// The whole command line with the flags of all built-in drivers, for completion scripts.
pub fn with_builtin_flags(command: Command) -> Command {
    let registry = drivers::builtin().unwrap_or_default();
    let mut create = DriverFlags::default();
    let mut update = DriverFlags::default();
    for driver in registry.names().filter_map(|name| registry.get(name)) {
        create.options.extend(driver.options().create_flags().options.clone());
        update.options.extend(driver.options().update_flags().options.clone());
    }
    command.mut_subcommand("engine", |engine| {
        engine
            .mut_subcommand("create", |command| refined(&command, &create))
            .mut_subcommand("update", |command| refined(&command, &update))
    })
}

fn refined(command: &Command, flags: &DriverFlags) -> Command {
    Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .arg(driver_argument())
        .args(flags::arguments(flags, &RESERVED))
        .arg(Arg::new("cluster").value_name("CLUSTER"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_found_in_every_form() {
        for (words, expected) in [
            (&["--driver", "gke", "c"][..], Some("gke")),
            (&["--zone", "a", "--driver=./x", "c"], Some("./x")),
            (&["-d", "gke"], Some("gke")),
            (&["-d=gke"], Some("gke")),
            (&["c"], None),
            (&["--driver"], None),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(driver_word(&words).as_deref(), expected, "{words:?}");
        }
    }
}
