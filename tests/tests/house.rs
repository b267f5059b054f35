//! The rules of the house, held against what is really there: who may import whom, and how long a file may be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A row or column of the import table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Room {
    Kit,
    CloudHttp,
    KubeKit,
    KontainerEngine,
    CloudProvider,
    LocalCluster,
    Simulator,
    Suite,
    Provider,
    Top,
}
use Room::{CloudHttp, CloudProvider, Kit, KontainerEngine, KubeKit, LocalCluster, Provider, Simulator, Suite, Top};

/// The table: what a room may import. What is not listed is forbidden. Development dependencies are free.
fn may_import(room: Room) -> &'static [Room] {
    match room {
        Kit => &[],
        CloudHttp | KubeKit => &[Kit],
        KontainerEngine | CloudProvider | LocalCluster => &[Kit, KubeKit],
        Provider => &[Kit, CloudHttp, KubeKit, KontainerEngine, CloudProvider],
        Simulator => &[Kit, Simulator],
        Suite => &[Kit, CloudHttp, KubeKit, CloudProvider, Simulator],
        Top => &[
            Kit,
            CloudHttp,
            KubeKit,
            KontainerEngine,
            CloudProvider,
            LocalCluster,
            Simulator,
            Suite,
            Provider,
            Top,
        ],
    }
}

fn room(name: &str, manifest: &str) -> Option<Room> {
    let provider = manifest.contains("/providers/");
    Some(match name {
        "kit" => Kit,
        "cloud-http" => CloudHttp,
        "kube-kit" => KubeKit,
        "kontainer-engine" => KontainerEngine,
        "cloud-provider" => CloudProvider,
        "local-cluster" => LocalCluster,
        "kube-sim" | "cloud-sim" => Simulator,
        "provider-suite" => Suite,
        "roadstead" | "roadstead-tests" => Top,
        _ if provider && manifest.ends_with("/sim/Cargo.toml") => Simulator,
        _ if provider => Provider,
        _ => return None,
    })
}

struct Crate {
    room: Room,
    imports: BTreeSet<String>,
    has_binary: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// What cargo knows of the crates of the workspace.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn crates() -> BTreeMap<String, Crate> {
    let metadata = metadata();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let name = text(package, "name");
            let room = room(&name, &text(package, "manifest_path"))
                .unwrap_or_else(|| panic!("{name} has no place in the import table: give it one"));
            let imports = package["dependencies"].as_array().unwrap().iter();
            let imports = imports
                .filter(|import| !import["path"].is_null() && import["kind"] != "dev")
                .map(|import| text(import, "name"))
                .collect();
            let has_binary = package["targets"]
                .as_array()
                .unwrap()
                .iter()
                .any(|target| target["kind"].as_array().unwrap().contains(&Value::from("bin")));
            (
                name,
                Crate {
                    room,
                    imports,
                    has_binary,
                },
            )
        })
        .collect()
}

#[test]
fn every_import_is_in_the_table() {
    let crates = crates();
    assert!(crates.len() >= 10, "cargo metadata lists {} crates", crates.len());
    for (name, krate) in &crates {
        for import in &krate.imports {
            let target = crates[import].room;
            assert!(
                may_import(krate.room).contains(&target),
                "{name} must not import {import}"
            );
        }
    }
}

#[test]
fn no_shipped_driver_or_controller_links_a_simulator() {
    fn reach<'a>(crates: &'a BTreeMap<String, Crate>, name: &'a str, seen: &mut BTreeSet<&'a str>) {
        if seen.insert(name) {
            for import in &crates[name].imports {
                reach(crates, import, seen);
            }
        }
    }
    let crates = crates();
    let mut shipped = 0;
    for (name, _) in crates
        .iter()
        .filter(|(_, krate)| krate.room == Provider && krate.has_binary)
    {
        shipped += 1;
        let mut seen = BTreeSet::new();
        reach(&crates, name, &mut seen);
        let of_tests = |name: &&&str| [Simulator, Suite].contains(&crates[**name].room);
        let of_tests: Vec<_> = seen.iter().filter(of_tests).collect();
        assert!(of_tests.is_empty(), "{name} links {of_tests:?}");
    }
    assert!(shipped > 0, "no shipped binary was looked at");
}

/// A file is one concept; what is longer than this is more than one.
const LONGEST_FILE: usize = 600;

#[test]
fn no_source_file_is_longer_than_one_concept() {
    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for dir in ["crates", "providers", "tests"] {
        sources(&root().join(dir), &mut found);
    }
    assert!(found.len() > 20, "only {} source files were looked at", found.len());
    let long: Vec<_> = found
        .iter()
        .map(|path| (std::fs::read_to_string(path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .collect();
    assert!(long.is_empty(), "longer than {LONGEST_FILE} lines: {long:#?}");
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    fn pages(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pages(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    pages(&root().join("docs"), &mut found);
    let mut links = 0;
    for page in &found {
        let text = std::fs::read_to_string(page).unwrap();
        for (_, after) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = after.split([')', '#', ' ']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            links += 1;
            assert!(
                page.parent().unwrap().join(target).exists(),
                "{} links to {target}",
                page.display()
            );
        }
    }
    assert!(links > 5, "only {links} links were followed");
}

/// `cargo run --release -- demo` in the README means the command people type, without a word more.
#[test]
fn cargo_run_means_the_command_people_type() {
    let metadata = metadata();
    let default = metadata["workspace_default_members"].as_array().unwrap();
    let binaries: Vec<&str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| default.contains(&package["id"]))
        .flat_map(|package| package["targets"].as_array().unwrap())
        .filter(|target| target["kind"][0] == "bin")
        .filter_map(|target| target["name"].as_str())
        .collect();
    assert_eq!(binaries, ["roadstead"]);
}

/// Dependencies that only generated code names.
const IN_GENERATED_CODE: [&str; 1] = ["tonic-prost"];

#[test]
fn every_dependency_is_used() {
    fn read(dir: &Path, text: &mut String) {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    fn names(text: &str, krate: &str) -> bool {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        text.match_indices(krate)
            .any(|(at, _)| !text[..at].ends_with(part) && !text[at + krate.len()..].starts_with(part))
    }
    let metadata = metadata();
    let mut unused = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let home = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let mut shipped = String::new();
        read(&home.join("src"), &mut shipped);
        let mut all = std::fs::read_to_string(home.join("build.rs")).unwrap_or_default() + &shipped;
        for dir in ["tests", "benches", "examples", "fakes"] {
            read(&home.join(dir), &mut all);
        }
        for import in package["dependencies"].as_array().unwrap() {
            let name = import["name"].as_str().unwrap();
            let text = if import["kind"].is_null() { &shipped } else { &all };
            if !names(text, &name.replace('-', "_")) && !IN_GENERATED_CODE.contains(&name) {
                unused.push(format!("{} does not use {name}", package["name"]));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}
