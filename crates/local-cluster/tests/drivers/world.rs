//! A machine for one test.

#[path = "heard.rs"]
mod heard;
#[path = "../../fakes/serve.rs"]
mod serve;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use local_cluster::{ClusterConfig, Event, Events, Host, Manager, Os, Registry, drivers};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use heard::Heard;

/// How the API servers of all clusters behave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Api {
    Ready,
    /// Two hooks failed.
    NotReady,
    /// `Ready` of every node is `Unknown`.
    NodesUnknown,
    NoNodes,
    Hangs,
    Down,
    /// Without a token nothing is answered.
    TokenOnly,
}

/// What colima needs on Linux.
pub const COLIMA: [&str; 5] = ["colima", "limactl", "kubectl", "docker", "qemu-img"];
/// Every tool there is.
pub const ALL: [&str; 8] = [
    "k3d", "kind", "minikube", "colima", "limactl", "kubectl", "docker", "qemu-img",
];

pub struct World {
    dir: TempDir,
    pub host: Host,
    pub registry: Registry,
    api: Arc<Mutex<Api>>,
    events: Arc<Mutex<Vec<Event>>>,
    server: JoinHandle<()>,
}

/// What the played tools have and must not be seen anywhere: k3d's token, and that of every kubeconfig.
pub const SECRETS: [&str; 2] = ["s3cr3t-join-token", "fake-kubeconfig-token"];

pub const FAKE: &str = env!("CARGO_BIN_EXE_fake-cluster-tool");

impl World {
    /// One where these programs are installed.
    pub async fn with(tools: &[&str]) -> Self {
        cloud_sim::evidence::listen();
        SECRETS.into_iter().for_each(cloud_sim::evidence::plant);
        let dir = tempfile::tempdir().unwrap();
        for sub in ["bin", "fake", "home"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let (pem, key) = serve::certificate();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let ca = base64::engine::general_purpose::STANDARD.encode(&pem);
        std::fs::write(
            dir.path().join("fake/api.json"),
            json!({"url": url, "ca": ca}).to_string(),
        )
        .unwrap();
        let api = Arc::new(Mutex::new(Api::Ready));
        let (mode, fake) = (Arc::clone(&api), dir.path().join("fake"));
        let server = tokio::spawn(serve::serve(
            listener,
            serve::acceptor(&pem, &key, None),
            move |request| {
                let (mode, fake) = (*mode.lock().unwrap(), fake.clone());
                let token = request.headers().contains_key("authorization");
                let path = request.uri().path().to_owned();
                async move { answer(mode, &fake, &path, token).await }
            },
        ));
        let env = [
            ("PATH", dir.path().join("bin")),
            ("HOME", dir.path().join("home")),
            ("FAKE_DIR", dir.path().join("fake")),
            ("ROADSTEAD_DATA_DIR", dir.path().join("data")),
        ];
        let env: BTreeMap<OsString, OsString> = env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into_os_string()))
            .collect();
        let mut host = Host::new(env, Os::Linux);
        host.limits.start = Some(Duration::from_secs(20));
        host.limits.grace = Duration::from_millis(300);
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let sink = Arc::clone(&events);
        host.events = Events::to(move |event| sink.lock().unwrap().push(event));
        let world = Self {
            dir,
            host,
            registry: drivers::standard().unwrap(),
            api,
            events,
            server,
        };
        world.install(tools);
        world
    }

    pub fn install(&self, tools: &[&str]) {
        for tool in tools {
            symlink(FAKE, self.path("bin").join(tool)).unwrap();
        }
    }

    pub fn uninstall(&self, tool: &str) {
        std::fs::remove_file(self.path("bin").join(tool)).unwrap();
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.host.env.insert(name.into(), value.into());
    }

    pub fn api(&self, mode: Api) {
        *self.api.lock().unwrap() = mode;
    }

    /// The next calls of `tool` that begin with `verb` fail like this.
    pub fn fault(&self, tool: &str, verb: &str, action: &str) {
        self.faults(tool, verb, action, 1);
    }

    pub fn faults(&self, tool: &str, verb: &str, action: &str, times: u32) {
        let path = self.path("fake/faults.json");
        let mut faults: Vec<Value> = std::fs::read(&path)
            .map(|text| serde_json::from_slice(&text).unwrap())
            .unwrap_or_default();
        faults.push(json!({"tool": tool, "verb": verb, "action": action, "times": times}));
        std::fs::write(path, json!(faults).to_string()).unwrap();
    }

    /// The state a fake keeps of one cluster.
    pub fn state(&self, tool: &str, name: &str) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.path("fake").join(tool).join(format!("{name}.json"))).ok()?).ok()
    }

    pub fn set_state(&self, tool: &str, name: &str, state: &Value) {
        std::fs::create_dir_all(self.path("fake").join(tool)).unwrap();
        std::fs::write(
            self.path("fake").join(tool).join(format!("{name}.json")),
            state.to_string(),
        )
        .unwrap();
    }

    /// Every call so far, whole.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("fake/calls.jsonl")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The command lines of one tool so far.
    pub fn calls(&self, tool: &str) -> Vec<String> {
        let words = |call: &Value| {
            let words = call["argv"]
                .as_array()
                .unwrap()
                .iter()
                .map(|word| word.as_str().unwrap());
            words.collect::<Vec<_>>().join(" ")
        };
        self.log()
            .iter()
            .filter(|call| call["tool"] == tool)
            .map(words)
            .collect()
    }

    /// How many calls of a tool began like this.
    pub fn count(&self, tool: &str, verb: &str) -> usize {
        self.calls(tool).iter().filter(|call| call.starts_with(verb)).count()
    }

    pub fn forget_calls(&self) {
        let _ = std::fs::remove_file(self.path("fake/calls.jsonl"));
    }

    pub fn manager(&self, driver: &str, profile: &str) -> Arc<dyn Manager> {
        let host = Arc::new(self.host.clone());
        Arc::new(Heard(self.registry.manager(driver, &host, profile).unwrap()))
    }

    /// Keeps what a person could read: progress, records, and the logs of programs in the background.
    fn leave_evidence(&self) {
        cloud_sim::evidence::leave("output", &format!("local cluster: {:?}", self.events()));
        let data = self.path("data");
        let clusters = ["clusters", "sim", "process"].map(|kind| data.join(kind));
        let files = clusters.iter().flat_map(|dir| below(dir)).flat_map(|dir| below(&dir));
        for file in files.filter(|file| file.extension().is_some_and(|kind| kind == "json" || kind == "log")) {
            let text = std::fs::read(&file).unwrap_or_default();
            cloud_sim::evidence::leave("output", &String::from_utf8_lossy(&text));
        }
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub fn warnings(&self) -> Vec<String> {
        let warning = |event| match event {
            Event::Warning { message } => Some(message),
            _ => None,
        };
        self.events().into_iter().filter_map(warning).collect()
    }

    pub fn kubeconfig(&self) -> String {
        std::fs::read_to_string(self.path("home/.kube/config")).unwrap_or_default()
    }

    pub fn record(&self, driver: &str, profile: &str) -> Option<Value> {
        let path = self.path("data/clusters").join(driver).join(format!("{profile}.json"));
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
        self.leave_evidence();
        // Nothing a test started outlives it, however it ended.
        let daemons = ["sim", "process"]
            .into_iter()
            .flat_map(|kind| below(&self.path("data").join(kind)));
        for file in daemons
            .flat_map(|dir| below(&dir))
            .filter(|file| file.extension().is_some_and(|e| e == "pid"))
        {
            let Ok(text) = std::fs::read(&file) else { continue };
            let Ok(identity) = serde_json::from_slice::<Value>(&text) else {
                continue;
            };
            kill(&identity["pid"]);
        }
        for call in self.log() {
            kill_if_ours(&call["pid"]);
        }
    }
}

