//! A driver's options: declared once, read from both spellings, and told to people.

mod assign;
mod reference;
mod spec;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use spec::{DefaultValue, OptionKind, OptionSpec, Phase};
pub use table::{OptionTable, TableError};
pub use values::{InvalidOptions, Options};

/// The name Rancher reads a flag `kebab-case` under: split at dashes, every part but the first capitalised. Mirrors
/// toLowerCamelCase in rancher/rancher `pkg/controllers/management/drivers/kontainerdriver/kontainerdriver.go`, which
/// panics where a part is empty; here an empty part adds nothing.
pub fn camel_case(kebab: &str) -> String {
    let mut parts = kebab.split('-');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}
