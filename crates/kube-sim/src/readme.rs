//! The README says what is so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::controllers::NAMES;
use crate::resource::Registry;

const README: &str = include_str!("../README.md");

/// The rows of the first table after a heading, without its head.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, below) = README.split_once(&format!("{heading}\n")).unwrap();
    let lines = below.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn names(cell: &str) -> BTreeSet<&str> {
    cell.split(", ").map(|name| name.trim_matches('`')).collect()
}

#[test]
fn the_kinds_are_those_of_the_registry() {
    let written: BTreeMap<String, BTreeSet<&str>> = table("### Kinds")
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), names(row[1])))
        .collect();
    let registry = Registry::builtin();
    let mut known: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for resource in registry.all() {
        known.entry(resource.api_version()).or_default().insert(&resource.kind);
    }
    assert_eq!(written, known);
}

#[test]
fn the_controllers_are_those_that_can_run() {
    let written: Vec<&str> = table("### Controllers")
        .iter()
        .map(|row| row[0].trim_matches('`'))
        .collect();
    assert_eq!(written, NAMES);
}

#[test]
fn every_conversation_holds_a_row_and_every_row_has_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/kube-apiserver-1.36");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let rows = table("## What it does");
    let written: Vec<&str> = rows.iter().flat_map(|row| names(row[1])).collect();
    assert_eq!(written.len(), files.len(), "none twice");
    assert_eq!(
        written.into_iter().map(str::to_owned).collect::<BTreeSet<String>>(),
        files
    );
}