fn below(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

/// Ends a process, if it is one of the fakes still.
fn kill_if_ours(pid: &Value) {
    let exe = std::fs::read_link(format!("/proc/{pid}/exe"));
    if exe.is_ok_and(|exe| exe == Path::new(FAKE)) {
        kill(pid);
    }
}

pub fn kill(pid: &Value) {
    if let Some(pid) = pid.as_i64().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Whether a process of this ID runs.
pub fn runs(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits a little while, as short as it can, until something is so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A process of its own that works on the cluster `dev`.
pub fn driving(world: &World, verb: &str, driver: &str) -> Command {
    let mut command = Command::new(FAKE);
    command
        .args(["drive", verb, driver, "dev"])
        .env_clear()
        .envs(&world.host.env);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Runs one that does not need the API server of this world to its end.
pub fn drive(world: &World, verb: &str, driver: &str) -> ExitStatus {
    driving(world, verb, driver).stderr(Stdio::null()).status().unwrap()
}

/// Runs one to its end or its death; its standard error has a line for each event.
pub async fn driven(world: &World, verb: &str, driver: &str, env: &[(&str, String)]) -> Output {
    let mut command = driving(world, verb, driver);
    command.envs(env.iter().cloned()).stderr(Stdio::piped());
    let output = tokio::process::Command::from(command).output().await.unwrap();
    cloud_sim::evidence::leave("output", &String::from_utf8_lossy(&output.stderr));
    output
}

pub fn config(yaml: &str) -> ClusterConfig {
    ClusterConfig::from_yaml(yaml).unwrap()
}

async fn answer(
    mode: Api,
    fake: &Path,
    path: &str,
    token: bool,
) -> Option<hyper::Response<http_body_util::Full<bytes::Bytes>>> {
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let (tool, name, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let state = std::fs::read(fake.join(tool).join(format!("{name}.json"))).ok()?;
    let state: Value = serde_json::from_slice(&state).ok()?;
    match mode {
        Api::Down => return None,
        Api::Hangs => std::future::pending().await,
        Api::TokenOnly if !token => return Some(serve::reply(403, "forbidden")),
        _ => {}
    }
    let count = match &state["nodes"] {
        Value::Array(nodes) => nodes
            .iter()
            .filter(|node| {
                ["server", "agent", "control-plane", "worker"].contains(&node["role"].as_str().unwrap_or_default())
            })
            .count(),
        Value::Number(count) => count.as_u64()? as usize,
        _ => 1,
    };
    let ready = if mode == Api::NodesUnknown { "Unknown" } else { "True" };
    let node = |n: usize| {
        json!({"metadata": {"name": format!("node-{n}")},
               "status": {"conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}]}})
    };
    Some(match rest {
        "readyz" if mode == Api::NotReady => serve::reply(
            500,
            "[+]ping ok\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n[-]etcd failed: reason withheld\nreadyz check failed\n",
        ),
        "readyz" => serve::reply(200, "ok"),
        "version" => serve::reply(200, json!({"gitVersion": "v1.35.5+k3s1"}).to_string()),
        "api/v1/nodes" if mode == Api::NoNodes => serve::reply(200, r#"{"items":[]}"#),
        "api/v1/nodes" => serve::reply(
            200,
            json!({"items": (0..count).map(node).collect::<Vec<_>>()}).to_string(),
        ),
        _ => serve::reply(404, "{}"),
    })
}
