//! `roadstead cluster` as people type it, on a machine with nothing installed: the simulated API server for real.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

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
        // The simulator in the background leaves its logs, and what to search for.
        if let Some(dir) = std::env::var_os("ROADSTEAD_EVIDENCE") {
            command.env("ROADSTEAD_EVIDENCE", dir);
        }
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
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        // A kubeconfig is made of credentials; nothing else may show one.
        let shown = if line.starts_with("kubeconfig") { "" } else { &out };
        cloud_sim::evidence::leave("output", &format!("roadstead cluster {line}\n{shown}{err}"));
        let log = std::fs::read(self.path(".local/share/roadstead/sim/dev/sim.log")).unwrap_or_default();
        cloud_sim::evidence::leave("output", &text(&log));
        (output.status.code().unwrap(), out, err)
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
    assert_eq!(machine.said("start --timeout 0s").0, 2);
    assert_eq!(machine.said("start --config /none.yaml").0, 2);
    std::fs::write(machine.path("zero.yaml"), "sim: {apiPort: 0}").unwrap();
    let zero = machine.path("zero.yaml").display().to_string();
    let (code, _, err) = machine.said(&format!("start --driver sim --config {zero}"));
    assert!(code == 2 && err.contains("sim.apiPort: ports begin with 1"), "{err}");
    let (code, out, err) = machine.said("list");
    assert!(
        code == 0 && out.lines().count() == 1 && err.contains("roadstead cluster start"),
        "{out}{err}"
    );
    let (code, out, err) = machine.said("start --dry-run");
    assert_eq!((code, out.lines().count()), (0, 1), "{err}");
    assert!(out.contains("sim kubernetes --listen 127.0.0.1:"), "{out}");
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

