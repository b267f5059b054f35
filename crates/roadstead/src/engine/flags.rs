//! From a driver's flags to command-line arguments, and from what was typed to the options that are sent.
//!
//! Only what the user gave is sent, so that a driver can tell "not given" from "empty"; declared defaults are shown in the
//! help and applied by the driver. Differs from upstream's command, which sends a zero value for every flag.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};
use kontainer_engine::{DriverFlags, DriverOptions, Flag, OptionKind, StringSlice, camel_case};

use crate::failure::Failure;

/// One argument for each flag whose type we know, sorted by name. Flags named like ours (`reserved`) are left out.
pub(super) fn arguments(flags: &DriverFlags, reserved: &[&str]) -> Vec<Arg> {
    let sorted: BTreeMap<&String, &Flag> = flags.options.iter().collect();
    sorted
        .into_iter()
        .filter(|(name, _)| !reserved.contains(&name.as_str()))
        .filter_map(|(name, flag)| argument(name, flag))
        .collect()
}

fn argument(name: &str, flag: &Flag) -> Option<Arg> {
    let kind = OptionKind::of(flag)?;
    let mut argument = Arg::new(name.to_owned())
        .long(name.to_owned())
        .help(help(flag, kind))
        .help_heading("Driver options");
    let camel = camel_case(name);
    if camel != name {
        argument = argument.alias(camel);
    }
    argument = match kind {
        OptionKind::String => argument.value_name("TEXT").action(ArgAction::Set),
        OptionKind::Int | OptionKind::IntPtr => argument
            .value_name("NUMBER")
            .allow_negative_numbers(true)
            .value_parser(ValueParser::from(clap::value_parser!(i64))),
        OptionKind::Bool | OptionKind::BoolPtr => argument
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(ValueParser::bool()),
        OptionKind::StringSlice => argument.value_name("TEXT").action(ArgAction::Append),
    };
    if flag.password {
        argument = argument.env(variable(name)).hide_env_values(true);
    }
    Some(argument)
}

/// The environment variable a secret can come from, so that it need not stand on the command line.
fn variable(name: &str) -> String {
    format!("ROADSTEAD_{}", name.replace('-', "_").to_uppercase())
}

fn help(flag: &Flag, kind: OptionKind) -> String {
    let mut help = flag.usage.clone();
    if flag.password {
        help.push_str(" (secret; @FILE reads it from a file)");
    } else if let Some(default) = default(flag, kind) {
        let _ = write!(help, " [default: {default}]");
    }
    if kind == OptionKind::StringSlice {
        help.push_str(" (may be repeated)");
    }
    help
}

/// What a flag is when it is not given, as text; nothing when that is the empty value of its type.
pub(super) fn default(flag: &Flag, kind: OptionKind) -> Option<String> {
    let default = flag.default.as_ref();
    let text = match kind {
        OptionKind::String => default.map_or_else(|| flag.value.clone(), |default| default.default_string.clone()),
        OptionKind::Bool | OptionKind::BoolPtr => default?.default_bool.to_string(),
        OptionKind::Int | OptionKind::IntPtr => default?.default_int.to_string(),
        OptionKind::StringSlice => default?.default_string_slice.as_ref()?.value.join(","),
    };
    (!text.is_empty()).then_some(text)
}

/// The options that were typed.
pub(super) fn given(flags: &DriverFlags, matches: &ArgMatches) -> Result<DriverOptions, Failure> {
    let mut options = DriverOptions::default();
    for (name, flag) in &flags.options {
        let Some(kind) = OptionKind::of(flag) else { continue };
        // A flag that was left out because its name is one of ours has no argument.
        let Ok(source) = matches.try_contains_id(name).map(|_| matches.value_source(name)) else {
            continue;
        };
        if !matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        match kind {
            OptionKind::String => {
                let text = matches.get_one::<String>(name).cloned().unwrap_or_default();
                let text = if flag.password { secret(name, text)? } else { text };
                options.string_options.insert(name.clone(), text);
            }
            OptionKind::Bool | OptionKind::BoolPtr => {
                options
                    .bool_options
                    .insert(name.clone(), matches.get_one::<bool>(name).copied().unwrap_or_default());
            }
            OptionKind::Int | OptionKind::IntPtr => {
                options
                    .int_options
                    .insert(name.clone(), matches.get_one::<i64>(name).copied().unwrap_or_default());
            }
            OptionKind::StringSlice => {
                let value = matches
                    .get_many::<String>(name)
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect();
                options.string_slice_options.insert(name.clone(), StringSlice { value });
            }
        }
    }
    Ok(options)
}

/// `@FILE` stands for the content of the file, without the line break at its end.
fn secret(name: &str, text: String) -> Result<String, Failure> {
    let Some(path) = text.strip_prefix('@') else {
        return Ok(text);
    };
    std::fs::read_to_string(Path::new(path))
        .map(|content| content.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|error| Failure::usage(format!("cannot read --{name} from {path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kontainer_engine::{OptionSpec, OptionTable};

    const OPTIONS: &[OptionSpec] = &[
        OptionSpec::string("api-token", "token").secret(),
        OptionSpec::string("zone", "zone").default_str("a"),
        OptionSpec::int("node-count", "nodes").default_int(3),
        OptionSpec::bool("spot", "cheap"),
        OptionSpec::strings("taints", "taints"),
        OptionSpec::string("output", "clashes with a flag of ours"),
    ];

    fn parse(args: &[&str]) -> Result<DriverOptions, String> {
        let flags = OptionTable::new(OPTIONS).unwrap().create_flags().clone();
        let matches = clap::Command::new("create")
            .args(arguments(&flags, &["output"]))
            .try_get_matches_from(std::iter::once(&"create").chain(args))
            .map_err(|error| error.to_string())?;
        given(&flags, &matches).map_err(|failure| failure.message)
    }

    #[test]
    fn only_what_was_typed_is_sent() {
        assert_eq!(parse(&[]).unwrap(), DriverOptions::default());
        let options = parse(&["--node-count", "0", "--spot=false", "--zone", ""]).unwrap();
        assert_eq!(options.int_options.get("node-count"), Some(&0));
        assert_eq!(options.bool_options.get("spot"), Some(&false));
        assert_eq!(options.string_options.get("zone").map(String::as_str), Some(""));
    }

    #[test]
    fn both_spellings_mean_the_same() {
        assert_eq!(
            parse(&["--nodeCount", "4"]).unwrap(),
            parse(&["--node-count=4"]).unwrap()
        );
    }

    #[test]
    fn lists_collect_every_occurrence() {
        let options = parse(&["--taints", "a", "--taints=b"]).unwrap();
        assert_eq!(options.string_slice_options["taints"].value, ["a", "b"]);
    }

    #[test]
    fn a_secret_can_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "s3cr3t\n").unwrap();
        let options = parse(&["--api-token", &format!("@{}", path.display())]).unwrap();
        assert_eq!(options.string_options["api-token"], "s3cr3t");
        let missing = parse(&["--api-token", "@/does/not/exist"]).unwrap_err();
        assert!(
            missing.contains("cannot read --api-token from /does/not/exist"),
            "{missing}"
        );
    }

    #[test]
    fn garbage_is_refused_before_anything_is_sent() {
        for args in [
            &["--node-count", "many"][..],
            &["--spot=perhaps"],
            &["--output", "x"],
            &["--unknown"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
