//! What all fakes share: the call log, faults, state and flags.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, exit};
use std::time::Duration;

use rustix::process::{Signal, getppid, kill_process};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// One call of one tool.
pub struct Play {
    pub tool: String,
    pub args: Vec<String>,
    pub dir: PathBuf,
    fault: Option<String>,
    cut: Option<Cut>,
}

/// The point at which whoever ran the tool is killed.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// Before the tool did anything; it dies too.
    Before,
    /// When the tool has done half of it; it dies too.
    Midway,
    /// When the tool has done everything and said nothing.
    After,
}

impl Play {
    /// Notes the call, takes the fault meant for it, and acts out those that are the same for all tools.
    pub fn new(tool: &str, args: Vec<String>) -> Self {
        let dir = PathBuf::from(std::env::var_os("FAKE_DIR").expect("tests set FAKE_DIR"));
        let mut play = Self {
            tool: tool.to_owned(),
            args,
            dir,
            fault: None,
            cut: None,
        };
        let guard = play.lock();
        play.note();
        play.fault = play.take_fault();
        play.cut = play.take_cut();
        drop(guard);
        if play.cut == Some(Cut::Before) {
            kill_parent();
            exit(137);
        }
        play.act();
        play
    }

    /// Ends the call: with its exit code, unless it is cut here.
    pub fn end(&self, code: i32) -> ! {
        if self.cut.is_some() {
            kill_parent();
            exit(137);
        }
        exit(code);
    }

