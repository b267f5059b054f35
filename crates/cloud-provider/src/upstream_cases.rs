//! All test cases of upstream, and the proof that each of them is carried over.
//!
//! A test that has seen a case of upstream's come out says so with [`passed`]. The test below runs those tests once more in a
//! process of its own, collects what they say, holds it against `upstream_cases/list.txt`, and prints how many cases there
//! are for each controller. A plain `cargo test -p cloud-provider` shows the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;

const LIST: &str = include_str!("upstream_cases/list.txt");
const MARK: &str = "upstream case passed: ";

/// Says that cases of a group of the list came out as they must; several are separated by a semicolon.
pub(crate) fn passed(group: &str, cases: &str) {
    for case in cases.split("; ") {
        println!("{MARK}{group}: {case}");
    }
}

/// Some cases about one thing.
#[derive(Debug)]
struct Group {
    section: &'static str,
    name: &'static str,
    /// The test that has all of them, where it does not tell them one by one.
    test: Option<&'static str>,
    cases: Vec<Case>,
}

#[derive(Debug)]
struct Case {
    name: &'static str,
    /// How often upstream has it.
    times: usize,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    AsUpstream,
    Otherwise,
    NotAtAll,
}

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut section = "";
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some((name, _)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            section = name;
            continue;
        }
        let mut rest = line;
        if !line.starts_with(' ') {
            let (head, cases) = line.split_once(": ").unwrap_or_else(|| panic!("no group: {line}"));
            let (name, test) = match head.split_once(" @") {
                Some((name, test)) => (name, Some(test)),
                None => (head, None),
            };
            rest = cases;
            let cases = Vec::new();
            groups.push(Group {
                section,
                name,
                test,
                cases,
            });
        }
        let cases = rest.split(';').map(str::trim).filter(|case| !case.is_empty()).map(case);
        groups
            .last_mut()
            .expect("a line before this begins a group")
            .cases
            .extend(cases);
    }
    groups
}

fn case(text: &'static str) -> Case {
    let (how, text) = match text.split_once(' ') {
        Some(("!", text)) => (How::Otherwise, text),
        Some(("-", text)) => (How::NotAtAll, text),
        _ => (How::AsUpstream, text),
    };
    let (name, times) = text.strip_suffix(" x2").map_or((text, 1), |name| (name, 2));
    Case { name, times, how }
}

/// Runs all tests that have cases, and gives back what they said.
fn run(groups: &[Group]) -> String {
    let tests = groups.iter().filter_map(|group| group.test);
    let output = Command::new(std::env::current_exe().unwrap())
        // Those with cases are quick. Of the others two are not.
        .args(["--nocapture", "--skip=a_thousand_nodes", "--skip=an_hour_of"])
        .args(["controllers::", "helpers::"])
        .args(tests)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[test]
fn every_upstream_case_passes_and_is_counted() {
    let groups = groups();
    let said = run(&groups);
    let told = said
        .lines()
        .filter_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
    let told: BTreeSet<String> = told.collect();
    let mut listed = BTreeSet::new();
    let mut missing = Vec::new();
    // For each section: as upstream, otherwise, not at all.
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for group in &groups {
        let has_all = group.test.map(|test| said.contains(&format!("test {test} ... ")));
        for case in &group.cases {
            let name = format!("{}: {}", group.name, case.name);
            let passed = has_all.unwrap_or_else(|| told.contains(&name));
            if passed || case.how == How::NotAtAll {
                counts.entry(group.section).or_default()[case.how as usize] += case.times;
            } else {
                missing.push(name.clone());
            }
            assert!(listed.insert(name.clone()), "listed twice: {name}");
        }
    }
    // Written past the harness, which shows what a test prints only when it fails.
    let _ = std::io::stdout().write_all(table(&counts).as_bytes());
    assert_eq!(missing, [""; 0], "listed, and no test has them");
    let unlisted: Vec<_> = told.difference(&listed).collect();
    assert_eq!(unlisted, [""; 0], "tested, and not in the list");
}

fn table(counts: &BTreeMap<&str, [usize; 3]>) -> String {
    let mut text = "\nupstream's test cases             passed  otherwise on purpose  not carried over\n".to_owned();
    let mut all = [0; 3];
    let mut row = |name: &str, [same, otherwise, not]: [usize; 3]| {
        let _ = writeln!(text, "  {name:<31} {:>6} {otherwise:>21} {not:>17}", same + otherwise);
    };
    for (section, count) in counts {
        row(section, *count);
        for (all, count) in all.iter_mut().zip(count) {
            *all += count;
        }
    }
    row("all", all);
    text.push('\n');
    text
}
