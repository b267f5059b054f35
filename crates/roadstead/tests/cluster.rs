//! `roadstead cluster` as people type it, on a machine with nothing installed: the simulated API server for real.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A machine with an empty `PATH` and a home of its own.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roadstead"));
        command.arg("cluster").args(line.split_whitespace()).env_clear();
        command
            .env("HOME", self.dir.path())
            .env("PATH", self.path("no-such-dir"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// The exit code, standard output and standard error.
    fn said(&self, line: &str) -> (i32, String, String) {
        let output = self.run(line);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    fn server(&self) -> Value {
        let text = std::fs::read(self.path(".local/share/roadstead/sim/dev/sim.pid")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["pid"].clone()
    }

    /// Asks the API server with the credentials of the merged kubeconfig, through curl's own configuration.
    fn get(&self, path: &str) -> String {
        self.curl("", path)
    }

    fn curl(&self, flags: &str, path: &str) -> String {
        let script = format!(
            "PATH=/usr/bin:/bin; T=$(sed -n 's/^ *token: //p' $KUBECONFIG); S=$(sed -n 's/^ *server: //p' $KUBECONFIG); curl -sk -H \"Authorization: Bearer $T\" {flags} $S{path}"
        );
        let mut command = self.command("exec --driver sim --");
        let output = command.args(["/bin/sh", "-c", &script]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.run("destroy --driver sim --yes");
    }
}

fn alive(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    Path::new(&format!("/proc/{pid}")).exists() && !stat.contains(") Z ")
}

fn kill(pid: &Value) {
    assert!(
        Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
    let begun = Instant::now();
    while alive(pid) {
        assert!(begun.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_machine_with_nothing_installed_gets_a_cluster_in_no_time() {
    let machine = Machine::new();
    let begun = Instant::now();
    let (code, out, err) = machine.said("start");
    assert_eq!(code, 0, "{err}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(
        out.contains("ready") && out.contains("sim-dev") && out.contains("runs no containers"),
        "{out}"
    );
    assert!(
        err.contains("driver sim: none of k3d, kind, minikube and colima is on this machine"),
        "{err}"
    );
    let kubeconfig = std::fs::read_to_string(machine.path(".kube/config")).unwrap();
    assert!(kubeconfig.contains("current-context: sim-dev"), "{kubeconfig}");
    assert!(
        machine
            .get("/api/v1/namespaces/default")
            .contains("\"kind\":\"Namespace\"")
    );
    let (code, out, _) = machine.said("status -o json");
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &status["state"], &status["exists"]),
        (0, &"ready".into(), &true.into())
    );
    assert_eq!(machine.said("stop").0, 0);
    assert_eq!(machine.said("status").0, 3);
    let (code, out, err) = machine.said("start -o jsonl");
    assert_eq!((code, err.as_str()), (0, ""));
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.last().unwrap()["status"]["state"], "ready");
    assert!(events.iter().any(|event| event["event"] == "phase"));
    assert_eq!(machine.said("destroy --yes").0, 0);
    assert!(!machine.path(".local/share/roadstead/sim/dev").exists());
    assert!(
        !std::fs::read_to_string(machine.path(".kube/config"))
            .unwrap()
            .contains("sim-dev")
    );
}

#[test]
fn a_killed_server_is_stopped_and_comes_back_at_its_address() {
    let machine = Machine::new();
    assert_eq!(machine.said("start").0, 0);
    let server = |machine: &Machine| {
        let text = std::fs::read_to_string(machine.path(".kube/config")).unwrap();
        text.lines().find(|line| line.contains("server:")).unwrap().to_owned()
    };
    let (pid, before) = (machine.server(), server(&machine));
    kill(&pid);
    assert_eq!(machine.said("status").0, 3);
    assert_eq!(machine.said("start").0, 0);
    assert_ne!(machine.server(), pid);
    assert_eq!(server(&machine), before);
    assert!(machine.get("/version").contains("gitVersion"));
}

#[test]
fn what_was_created_is_there_after_a_stop_and_after_a_kill() {
    let machine = Machine::new();
    assert_eq!(machine.said("start").0, 0);
    let create = |name: &str| {
        let body = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#);
        let data = format!("-H Content-Type:application/json -d '{body}'");
        assert!(
            machine
                .curl(&data, "/api/v1/namespaces/default/configmaps")
                .contains("\"uid\"")
        );
    };
    let found = |name: &str| machine.get(&format!("/api/v1/namespaces/default/configmaps/{name}"));
    create("kept");
    let before = found("kept");
    assert_eq!(machine.said("stop").0, 0);
    assert_eq!(machine.said("start").0, 0);
    assert_eq!(found("kept"), before, "to the last bit of its metadata");
    create("saved");
    // It is saved about once a second.
    let state = machine.path(".local/share/roadstead/sim/dev/state.json");
    let begun = Instant::now();
    while !std::fs::read_to_string(&state).unwrap().contains("\"saved\"") {
        assert!(begun.elapsed() < Duration::from_secs(10), "the state is not saved");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(&machine.server());
    assert_eq!(machine.said("restart").0, 0);
    assert!(found("saved").contains("\"uid\"") && found("kept") == before);
}

#[test]
fn twenty_commands_at_once_start_one_server() {
    let machine = Machine::new();
    let children: Vec<_> = (0..20).map(|_| machine.command("start").spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let pid = machine.server();
    assert!(alive(&pid));
    let marker = machine.path(".local/share/roadstead/sim/dev").display().to_string();
    let servers = std::fs::read_dir("/proc").unwrap().flatten().filter(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&marker)
    });
    assert_eq!(servers.count(), 1);
}

#[test]
fn mistakes_have_their_exit_codes_and_say_what_to_do() {
    let machine = Machine::new();
    let (code, _, err) = machine.said("start --driver nope");
    assert_eq!(code, 3);
    assert!(
        err.contains("cluster driver not found") && err.contains("minikube"),
        "{err}"
    );
    let (code, _, err) = machine.said("start --driver k3d");
    assert_eq!(code, 1);
    assert!(err.contains("hint: install k3d"), "{err}");
    assert_eq!(machine.said("start --profile a/b").0, 2);
    assert_eq!(machine.said("start --timeout soon").0, 2);
    std::fs::write(machine.path("bad.yaml"), "sim:\n  apiPort: many\n").unwrap();
    let bad = machine.path("bad.yaml").display().to_string();
    let (code, _, err) = machine.said(&format!("start --driver sim --config {bad}"));
    assert_eq!(code, 2);
    assert!(err.contains("bad.yaml") && err.contains("line 2"), "{err}");
    let (code, out, err) = machine.said("start --dry-run");
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains("sim kubernetes --listen 127.0.0.1:"), "{err}");
    assert!(!machine.path(".kube").exists());
    assert_eq!(machine.said("start").0, 0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::fs::write(machine.path("port.yaml"), format!("sim: {{apiPort: {port}}}")).unwrap();
    let other = machine.path("port.yaml").display().to_string();
    let (code, _, err) = machine.said(&format!("start --config {other}"));
    assert_eq!(code, 4);
    assert!(
        err.contains("cluster configuration mismatch: apiPort: running") && err.contains("applies on restart"),
        "{err}"
    );
    let (code, _, err) = machine.said(&format!("restart --config {other}"));
    assert_eq!(code, 4, "{err}");
    assert!(err.contains(&format!("port {port} of 127.0.0.1 is taken by")), "{err}");
    drop(listener);
    assert_eq!(machine.said(&format!("restart --config {other}")).0, 0);
    assert!(
        std::fs::read_to_string(machine.path(".kube/config"))
            .unwrap()
            .contains(&format!("127.0.0.1:{port}"))
    );
}

#[test]
fn lists_and_completions_know_the_clusters() {
    let machine = Machine::new();
    assert_eq!(machine.said("start --profile dev").0, 0);
    let (_, out, _) = machine.said("list -o json");
    let list: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&list[0]["driver"], &list[0]["state"], list.as_array().unwrap().len()),
        (&"sim".into(), &"running".into(), 1)
    );
    let (_, out, _) = machine.said("drivers -o jsonl");
    assert_eq!(out.lines().count(), 7);
    let (_, path, _) = machine.said("kubeconfig --path");
    assert!(path.trim().ends_with("sim-dev.yaml"), "{path}");
    let output = Command::new(env!("CARGO_BIN_EXE_roadstead"))
        .args(["completions", "bash"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("cluster"));
}

#[test]
fn a_cluster_that_could_not_be_made_anew_is_not_destroyed() {
    let machine = Machine::new();
    let (code, _, err) = machine.said("start --driver sim");
    assert_eq!(code, 0, "{err}");
    let before = machine.server();
    // A port that somebody else has.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for config in [
        "driver: [\n".to_owned(),
        "driver: sim\nsim: {apiPort: 99999999}\n".to_owned(),
        format!("driver: sim\nsim: {{apiPort: {port}}}\n"),
    ] {
        std::fs::write(machine.path("config.yaml"), &config).unwrap();
        let line = format!(
            "start --recreate --yes --config {}",
            machine.path("config.yaml").display()
        );
        let (code, _, err) = machine.said(&line);
        assert_ne!(code, 0, "{config}: {err}");
        assert_eq!(machine.server(), before, "{config}: the cluster was destroyed: {err}");
    }
    machine.said("destroy --driver sim --yes");
}