    /// Whether this call is the one that `cut.json` means: `{"at": 3, "when": "before"}`, counted from one.
    fn take_cut(&self) -> Option<Cut> {
        if self.tool == "drive" {
            return None;
        }
        let path = self.dir.join("cut.json");
        let mut plan: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).unwrap();
        let calls = plan["calls"].as_u64().unwrap_or(0) + 1;
        plan["calls"] = json!(calls);
        std::fs::write(path, plan.to_string()).unwrap();
        let when = match plan["when"].as_str()? {
            "before" => Cut::Before,
            "midway" => Cut::Midway,
            _ => Cut::After,
        };
        (plan["at"].as_u64() == Some(calls)).then_some(when)
    }

    fn note(&self) {
        let env: serde_json::Map<String, Value> = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), json!(value.to_string_lossy())))
            .collect();
        let call = json!({ "tool": self.tool, "argv": self.args, "env": env, "pid": std::process::id() });
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join("calls.jsonl"))
            .unwrap();
        // In one piece: whoever is killed here leaves a whole line or none.
        log.write_all(format!("{call}\n").as_bytes()).unwrap();
    }

    fn take_fault(&self) -> Option<String> {
        let path = self.dir.join("faults.json");
        let mut faults: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).ok()?).unwrap();
        let line = self.args.join(" ");
        let index = faults.iter().position(|fault| {
            fault["tool"] == self.tool.as_str() && line.starts_with(fault["verb"].as_str().unwrap_or_default())
        })?;
        let action = faults[index]["action"].as_str().unwrap().to_owned();
        let times = faults[index]["times"].as_u64().unwrap_or(1);
        if times > 1 {
            faults[index]["times"] = json!(times - 1);
        } else {
            faults.remove(index);
        }
        std::fs::write(path, json!(faults).to_string()).unwrap();
        Some(action)
    }

    fn act(&self) {
        if let Some(ms) = std::env::var("FAKE_LATENCY_MS").ok().and_then(|ms| ms.parse().ok()) {
            std::thread::sleep(Duration::from_millis(ms));
        }
        let action = self.fault.clone().unwrap_or_default();
        if let Some(rest) = action.strip_prefix("exit:") {
            let (code, text) = rest.split_once(':').unwrap();
            eprintln!("{text}");
            exit(code.parse().unwrap());
        }
        if let Some(ms) = action.strip_prefix("slow:") {
            std::thread::sleep(Duration::from_millis(ms.parse().unwrap()));
        }
        match action.as_str() {
            "hang" => self.hang(),
            "hang_ignore_term" => {
                let script = "trap '' TERM; while :; do /bin/sleep 1; done";
                panic!("{}", Command::new("/bin/sh").args(["-c", script]).exec());
            }
            "empty_stdout" => exit(0),
            "reads_stdin" => {
                let mut answer = String::new();
                std::io::stdin().read_to_string(&mut answer).unwrap();
                std::fs::write(self.dir.join("read"), answer).unwrap();
            }
            // More than anybody keeps, without an end of a line, and no text.
            "flood" => {
                let noise = vec![0xff; 1 << 20];
                for _ in 0..32 {
                    let _ = std::io::stdout().write_all(&noise);
                    let _ = std::io::stderr().write_all(&noise);
                }
            }
            "big_stderr" => {
                let _ = std::io::stderr().write_all(&vec![0xff; 10 << 20]);
                eprintln!("\nERROR: and then it failed");
                exit(1);
            }
            "big_stdout" => {
                let mut out = std::io::stdout().lock();
                for _ in 0..(10 * 1024) {
                    let _ = out.write_all(&[0xff; 1024]);
                }
                exit(0);
            }
            _ => {}
        }
    }

    /// Until somebody ends it; tells when that was done politely.
    pub fn hang(&self) -> ! {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            signal(SignalKind::terminate()).unwrap().recv().await;
        });
        std::fs::write(self.dir.join("terminated"), &self.tool).unwrap();
        exit(143);
    }

    /// Whether this call has this fault.
    pub fn fault(&self, name: &str) -> bool {
        self.fault.as_deref() == Some(name)
    }

    /// Whether this call leaves half of what it makes.
    pub fn leaves_half(&self) -> bool {
        self.fault("partial") || self.cut == Some(Cut::Midway)
    }

    /// Held while state is read and written.
    pub fn lock(&self) -> File {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.dir.join("lock"))
            .unwrap();
        file.lock().unwrap();
        file
    }

    pub fn words(&self) -> Vec<&str> {
        self.args
            .iter()
            .map(String::as_str)
            .take_while(|arg| !arg.starts_with('-'))
            .collect()
    }

    /// The value of `--name value` or `--name=value`.
    pub fn flag(&self, names: &[&str]) -> Option<String> {
        let mut args = self.args.iter();
        while let Some(arg) = args.next() {
            for name in names {
                if arg == name {
                    return args.next().cloned();
                }
                if let Some(value) = arg.strip_prefix(&format!("{name}=")) {
                    return Some(value.to_owned());
                }
            }
        }
        None
    }

    pub fn flags(&self, name: &str) -> Vec<String> {
        self.args
            .windows(2)
            .filter(|pair| pair[0] == name)
            .map(|pair| pair[1].clone())
            .collect()
    }

    pub fn has(&self, flag: &str) -> bool {
        self.args.iter().any(|arg| arg == flag)
    }

    fn path(&self, tool: &str, name: &str) -> PathBuf {
        self.dir.join(tool).join(format!("{name}.json"))
    }

    pub fn load(&self, tool: &str, name: &str) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.path(tool, name)).ok()?).ok()
    }

    pub fn save(&self, tool: &str, name: &str, state: &Value) {
        std::fs::create_dir_all(self.dir.join(tool)).unwrap();
        let temporary = self.dir.join(format!(".{tool}-{name}"));
        std::fs::write(&temporary, state.to_string()).unwrap();
        std::fs::rename(temporary, self.path(tool, name)).unwrap();
    }

    pub fn remove(&self, tool: &str, name: &str) {
        let _ = std::fs::remove_file(self.path(tool, name));
    }

    /// All states of a tool, by name.
    pub fn all(&self, tool: &str) -> Vec<Value> {
        let entries = std::fs::read_dir(self.dir.join(tool)).into_iter().flatten().flatten();
        let mut all: Vec<Value> = entries
            .filter_map(|entry| serde_json::from_slice(&std::fs::read(entry.path()).ok()?).ok())
            .collect();
        all.sort_by_key(|state| state["name"].as_str().unwrap_or_default().to_owned());
        all
    }

    /// A kubeconfig as the tool would give it out, leading to the test's API server.
    pub fn kubeconfig(&self, name: &str, context: &str, user: &str) -> String {
        let api: Value = serde_json::from_slice(&std::fs::read(self.dir.join("api.json")).unwrap()).unwrap();
        let (url, ca) = (api["url"].as_str().unwrap(), api["ca"].as_str().unwrap());
        let tool = &self.tool;
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {context}\nclusters:\n- name: {context}\n  cluster:\n    server: {url}/{tool}/{name}\n    certificate-authority-data: {ca}\nusers:\n- name: {user}\n  user:\n    token: fake-kubeconfig-token\ncontexts:\n- name: {context}\n  context:\n    cluster: {context}\n    user: {user}\n"
        )
    }
}

/// As a machine does that loses its power. Only the process that `drive` says it is: ours may have ended long ago.
fn kill_parent() {
    let driver = std::env::var("FAKE_DRIVER").ok().and_then(|pid| pid.parse().ok());
    if let Some(parent) = getppid().filter(|parent| Some(parent.as_raw_nonzero().get()) == driver) {
        let _ = kill_process(parent, Signal::KILL);
    }
}
