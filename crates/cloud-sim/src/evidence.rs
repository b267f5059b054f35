//! What tests leave behind, so that a last test can search all of it for secrets.
//!
//! `ROADSTEAD_EVIDENCE` names a directory, and `make secrets` sets it. Then every test process that makes a simulator
//! writes whatever any crate logs in it, down to the last trace, to a file there, and tests put beside it what else people
//! could get to see: the output of commands, metrics, events. Every credential that a simulator is shown is noted, so that
//! it is known what to search for. Without the variable nothing is written.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, Once, PoisonError};

use http::HeaderMap;
use tracing_subscriber::EnvFilter;

const VARIABLE: &str = "ROADSTEAD_EVIDENCE";

/// The kind of file that lists what to search for, a secret a line.
pub const PLANTED: &str = "planted";
/// Shorter words stand in texts by chance.
const SHORTEST_SECRET: usize = 12;
/// Headers that carry a credential.
const CREDENTIALS: [&str; 3] = ["authorization", "x-auth-token", "cookie"];

/// All that our crates log, and what the libraries below them tell to whoever debugs.
const LOGGED: &str = "trace,h2=debug,hyper=debug,hyper_util=debug,mio=debug,rustls=debug,tower=debug";

/// Begins to keep what this process logs, unless it has begun or something else listens already.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if tracing::dispatcher::has_been_set() {
            return;
        }
        let Some(file) = open("log") else { return };
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(LOGGED))
            .with_ansi(false)
            .with_writer(Mutex::new(file))
            .finish();
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// Keeps a text that somebody could get to see; `kind` says what it is in the file's name: `output`, `metrics`, `events`.
pub fn leave(kind: &str, text: &str) {
    if let Some(mut file) = open(kind) {
        let _ = writeln!(file, "{text}");
    }
}

/// Notes a secret to search for. JSON web tokens are found by their form and need not be noted.
pub fn plant(secret: &str) {
    static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if secret.len() < SHORTEST_SECRET || secret.starts_with("eyJ") || std::env::var_os(VARIABLE).is_none() {
        return;
    }
    if KNOWN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(secret.to_owned())
    {
        leave(PLANTED, secret);
    }
}

/// Notes the credentials of a request.
pub(crate) fn plant_headers(headers: &HeaderMap) {
    let values = CREDENTIALS.iter().flat_map(|name| headers.get_all(*name));
    for value in values.filter_map(|value| value.to_str().ok()) {
        plant(value.split_once(' ').map_or(value, |(_scheme, secret)| secret).trim());
    }
}

/// The file of this process for a kind of text. What cannot be written is missed by the test that reads it.
fn open(kind: &str) -> Option<File> {
    let dir = PathBuf::from(std::env::var_os(VARIABLE)?);
    let program = std::env::current_exe().ok()?;
    let program = program.file_stem()?.to_string_lossy().into_owned();
    std::fs::create_dir_all(&dir).ok()?;
    let path = dir.join(format!("{program}.{}.{kind}", std::process::id()));
    OpenOptions::new().create(true).append(true).open(path).ok()
}
