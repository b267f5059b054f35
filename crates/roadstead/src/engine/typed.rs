//! The second look at a command line, once the driver and so its options are known.

use std::ffi::OsString;

use clap::{Arg, Command};
use kontainer_engine::{DriverFlags, DriverOptions};

use super::flags;
use crate::failure::Failure;
use crate::{console, drivers};

/// Names of ours that a driver's flags do not get.
const RESERVED: [&str; 7] = ["driver", "help", "store", "timeout", "name", "output", "verbose"];

/// What was typed.
pub(super) struct Parsed {
    pub(super) cluster: String,
    pub(super) options: DriverOptions,
}

/// Moves our own flags in front of `create` and `update`: what stands behind those words is understood late, when the
/// driver is known, but how long to wait and where to look must be known early.
pub fn hoisted(args: Vec<OsString>) -> Vec<OsString> {
    const WITH_VALUE: [&str; 4] = ["--store", "--timeout", "--output", "-o"];
    let word = |at: usize| args.get(at).and_then(|arg| arg.to_str()).unwrap_or_default();
    let action = (1..args.len()).find(|at| word(*at - 1) == "engine" && matches!(word(*at), "create" | "update"));
    let Some(action) = action else { return args };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut rest = args[action + 1..].iter().cloned();
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy().into_owned();
        let assigned = WITH_VALUE.iter().any(|flag| text.starts_with(&format!("{flag}=")));
        if text == "--" {
            theirs.push(arg);
            break;
        } else if WITH_VALUE.contains(&text.as_str()) {
            ours.push(arg);
            ours.extend(rest.next());
        } else if assigned || text == "--verbose" || matches!(text.as_str(), "-v" | "-vv" | "-vvv") {
            ours.push(arg);
        } else {
            theirs.push(arg);
        }
    }
    theirs.extend(rest);
    [&args[..action], &ours, &args[action..=action], &theirs].concat()
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
        .override_usage(format!(
            "roadstead engine {action} [--driver NAME|PATH] [OPTIONS] <CLUSTER>"
        ))
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

/// The whole command line with these flags of create and of update, for completion scripts. Of two drivers' flags of one
/// name either will do.
pub fn with_flags(command: Command, drivers: impl IntoIterator<Item = [DriverFlags; 2]>) -> Command {
    let mut create = DriverFlags::default();
    let mut update = DriverFlags::default();
    for [of_create, of_update] in drivers {
        create.options.extend(of_create.options);
        update.options.extend(of_update.options);
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
    fn our_own_flags_are_read_wherever_they_stand() {
        let hoist = |line: &str| -> String {
            let args = hoisted(line.split(' ').map(OsString::from).collect());
            args.join(&OsString::from(" ")).into_string().unwrap()
        };
        for (typed, read) in [
            (
                "roadstead engine create --driver x --timeout 5m c",
                "roadstead engine --timeout 5m create --driver x c",
            ),
            (
                "roadstead engine update c -o json -vv",
                "roadstead engine -o json -vv update c",
            ),
            (
                "roadstead engine create --output=yaml c",
                "roadstead engine --output=yaml create c",
            ),
            (
                "roadstead engine create c --timeout",
                "roadstead engine --timeout create c",
            ),
            (
                "roadstead engine create -- --store c",
                "roadstead engine create -- --store c",
            ),
            ("roadstead engine ls -o json", "roadstead engine ls -o json"),
            ("roadstead", "roadstead"),
        ] {
            assert_eq!(hoist(typed), read);
        }
    }

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
