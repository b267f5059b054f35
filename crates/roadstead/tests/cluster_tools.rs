//! `roadstead cluster` on a terminal, with signals, and with a tool that takes its time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Half a cluster is made at once; the rest would take an hour. Its state is a file, as with the real one it is containers.
const K3D: &str = r#"#!/bin/sh
echo "$*" >> "$HOME/calls"
case "$1 $2" in
"cluster list") if [ -f "$HOME/half" ]; then cat "$HOME/half"; else echo '[]'; fi ;;
"cluster create")
    trap 'echo polite > "$HOME/terminated"; exit 1' TERM
    cp "$HOME/made" "$HOME/half"
    /bin/sleep 3600 &
    wait ;;
"cluster delete") rm -f "$HOME/half" ;;
*) exit 1 ;;
esac
"#;

struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for (name, text) in [("k3d", K3D), ("docker", "#!/bin/sh\necho 28.2.2\n")] {
            std::fs::write(bin.join(name), text).unwrap();
            std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let node = |role: &str| json!({"name": format!("k3d-dev-{role}-0"), "role": role, "State": {"Running": true, "Status": "running"}});
        let half = json!([{"name": "dev", "nodes": [node("server")], "serversRunning": 1, "serversCount": 1}]);
        std::fs::write(dir.path().join("made"), half.to_string()).unwrap();
        Self { dir }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roadstead"));
        command.arg("cluster").args(line.split_whitespace()).env_clear();
        command
            .env("HOME", self.dir.path())
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("TERM", "xterm");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The exit code, standard output and standard error.
    fn said(&self, line: &str) -> (i32, String, String) {
        let output = self.command(line).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    fn calls(&self, begin: &str) -> usize {
        let calls = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().filter(|line| line.starts_with(begin)).count()
    }
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_signal_ends_the_tool_politely_and_the_next_command_knows() {
    for signal in [Signal::INT, Signal::TERM] {
        let machine = Machine::new();
        let mut child = machine.command("start --driver k3d").spawn().unwrap();
        until("half a cluster", || machine.path("half").exists());
        let (code, out, _) = machine.said("status --driver k3d -o json");
        let status: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &status["state"]), (4, &json!("starting")), "{out}");
        let begun = Instant::now();
        send(&child, signal);
        let ended = child.wait().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(ended.code(), Some(130), "{signal:?}");
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(
            err.contains("interrupted") && err.contains("roadstead cluster status"),
            "{err}"
        );
        until("the polite end of k3d", || machine.path("terminated").exists());
        let record = std::fs::read(machine.path(".local/share/roadstead/clusters/k3d/dev.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&record).unwrap()["phase"], "creating");
        // The tool may need a moment to be gone.
        let mut last = Value::Null;
        until("the state without k3d", || {
            let (code, out, _) = machine.said("status --driver k3d -o json");
            last = serde_json::from_str(&out).unwrap();
            code == 4 && last["state"] == "not-ready"
        });
        assert!(
            last["reason"].as_str().unwrap().starts_with("interrupted start"),
            "{last}"
        );
        let (code, _, err) = machine.said("start --driver k3d");
        assert_eq!(code, 4);
        assert!(
            err.contains("k3d-dev-server-0") && err.contains("start --recreate"),
            "{err}"
        );
        assert_eq!(machine.said("destroy --driver k3d --yes").0, 0);
        assert_eq!(machine.said("status --driver k3d").0, 3);
    }
}

#[test]
fn a_timeout_is_kept_and_has_its_exit_code() {
    let machine = Machine::new();
    let begun = Instant::now();
    let (code, _, err) = machine.said("start --driver k3d --timeout 700ms");
    assert_eq!(code, 6, "{err}");
    assert!(err.contains("did not finish within"), "{err}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(machine.path("terminated").exists());
    std::fs::write(machine.path("bin/k3d"), "#!/bin/sh\nexec /bin/sleep 3600\n").unwrap();
    assert_eq!(
        machine.said("status --driver k3d --timeout 300ms").0,
        1,
        "it cannot be told"
    );
    for line in [
        "kubeconfig --driver k3d --timeout 300ms",
        "exec --driver k3d --timeout 300ms -- true",
        "stop --driver k3d --timeout 300ms",
        "destroy --driver k3d --yes --timeout 300ms",
    ] {
        let begun = Instant::now();
        let (code, _, err) = machine.said(line);
        assert_eq!(code, 6, "{line}: {err}");
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{line}: {:?}",
            begun.elapsed()
        );
        assert!(err.contains("within"), "{line}: {err}");
    }
    let begun = Instant::now();
    let (code, out, err) = machine.said("list --timeout 300ms");
    assert_eq!(code, 0, "what can be told is told");
    assert!(out.contains("unknown") && err.contains("warning: k3d: "), "{out}{err}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// A command on a terminal of its own, and the other end of that.
fn on_a_terminal(machine: &Machine, line: &str) -> (Child, File) {
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&near).unwrap();
    unlockpt(&near).unwrap();
    let name = ptsname(&near, Vec::new()).unwrap().into_string().unwrap();
    let far = File::options().read(true).write(true).open(name).unwrap();
    let child = machine
        .command(line)
        .stdin(far.try_clone().unwrap())
        .stdout(Stdio::null())
        .stderr(far)
        .spawn()
        .unwrap();
    (child, File::from(near))
}

/// Reads until the question, answers it, and returns what was said and the exit code.
fn answered(machine: &Machine, line: &str, answer: &str) -> (String, i32) {
    let (mut child, mut terminal) = on_a_terminal(machine, line);
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains("[y/N]") {
        match terminal.read(&mut byte) {
            Ok(1) => said.push(byte[0]),
            // The other end is closed when the command has ended.
            _ => {
                return (
                    String::from_utf8_lossy(&said).into_owned(),
                    child.wait().unwrap().code().unwrap(),
                );
            }
        }
    }
    terminal.write_all(answer.as_bytes()).unwrap();
    let reading = std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = terminal.read_to_end(&mut rest);
        rest
    });
    let code = child.wait().unwrap().code().unwrap();
    said.extend(reading.join().unwrap());
    (String::from_utf8_lossy(&said).into_owned(), code)
}

fn make(machine: &Machine) {
    std::fs::copy(machine.path("made"), machine.path("half")).unwrap();
}

#[test]
fn somebody_at_a_terminal_is_asked_before_data_is_removed() {
    let machine = Machine::new();
    for line in ["destroy --driver k3d", "start --driver k3d --recreate"] {
        for answer in ["\n", "n\n", "nope\n", "\u{4}"] {
            make(&machine);
            let (said, code) = answered(&machine, line, answer);
            assert!(
                said.contains("Destroy the k3d cluster dev with all its data?"),
                "{said}"
            );
            assert!(said.contains("nothing was destroyed"), "{said}");
            assert_eq!(code, 1, "{answer:?}: {said}");
            assert!(
                machine.path("half").exists() && machine.calls("cluster delete") == 0,
                "{answer:?}"
            );
        }
    }
    for (n, answer) in ["y\n", "YES\n"].iter().enumerate() {
        make(&machine);
        let (said, code) = answered(&machine, "destroy --driver k3d", answer);
        assert_eq!((code, machine.calls("cluster delete")), (0, n + 1), "{said}");
    }
    let (said, code) = answered(&machine, "destroy --driver k3d", "");
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("[y/N]"), "there is nothing to lose: {said}");
    make(&machine);
    let (said, code) = answered(&machine, "destroy --driver k3d --yes", "");
    assert!(code == 0 && !said.contains("[y/N]"), "{said}");
}

