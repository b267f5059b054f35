//! minikube: a bit mask for an exit code, an object or an array, changed sizes ignored with a warning, and another driver
//! refused.

use serde_json::{Value, json};

use crate::play::Play;

pub fn run(play: &Play) -> i32 {
    let name = play
        .flag(&["-p"])
        .or_else(|| std::env::var("MINIKUBE_PROFILE").ok())
        .unwrap_or("minikube".to_owned());
    let guard = play.lock();
    let state = play.load("minikube", &name);
    let code = match play.words().as_slice() {
        ["version"] => {
            println!("minikube version: v1.38.0");
            0
        }
        ["status"] => status(play, &name, state.as_ref()),
        ["start"] => start(play, &name, state),
        ["profile", "list"] => {
            let valid: Vec<Value> = play.all("minikube").iter().map(profile).collect();
            print!("{}", json!({"invalid": [], "valid": valid}));
            0
        }
        ["stop"] => set(play, &name, state, "Stopped"),
        ["unpause"] => set(play, &name, state, "Running"),
        ["delete"] => {
            play.remove("minikube", &name);
            0
        }
        ["update-context"] if state.is_some() => {
            let path = std::env::var("KUBECONFIG").expect("a kubeconfig of its own");
            std::fs::write(path, play.kubeconfig(&name, &name, &name)).unwrap();
            0
        }
        _ => 14,
    };
    drop(guard);
    code
}

fn status(play: &Play, name: &str, state: Option<&Value>) -> i32 {
    let Some(state) = state else {
        println!(
            "{}",
            json!({"type": "io.k8s.sigs.minikube.error", "data": {"message": "not found", "exitcode": "85"}})
        );
        return 85;
    };
    // One that cannot be looked at is told like one that is gone; only the log tells them apart.
    let down = state["driver"] == "docker" && play.dir.join("daemon_down").exists();
    let host = if down {
        "Nonexistent"
    } else {
        state["host"].as_str().unwrap()
    };
    if host == "Nonexistent" {
        let why = if down {
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
        } else {
            "Error: No such container: dev"
        };
        eprintln!(
            "E0102 03:04:05.678901 1 status.go:260] status error: host: state: unknown state \"{name}\": docker container \
             inspect {name} --format={{{{.State.Status}}}}: exit status 1 stdout: stderr: {why}"
        );
    }
    let mut api = state["api"].as_str().unwrap();
    if host != "Running" && host != "InsufficientStorage" {
        api = host;
    }
    let kubeconfig = if play.dir.join("misconfigured").exists() {
        "Misconfigured"
    } else {
        "Configured"
    };
    let mut code = 0;
    if host != "Running" {
        code |= 1;
    }
    if api != "Running" {
        code |= 2;
    }
    if kubeconfig != "Configured" || host == "Stopped" {
        code |= 4;
    }
    let node = |name: String, api: &str| {
        json!({"Name": name, "Host": host, "Kubelet": if host == "Running" { "Running" } else { host },
               "APIServer": api, "Kubeconfig": kubeconfig, "Worker": api == "Irrelevant"})
    };
    let count = state["nodes"].as_u64().unwrap();
    if count == 1 {
        print!("{}", node(name.to_owned(), api));
    } else {
        let workers = (2..=count).map(|n| node(format!("{name}-m{n:02}"), "Irrelevant"));
        print!(
            "{}",
            Value::Array(std::iter::once(node(name.to_owned(), api)).chain(workers).collect())
        );
    }
    code
}

fn profile(state: &Value) -> Value {
    json!({"Name": state["name"], "Status": state["host"], "Config": {
        "Name": state["name"], "Memory": state["memory"], "CPUs": state["cpus"], "DiskSize": 20000,
        "Driver": state["driver"],
        "KubernetesConfig": {"KubernetesVersion": state["version"], "ContainerRuntime": state["runtime"]},
        "Nodes": (0..state["nodes"].as_u64().unwrap())
            .map(|_| json!({"Name": "", "IP": "192.168.49.2", "Port": 8443})).collect::<Vec<_>>(),
        "Addons": state["addons"]}})
}

fn start(play: &Play, name: &str, before: Option<Value>) -> i32 {
    if play.fault("out_of_memory") {
        println!("not json at all");
        println!(
            "{}",
            json!({"type": "io.k8s.sigs.minikube.something", "data": {"x": "y"}})
        );
        println!(
            "{}",
            json!({"type": "io.k8s.sigs.minikube.error",
                   "data": {"name": "RSRC_INSUFFICIENT_MEM", "message": "too little memory", "exitcode": "23"}})
        );
        return 23;
    }
    let number = |flag: &str, usual: u64| {
        play.flag(&[flag])
            .map_or(usual, |text| text.trim_end_matches("mb").parse().unwrap())
    };
    let state = match before {
        Some(state)
            if play
                .flag(&["--driver"])
                .is_some_and(|driver| state["driver"] != driver.as_str()) =>
        {
            let message = format!(
                "The existing \"{name}\" cluster was created using the {} driver, which is incompatible with requested \
                 \"{}\" driver.",
                state["driver"],
                play.flag(&["--driver"]).unwrap()
            );
            println!(
                "{}",
                json!({"type": "io.k8s.sigs.minikube.error",
                       "data": {"name": "GUEST_DRIVER_MISMATCH", "message": message, "exitcode": "81"}})
            );
            return 81;
        }
        Some(mut state) => {
            if let Some(runtime) = play.flag(&["--container-runtime"]) {
                state["runtime"] = json!(runtime);
            }
            eprintln!("! You cannot change the CPUs for an existing minikube cluster.");
            state["host"] = json!("Running");
            state["api"] = json!("Running");
            state
        }
        None => json!({
            "name": name, "host": "Running", "api": "Running",
            "cpus": number("--cpus", 2), "memory": number("--memory", 4096), "nodes": number("--nodes", 1),
            "driver": play.flag(&["--driver"]).unwrap(), "runtime": play.flag(&["--container-runtime"]).unwrap(),
            "addons": {"storage-provisioner": true, "ingress": false},
            "version": play.flag(&["--kubernetes-version"]).unwrap_or("v1.35.0".to_owned()),
        }),
    };
    let mut state = state;
    for addon in play.args.iter().filter_map(|arg| arg.strip_prefix("--addons=")) {
        state["addons"][addon] = json!(true);
    }
    if play.leaves_half() {
        let mut half = state;
        half["api"] = json!("Stopped");
        play.save("minikube", name, &half);
        return 80;
    }
    play.save("minikube", name, &state);
    println!(
        "{}",
        json!({"type": "io.k8s.sigs.minikube.step", "data": {"message": "Done", "currentstep": "19"}})
    );
    0
}

fn set(play: &Play, name: &str, state: Option<Value>, host: &str) -> i32 {
    let Some(mut state) = state else { return 85 };
    state["host"] = json!(host);
    state["api"] = json!(host);
    play.save("minikube", name, &state);
    0
}
