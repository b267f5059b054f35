//! colima: starting a machine that runs overwrites its profile and does nothing; deleting asks.

use std::io::Read as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::play::Play;

const GIB: f64 = (1u64 << 30) as f64;

fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap()).join(".colima")
}

fn old() -> bool {
    std::env::var("FAKE_VERSION").is_ok_and(|version| version == "0.8")
}

fn macos() -> bool {
    std::env::var("FAKE_OS").is_ok_and(|os| os == "macos")
}

fn fatal(text: &str) -> i32 {
    eprintln!("time=\"2026-01-02T03:04:05Z\" level=fatal msg=\"{text}\"");
    1
}

pub fn run(play: &Play) -> i32 {
    let given = play
        .flag(&["--profile", "-p"])
        .or_else(|| std::env::var("COLIMA_PROFILE").ok());
    let given = given.unwrap_or_default();
    let short = match given.strip_prefix("colima-").unwrap_or(&given) {
        "" | "colima" => "default",
        other => other,
    };
    let id = if short == "default" {
        "colima".to_owned()
    } else {
        format!("colima-{short}")
    };
    let words = play.words();
    if play.has("--help") {
        help(&words);
        return 0;
    }
    let guard = play.lock();
    let state = play.load("colima", short);
    let running = state.as_ref().is_some_and(|state| state["status"] == "Running");
    let code = match words.as_slice() {
        ["version"] => {
            println!(
                "colima version {}\ngit commit: abc",
                if old() { "0.8.4" } else { "0.10.1" }
            );
            0
        }
        ["list"] => {
            for state in play.all("colima") {
                if std::env::var("COLIMA_PROFILE").is_ok_and(|only| state["name"] != only.as_str()) {
                    continue;
                }
                println!("{}", listed(&state));
            }
            0
        }
        ["status"] => match &state {
            Some(state) if running && state["half"] == true => fatal("error retrieving current runtime: empty value"),
            Some(state) if running => {
                println!(
                    "{}",
                    json!({"display_name": id, "driver": "QEMU", "kubernetes": state["k8s"], "cpu": 4})
                );
                0
            }
            _ => fatal(&format!("{id} is not running")),
        },
        ["start"] => start(play, short, &id, state, running),
        ["kubernetes", "start"] => match state {
            Some(mut state) if running => {
                state["k8s"] = json!(true);
                play.save("colima", short, &state);
                0
            }
            _ => fatal(&format!("{id} is not running")),
        },
        ["stop"] => {
            if let Some(mut state) = state {
                if state["status"] == "Broken" && !play.has("--force") {
                    return fatal("error inspecting instance");
                }
                state["status"] = json!("Stopped");
                state["half"] = json!(false);
                play.save("colima", short, &state);
            }
            0
        }
        ["delete"] => {
            if old() && play.has("--data") {
                eprintln!("Error: unknown flag: --data");
                return 1;
            }
            let mut answer = String::new();
            if !play.has("--force") {
                std::io::stdin().read_to_string(&mut answer).unwrap();
            }
            if (play.has("--force") || answer.starts_with('y')) && !play.fault("lie") {
                play.remove("colima", short);
            }
            0
        }
        ["ssh"] => {
            print!("{}", play.kubeconfig(short, "default", "default"));
            0
        }
        _ => fatal("unknown command"),
    };
    drop(guard);
    code
}

fn help(words: &[&str]) {
    match words {
        ["start"] => println!(
            "{}Flags:\n  -r, --runtime string\n      --cpus int\n  -m, --memory float\n  -d, --disk int\n  --root-disk\n  -a, --arch\n  --mount-type\n  --kubernetes-version string\n  --k3s-arg strings\n  --k3s-listen-port int\n  --mount strings\n  --dns ips\n  --env\n  --activate\n  --template\n  --ssh-config\n  -k, --kubernetes",
            if macos() { "--vm-type --network-address\n" } else { "" }
        ),
        _ if old() => println!("Flags:\n  -f, --force"),
        _ => println!("Flags:\n      --data\n  -f, --force"),
    }
}

fn listed(state: &Value) -> Value {
    let number = |field: &str| (state[field].as_f64().unwrap() * GIB) as u64;
    let mut shown = json!({"name": state["name"], "status": state["status"], "arch": "x86_64", "cpus": state["cpu"],
                           "memory": number("memory"), "disk": number("disk")});
    if state["half"] != true {
        shown["runtime"] = json!("docker+k3s");
    }
    shown
}

fn start(play: &Play, short: &str, id: &str, before: Option<Value>, running: bool) -> i32 {
    for arg in &play.args {
        if ["--vm-type", "--network-address"].contains(&arg.as_str()) && !macos() {
            eprintln!("Error: unknown flag: {arg}");
            return 1;
        }
    }
    let mut state = before.unwrap_or_else(|| {
        json!({"name": short, "cpu": 2, "memory": 2.0, "disk": 100.0, "runtime": "docker", "arch": std::env::consts::ARCH})
    });
    let mut asked = state.clone();
    let number = |flag: &str| play.flag(&[flag]).map(|text| text.parse::<f64>().unwrap());
    if let Some(cpu) = number("--cpu") {
        asked["cpu"] = json!(cpu as u32);
    }
    if let Some(memory) = number("--memory") {
        asked["memory"] = json!(memory);
    }
    if let Some(disk) = number("--disk") {
        asked["disk"] = json!(disk);
    }
    if let Some(runtime) = play.flag(&["--runtime"]).filter(|_| state.get("status").is_none()) {
        asked["runtime"] = json!(runtime);
    }
    if let Some(kind) = play.flag(&["--vm-type"]).filter(|_| state.get("status").is_none()) {
        asked["vmType"] = json!(kind);
    }
    if let Some(version) = play.flag(&["--kubernetes-version"]) {
        asked["kubernetesVersion"] = json!(version);
    }
    let yaml = |state: &Value| {
        let version = state["kubernetesVersion"].as_str().unwrap_or("v1.35.0+k3s1");
        format!(
            "cpu: {}\nmemory: {}\ndisk: {}\narch: {}\nruntime: {}\nvmType: {}\nkubernetes:\n  enabled: true\n  version: {version}\n",
            state["cpu"],
            state["memory"],
            state["disk"],
            state["arch"],
            state["runtime"],
            state.get("vmType").unwrap_or(&json!("qemu"))
        )
    };
    // The profile first, whether anything comes of it or not.
    std::fs::create_dir_all(home().join(short)).unwrap();
    std::fs::write(home().join(short).join("colima.yaml"), yaml(&asked)).unwrap();
    if running {
        eprintln!("time=\"x\" level=warning msg=\"already running, ignoring\"");
        return 0;
    }
    if state["status"] == "Broken" {
        return fatal("vz driver is running but host agent is not");
    }
    state = asked;
    state["status"] = json!(if play.fault("broken") { "Broken" } else { "Running" });
    std::fs::create_dir_all(home().join("_lima").join(id)).unwrap();
    std::fs::write(home().join("_lima").join(id).join("colima.yaml"), yaml(&state)).unwrap();
    if play.fault("half") || play.leaves_half() {
        state["half"] = json!(true);
        play.save("colima", short, &state);
        return fatal("error starting kubernetes: k3s did not come up");
    }
    state["half"] = json!(false);
    state["k8s"] = json!(play.has("--kubernetes"));
    play.save("colima", short, &state);
    0
}