fn signal(pid: &Value, name: &str) {
    let done = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn status_has_one_form_and_an_exit_code_for_each_state() {
    const KEYS: [&str; 7] = [
        "state",
        "driver",
        "kubernetesVersion",
        "ipAddress",
        "kubeContext",
        "exists",
        "reason",
    ];
    let machine = Machine::new();
    let told = |expected: i32, state: &str, exists: bool| {
        let (code, out, err) = machine.said("status --driver sim -o json");
        let status: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
        let mut at = 0;
        for key in KEYS {
            let place = out[at..].find(&format!("\"{key}\":"));
            at += place.unwrap_or_else(|| panic!("{key} is not there, or not in its place: {out}"));
        }
        assert_eq!(status.as_object().unwrap().len(), KEYS.len(), "{out}");
        assert_eq!(
            (
                code,
                status["state"].as_str().unwrap(),
                status["exists"].as_bool().unwrap()
            ),
            (expected, state, exists)
        );
        assert_eq!(status["kubeContext"], "sim-dev");
        let (code, yaml, _) = machine.said("status --driver sim -o yaml");
        assert!(
            code == expected && yaml.starts_with(&format!("state: {state}\n")),
            "{yaml}"
        );
        let (code, line, _) = machine.said("status --driver sim -o jsonl");
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((code, &event["status"]["state"]), (expected, &status["state"]));
        let (code, table, err) = machine.said("status --driver sim");
        assert!(
            code == expected && table.contains(state) && err.is_empty(),
            "{table}{err}"
        );
        status
    };
    told(3, "stopped", false);
    assert_eq!(machine.said("start --driver sim").0, 0);
    told(0, "ready", true);
    let server = machine.server();
    signal(&server, "STOP");
    let begun = Instant::now();
    let status = told(4, "not-ready", true);
    assert!(begun.elapsed() < 4 * Duration::from_secs(5));
    assert!(
        status["reason"].as_str().unwrap().contains("does not answer"),
        "{status}"
    );
    signal(&server, "CONT");
    told(0, "ready", true);
    assert_eq!(machine.said("stop --driver sim").0, 0);
    told(3, "stopped", true);
    let (code, out, err) = machine.said("status --driver k3d -o json");
    assert_eq!((code, out.as_str()), (1, ""), "what cannot be told is not guessed");
    assert!(err.contains("k3d is not on PATH"), "{err}");
    assert_eq!(machine.said("status --driver sim -o xml").0, 2);
    assert_eq!(machine.said("status --driver sim --profile ..").0, 2);
    assert_eq!(
        machine.said("status --driver nope").0,
        2,
        "which is not the code of a state"
    );
    assert_eq!(machine.said("status --driver sim --config /none.yaml").0, 2);
}

#[test]
fn a_command_takes_our_place_and_a_limit_is_kept() {
    let machine = Machine::new();
    assert_eq!(machine.said("start --driver sim").0, 0);
    let run = |limit: &str, script: &str| {
        let mut command = machine.command(&format!("exec --driver sim {limit} --"));
        let output = command.args(["/bin/sh", "-c", script]).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    assert_eq!(run("", "exit 7").0, Some(7));
    assert_eq!(run("--timeout 1m", "exit 7").0, Some(7));
    let (_, file) = run("", "printf %s \"$KUBECONFIG\"");
    assert_eq!(
        PathBuf::from(&file),
        machine.path(".local/share/roadstead/kubeconfigs/sim-dev.yaml")
    );
    let (_, path, _) = machine.said("kubeconfig --driver sim --path");
    assert_eq!(path.trim(), file);
    let begun = Instant::now();
    let (code, _) = run(
        "--timeout 400ms",
        "trap 'exit 9' TERM; while :; do /bin/sleep 0.05; done",
    );
    assert_eq!(code, Some(6));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let (code, _, err) = machine.said("exec --driver sim -- no-such-program");
    assert_eq!(code, 1);
    assert!(err.contains("no-such-program"), "{err}");
    // The file is made for whoever asks for it, and is for nobody else.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(machine.said("kubeconfig --driver sim --path").1.trim(), file);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        machine.said("kubeconfig --driver sim").1,
        std::fs::read_to_string(&file).unwrap()
    );
    assert_eq!(machine.said("stop --driver sim").0, 0);
    for line in [
        "exec --driver sim -- true",
        "kubeconfig --driver sim",
        "kubeconfig --driver sim --path",
    ] {
        let (code, out, err) = machine.said(line);
        assert!(
            code == 4 && out.is_empty() && err.contains("cluster is not running"),
            "{line}: {code} {err}"
        );
    }
}

#[test]
fn the_way_in_that_is_told_is_one() {
    let machine = Machine::new();
    let way = |line: &str| {
        let (code, out, err) = machine.said(line);
        assert_eq!(code, 0, "{line}: {err}");
        let way = out
            .lines()
            .find_map(|line| line.strip_prefix("try: "))
            .map(ToOwned::to_owned);
        (way, err)
    };
    let (alone, _) = way("start --driver sim --no-merge");
    let alone = alone.unwrap();
    assert!(!machine.path(".kube/config").exists());
    assert_eq!(
        alone,
        "roadstead cluster exec --driver sim --profile dev -- kubectl get namespaces"
    );
    let reaches = alone
        .replace("roadstead cluster ", "")
        .replace("kubectl get namespaces", "/bin/true");
    assert_eq!(machine.said(&reaches).0, 0);
    let (merged, err) = way("start --driver sim --wait=false");
    assert_eq!(merged.unwrap(), "kubectl --context sim-dev get namespaces");
    assert!(err.contains("started") && !err.contains("wait until"), "{err}");
    assert_eq!(way("start --driver mock").0, None);
    machine.said("destroy --driver mock --yes");
}

#[test]
fn the_mock_remembers_from_one_command_to_the_next() {
    let machine = Machine::new();
    assert_eq!(machine.said("status --driver mock").0, 3);
    let (code, out, err) = machine.said("start --driver mock");
    assert!(
        code == 0 && out.contains("ready") && out.contains("this is no cluster"),
        "{out}{err}"
    );
    assert_eq!(machine.said("start --driver mock").0, 0);
    std::fs::write(machine.path("other.yaml"), "driver: mock\nk3d: {agents: 3}\n").unwrap();
    let other = machine.path("other.yaml").display().to_string();
    let (code, _, err) = machine.said(&format!("start --config {other}"));
    assert!(
        code == 4 && err.contains("k3d.agents: running nothing, requested 3"),
        "{err}"
    );
    let (_, out, _) = machine.said("list");
    assert!(out.contains("mock") && out.contains("running"), "{out}");
    assert!(!machine.path(".kube/config").exists(), "it has no context");
    for limit in ["", "--timeout 1m"] {
        let (code, out, _) = machine.said(&format!("exec --driver mock {limit} -- /bin/sh -c pwd"));
        assert_eq!(
            (code, out.as_str()),
            (0, ""),
            "nothing runs in a cluster that is none {limit}"
        );
    }
    assert_eq!(machine.said("stop --driver mock").0, 0);
    assert_eq!(machine.said("status --driver mock").0, 3);
    assert_eq!(machine.said("destroy --driver mock --yes").0, 0);
    assert!(!machine.said("list").1.contains("mock"));
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
    assert_eq!(out.lines().count(), 8);
    let (_, path, _) = machine.said("kubeconfig --path");
    assert!(path.trim().ends_with("sim-dev.yaml"), "{path}");
    let json = |line: &str| serde_json::from_str::<Value>(&machine.said(line).1).unwrap();
    for form in ["json", "jsonl"] {
        assert_eq!(json(&format!("kubeconfig -o {form}"))["current-context"], "sim-dev");
        assert_eq!(json(&format!("kubeconfig --path -o {form}"))["path"], path.trim());
    }
    assert_eq!(machine.said("kubeconfig -o jsonl").1.lines().count(), 1);
    let output = Command::new(env!("CARGO_BIN_EXE_roadstead"))
        .args(["completions", "bash"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("cluster"));
}

#[test]
fn a_data_directory_may_be_named_from_here() {
    let machine = Machine::new();
    let said = |line: &str| {
        let mut command = machine.command(line);
        command
            .env("ROADSTEAD_DATA_DIR", "data")
            .current_dir(machine.dir.path());
        command.output().unwrap()
    };
    let started = said("start --driver sim --timeout 5s");
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    assert!(machine.path("data/sim/dev/kubeconfig.yaml").exists());
    let status = Command::new(env!("CARGO_BIN_EXE_roadstead"))
        .args(["cluster", "status", "--driver", "sim"])
        .env_clear()
        .env("HOME", machine.dir.path())
        .env("ROADSTEAD_DATA_DIR", machine.path("data"))
        .status();
    assert_eq!(status.unwrap().code(), Some(0), "it is the same from elsewhere");
    assert!(said("destroy --driver sim --yes").status.success());
    assert!(!machine.path("data/sim/dev").exists());
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
