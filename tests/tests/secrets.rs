//! No secret in anything that anybody could get to see: what all other tests left behind is searched.
//!
//! `make test` and `make interop` have every test leave its logs, output, events and metrics below `ROADSTEAD_EVIDENCE`
//! (see `cloud_sim::evidence`); `make secrets` runs the search. A token of a provider's account is searched for in every
//! encoding; tokens and keys that look like what they are, wherever they come from.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use cloud_sim::evidence::PLANTED;
use cloud_sim::secrets::leaks;
use rackspace_spot_sim::{ACME_COLLEAGUE_TOKEN, ACME_TOKEN, FREDERICK_TOKEN, PENNILESS_TOKEN, REVOKED_TOKEN};

/// Credentials of simulators that are sent in bodies, where no simulator notes them by itself.
const KNOWN: [&str; 5] = [
    ACME_TOKEN,
    ACME_COLLEAGUE_TOKEN,
    FREDERICK_TOKEN,
    PENNILESS_TOKEN,
    REVOKED_TOKEN,
];

/// What must be among the evidence, or the search would be in vain: a kind, and a word that stands in it.
const EXPECTED: [(&str, &str); 9] = [
    ("log", "creating cloudspace"),
    ("log", "cloud_provider"),
    ("log", "kube_kit"),
    ("output", "roadstead engine"),
    ("output", "log in to Rackspace Spot"),
    ("output", "local cluster: "),
    ("output", "roadstead cluster start"),
    ("events", "\"kind\":\"Event\""),
    ("metrics", "leader_election_master_status"),
];

/// How a signed JSON web token begins, and much else that is JSON in base64.
const TOKEN: &str = "eyJ";

/// How private keys begin, as they are and in base64.
const KEYS: [&str; 4] = [
    concat!("-----BEGIN ", "PRIVATE KEY"),
    concat!("-----BEGIN EC ", "PRIVATE KEY"),
    concat!("LS0tLS1CRUdJTiB", "QUklWQVRFIEtFW"),
    concat!("LS0tLS1CRUdJTiBFQyB", "QUklWQVRFIEtFW"),
];

/// What was left, by kind: which test, and its text.
type Evidence = BTreeMap<String, Vec<(String, String)>>;

fn evidence(dir: &Path) -> Evidence {
    let mut evidence = Evidence::new();
    let files = std::fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}; run make test interop first", dir.display()));
    for path in files.map(|entry| entry.unwrap().path()) {
        let kind = path.extension().unwrap().to_string_lossy().into_owned();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        evidence.entry(kind).or_default().push((name, text));
    }
    evidence
}

/// Every leak, as a line that says where and not what.
fn search(mut evidence: Evidence) -> Vec<String> {
    let planted = evidence.remove(PLANTED).unwrap_or_default();
    let mut planted: BTreeSet<&str> = planted.iter().flat_map(|(_, text)| text.lines()).collect();
    planted.extend(KNOWN);
    let planted: Vec<&str> = planted.into_iter().collect();
    let looks = AhoCorasick::new(KEYS.iter().chain([&TOKEN])).unwrap();
    let mut found = Vec::new();
    for (name, text) in evidence.values().flatten() {
        for leak in leaks(text, &planted) {
            found.push(format!(
                "{name}, line {}: a credential ({}) after {:?}",
                leak.line, leak.form, leak.before
            ));
        }
        for hit in looks.find_iter(text) {
            let what = match &text[hit.range()] {
                TOKEN if is_web_token(&text[hit.start()..]) => "a token",
                TOKEN => continue,
                _ => "a private key",
            };
            let line = text[..hit.start()].matches('\n').count() + 1;
            found.push(format!("{name}, line {line}: {what}"));
        }
    }
    found
}

/// Whether a text that begins so is a signed JSON web token, which is what id tokens and service account tokens are.
fn is_web_token(text: &str) -> bool {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .unwrap_or(text.len());
    text[..end].matches('.').count() >= 2 && end > 60
}

#[test]
#[ignore = "searches what the other tests left: make test interop secrets"]
fn no_text_of_any_test_holds_a_secret() {
    let dir = std::env::var_os("ROADSTEAD_EVIDENCE").map(PathBuf::from);
    let evidence = evidence(&dir.expect("make secrets sets ROADSTEAD_EVIDENCE"));
    let (mut bytes, mut secrets) = (0, 0);
    for (kind, texts) in &evidence {
        let size: usize = texts.iter().map(|(_, text)| text.len()).sum();
        if kind == PLANTED {
            secrets = texts
                .iter()
                .flat_map(|(_, text)| text.lines())
                .collect::<BTreeSet<_>>()
                .len();
        } else {
            bytes += size;
        }
        println!("{kind}: {} files, {size} bytes", texts.len());
    }
    for (kind, word) in EXPECTED {
        let there = evidence
            .get(kind)
            .is_some_and(|texts| texts.iter().any(|(_, text)| text.contains(word)));
        assert!(
            there,
            "no {kind} with {word:?} among what was left: the search would be in vain"
        );
    }
    assert!(bytes > 1_000_000 && secrets > 2, "{bytes} bytes, {secrets} secrets");
    let found = search(evidence);
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_search_finds_what_is_planted() {
    let token = [
        "eyJhbGciOiJFUzI1NiJ9",
        "eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ",
        "c2lnbmF0dXJl",
    ]
    .join(".");
    let with = |log: &str| {
        let text = |text: &str| vec![("x.1".to_owned(), text.to_owned())];
        search(BTreeMap::from([
            (PLANTED.to_owned(), text("planted-api-key-1\nplanted-api-key-2\n")),
            ("log".to_owned(), text(log)),
        ]))
    };
    assert_eq!(with("nothing\nto see: eyJust words. And. More"), Vec::<String>::new());
    for leak in [
        "fine\nX-Auth-Token: planted-api-key-2\n".to_owned(),
        "fine\nx=cGxhbnRlZC1hcGkta2V5LTE=\n".to_owned(),
        format!("fine\nBearer {token}\n"),
        format!("fine\n{}\n", KEYS[1]),
        format!("fine\nclient-key-data: {}\n", KEYS[2]),
    ] {
        let found = with(&leak);
        let at_home = |told: &String| told.starts_with("x.1, line 2: ") && !told.contains("planted-api-key");
        assert!(!found.is_empty() && found.iter().all(at_home), "{leak}: {found:?}");
    }
}
