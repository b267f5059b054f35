//! How the options of a driver are shown.

use std::collections::BTreeMap;

use kit::Table;
use kontainer_engine::{DriverFlags, Flag, OptionKind};
use serde::Serialize;

use super::flags;
use crate::console::{self, Format};
use crate::failure::Failure;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    secret: bool,
    usage: &'a str,
}

/// All options, sorted by name.
pub(super) fn print(flags: &DriverFlags, output: Format) -> Result<(), Failure> {
    let sorted: BTreeMap<&String, &Flag> = flags.options.iter().collect();
    let shown: Vec<Shown<'_>> = sorted
        .into_iter()
        .map(|(name, flag)| Shown {
            name,
            r#type: &flag.r#type,
            default: OptionKind::of(flag)
                .filter(|_| !flag.password)
                .and_then(|kind| flags::default(flag, kind)),
            secret: flag.password,
            usage: &flag.usage,
        })
        .collect();
    console::value(output, &shown, || {
        let mut table = Table::new(["OPTION", "TYPE", "DEFAULT", "USAGE"]);
        for option in &shown {
            let kind = if option.secret { "secret" } else { option.r#type };
            table.row([
                option.name,
                kind,
                option.default.as_deref().unwrap_or_default(),
                option.usage,
            ]);
        }
        table.to_string()
    })
}
