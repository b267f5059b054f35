//! The command as a process, and a simulated provider beside it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The simulated provider's credential: it must appear nowhere.
pub const SECRET: &str = "spot-sim-refresh-token-acme";

/// A running `roadstead sim`, stopped when it is dropped.
pub struct Sim {
    child: Child,
    pub ready: Value,
}

impl Sim {
    pub fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_roadstead"))
            .arg("sim")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { child, ready }
    }

    pub fn text(&self, member: &str) -> &str {
        self.ready[member]
            .as_str()
            .unwrap_or_else(|| panic!("the ready line has no {member}: {}", self.ready))
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home directory of its own, and the command in it.
pub struct Home {
    pub dir: TempDir,
    provider: String,
    more: Vec<(&'static str, String)>,
}

/// What a command did.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Home {
    /// A home whose driver finds the provider at `url`.
    pub fn new(url: &str) -> Self {
        cloud_sim::evidence::plant(SECRET);
        Self {
            dir: tempfile::tempdir().unwrap(),
            provider: url.to_owned(),
            more: Vec::new(),
        }
    }

    /// Sets one more environment variable.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.more.push((name, value.to_owned()));
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roadstead"));
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path())
            .env("RXTSPOT_BASE_URL", &self.provider)
            .env("RXTSPOT_OAUTH_URL", &self.provider)
            .env("ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN", SECRET)
            // A test that cannot succeed ends all the same.
            .env("ROADSTEAD_TIMEOUT", "2m")
            .envs(self.more.clone())
            .stdin(Stdio::null());
        command
    }

    /// Starts `roadstead` with these words; what it prints can be read while it runs.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Runs `roadstead` with these words.
    pub fn run(&self, args: &[&str]) -> Done {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        let done = Done {
            code: status.code().unwrap_or(-1),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        };
        cloud_sim::evidence::leave("output", &format!("{args:?}\n{}{}", done.out, done.err));
        assert!(
            !done.out.contains(SECRET) && !done.err.contains(SECRET),
            "{args:?} prints the credential"
        );
        done
    }

    /// Runs it and expects success.
    pub fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {}{}", done.out, done.err);
        done.out
    }
}