#[test]
fn an_interrupt_at_the_question_is_an_answer() {
    let machine = Machine::new();
    make(&machine);
    let (mut child, mut terminal) = on_a_terminal(&machine, "destroy --driver k3d");
    let mut said = String::new();
    let mut byte = [0];
    while !said.contains("[y/N]") {
        assert_eq!(terminal.read(&mut byte).unwrap(), 1);
        said.push(char::from(byte[0]));
    }
    let begun = Instant::now();
    send(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(machine.path("half").exists());
}

#[test]
fn without_a_terminal_silence_is_no_consent() {
    let machine = Machine::new();
    make(&machine);
    for line in ["destroy --driver k3d", "start --driver k3d --recreate"] {
        let (code, _, err) = machine.said(line);
        assert_eq!(code, 2, "{err}");
        assert!(
            err.contains("nobody was asked") && err.contains("hint: pass --yes"),
            "{err}"
        );
    }
    assert_eq!(machine.calls("cluster delete"), 0);
    let (code, out, _) = machine.said("destroy --driver k3d --dry-run");
    assert_eq!((code, out.as_str()), (0, "k3d cluster delete dev\n"));
    assert_eq!(machine.said("destroy --driver k3d -y").0, 0);
    assert_eq!(machine.calls("cluster delete"), 1);
}

#[test]
fn a_dry_run_has_a_result_in_every_form() {
    let machine = Machine::new();
    make(&machine);
    let commands = |text: &str| -> Vec<String> {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value["dryRun"], true);
        serde_json::from_value(value["commands"].clone()).unwrap()
    };
    let (code, out, err) = machine.said("start --driver k3d --recreate --dry-run -o json");
    assert_eq!(code, 0, "{err}");
    let told = commands(&out);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0] == "k3d cluster delete dev" && told[1].starts_with("k3d cluster create dev"),
        "{told:?}"
    );
    let (_, yaml, _) = machine.said("stop --driver k3d --dry-run -o yaml");
    assert_eq!(yaml, "dryRun: true\ncommands:\n- k3d cluster stop dev\n");
    let (_, lines, _) = machine.said("stop --driver k3d --dry-run -o jsonl");
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({"event": "plan", "commands": ["k3d cluster stop dev"]}));
    let (_, out, err) = machine.said("stop --driver k3d --dry-run");
    assert_eq!(out, "k3d cluster stop dev\n");
    assert!(
        !err.contains("cluster stop dev") && err.contains("nothing was changed"),
        "{err}"
    );
    std::fs::remove_file(machine.path("half")).unwrap();
    assert!(commands(&machine.said("stop --driver k3d --dry-run -o json").1).is_empty());
    assert_eq!(machine.said("stop --driver k3d --dry-run").1, "");
    let changes = ["cluster create", "cluster stop", "cluster delete"];
    assert!(changes.iter().all(|verb| machine.calls(verb) == 0));
}
