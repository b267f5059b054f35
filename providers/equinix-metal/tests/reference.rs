//! The reference page is that of the table.
#![allow(
    clippy::unwrap_used,
    reason = "this is test code, which clippy sees only in test functions"
)]

use equinix_metal::config::table::{Kind, SETTINGS, Setting};

const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/equinix-metal-config.md"
);
const BEGIN: &str =
    "<!-- made from the table in the code: ROADSTEAD_BLESS=1 cargo test -p equinix-metal --test reference -->\n";
const END: &str = "<!-- end -->\n";

fn row(setting: &Setting) -> String {
    let kind = match setting.kind {
        Kind::Text => "text".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::Url => "URL".to_owned(),
        Kind::Number(most) => format!("number up to {most}"),
        Kind::Bool => "boolean".to_owned(),
    };
    let default = if setting.default.is_empty() {
        String::new()
    } else {
        format!("`{}`", setting.default)
    };
    format!(
        "| `{}` | `{}` | {kind} | {default} | {} |\n",
        setting.key, setting.env, setting.help
    )
}

fn table() -> String {
    let rows: String = SETTINGS.iter().map(row).collect();
    format!("| key | variable | kind | default | meaning |\n|---|---|---|---|---|\n{rows}")
}

#[test]
fn the_reference_page_has_every_setting() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if found != table() && std::env::var_os("ROADSTEAD_BLESS").is_some() {
        std::fs::write(PAGE, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert_eq!(found, table(), "docs/reference/equinix-metal-config.md is stale");
}

#[test]
fn no_key_or_variable_stands_twice() {
    for (n, one) in SETTINGS.iter().enumerate() {
        for other in &SETTINGS[n + 1..] {
            assert!(!one.key.eq_ignore_ascii_case(other.key), "{}", one.key);
            assert_ne!(one.env, other.env);
        }
    }
}
