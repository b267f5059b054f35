//! What a cloud controller manager costs, as a process of its own against an API server and a cloud on loopback.
//!
//! ```text
//! cargo bench -p roadstead-tests --bench cloud_manager -- [--nodes 100,500,1000,5000] [--only nodes|services] NAME=BINARY…
//! ```
//!
//! The bounds are shares of what the Go framework needs, measured the same way on a machine with two cores (in brackets:
//! at its best flags). `make bench` passes the binaries as they are shipped.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use roadstead_tests::cloud_manager::{Bound, Figures, Subject, depot, equinix_metal, measure, phoenixnap};

type Describe = fn(PathBuf) -> Subject;

/// All subjects there are, by name.
const SUBJECTS: [(&str, Describe); 3] = [
    ("framework", depot::subject),
    ("equinix-metal", equinix_metal::subject),
    ("phoenixnap", phoenixnap::subject),
];

#[tokio::main]
async fn main() -> ExitCode {
    let mut sizes = vec![100, 500, 1000, 5000];
    let mut subjects = Vec::new();
    let mut only = String::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--only" {
            only = args.next().unwrap_or_default();
        } else if arg == "--nodes" {
            let text = args.next().unwrap_or_default();
            sizes = text.split(',').filter_map(|size| size.parse().ok()).collect();
        } else if let Some((name, binary)) = arg.split_once('=') {
            let known = SUBJECTS.iter().find(|(known, _)| *known == name);
            subjects.extend(known.map(|(_, subject)| subject(binary.into())));
        }
    }
    if subjects.is_empty() {
        let names: Vec<_> = SUBJECTS.iter().map(|(name, _)| *name).collect();
        eprintln!(
            "usage: cloud_manager [--nodes 100,1000] [--only nodes|services] NAME=BINARY…   (names: {}; make bench passes them)",
            names.join(", ")
        );
        return ExitCode::SUCCESS;
    }
    let mut missed = 0;
    for subject in subjects {
        let began = Instant::now();
        let mut figures = Figures::new();
        if only != "services" {
            let mut memory = Vec::new();
            for count in &sizes {
                memory.push((*count, measure::nodes(&subject, *count, &mut figures).await));
            }
            if let (Some((few, small)), Some((many, large))) = (memory.first(), memory.last())
                && many > few
            {
                let each = (large - small) / (many - few) as f64 / 1e3;
                figures.add("memory per node", *many, (each, "kB"), "27 kB", Bound::AtMost(5.0));
            }
            for count in sizes.iter().filter(|count| **count >= 1000) {
                measure::steady(&subject, *count, &mut figures).await;
            }
            measure::throttled_nodes(&subject, 1000, &mut figures).await;
        }
        if subject.service.is_some() && only != "nodes" {
            measure::all_services(&subject, &mut figures).await;
        }
        if only != "services" {
            measure::hand_over(&subject, &mut figures).await;
        }
        println!("{}: {}\n\n{figures}", subject.name, subject.binary.display());
        println!(
            "measured in {:.0?}, {} bounds missed\n",
            began.elapsed(),
            figures.missed()
        );
        missed += figures.missed();
    }
    if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
