//! The reference page of a driver's options.

use std::fmt::Write as _;

use super::spec::{DefaultValue, OptionSpec};

/// A Markdown table with one line per option, in the order of declaration.
pub(super) fn markdown(specs: &[OptionSpec]) -> String {
    let mut page = String::from(
        "| flag | field in Rancher | type | default | create | update | meaning |\n|---|---|---|---|---|---|---|\n",
    );
    for spec in specs {
        let default = match spec.default {
            DefaultValue::None => String::new(),
            DefaultValue::Str(text) => format!("`{text}`"),
            DefaultValue::Bool(yes) => format!("`{yes}`"),
            DefaultValue::Int(number) => format!("`{number}`"),
            DefaultValue::Strings(items) => format!("`{}`", items.join(",")),
        };
        let create = match (spec.create, spec.required) {
            (true, true) => "required",
            (true, false) => "yes",
            (false, _) => "",
        };
        let mut meaning = spec.usage.replace('|', "\\|");
        if spec.secret {
            meaning.push_str(" (secret)");
        }
        if !spec.aliases.is_empty() {
            let _ = write!(meaning, " (also read from `{}`)", spec.aliases.join("`, `"));
        }
        let _ = writeln!(
            page,
            "| `--{}` | `{}` | {} | {default} | {create} | {} | {meaning} |",
            spec.name,
            super::camel_case(spec.name),
            spec.kind.as_str(),
            if spec.update { "yes" } else { "" },
        );
    }
    page
}
