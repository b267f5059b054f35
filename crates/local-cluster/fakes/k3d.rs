//! k3d: its listing, its conflations of errors, and its roll-back by label.

use serde_json::{Value, json};

use crate::play::Play;

const DAEMON: &str =
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
pub const TOKEN: &str = "s3cr3t-join-token";

fn fatal(text: &str) -> i32 {
    eprintln!(
        "time=\"2026-01-02T03:04:05Z\" level=fatal msg=\"{}\"",
        text.replace('"', "\\\"")
    );
    1
}

pub fn run(play: &Play) -> i32 {
    let words = play.words();
    let down = play.fault("daemon_down") || play.dir.join("daemon_down").exists();
    if play.fault("token_leak") {
        println!("time=\"x\" level=info msg=\"k3d.cluster.token={TOKEN}\"");
        eprintln!("time=\"x\" level=error msg=\"K3S_TOKEN={TOKEN}\"");
        return fatal(&format!("node says clusterToken: {TOKEN}"));
    }
    match words.as_slice() {
        ["version"] => {
            println!("k3d version v5.8.3\nk3s version v1.31.5-k3s1 (default)");
            0
        }
        ["cluster", "list"] => list(play, down),
        ["cluster", "create", name] => create(play, name, down),
        ["cluster", "start", name] => {
            set_all(play, name, "running").unwrap_or_else(|| fatal("No nodes found for given cluster"))
        }
        ["cluster", "stop", name] if !down => {
            set_all(play, name, "exited").unwrap_or_else(|| fatal("No nodes found for given cluster"))
        }
        ["cluster", "delete", name] => {
            let _guard = play.lock();
            if !down && !play.fault("lie") {
                play.remove("k3d", name);
            }
            println!("time=\"x\" level=info msg=\"Successfully deleted cluster {name}!\"");
            0
        }
        ["kubeconfig", "get", name] if play.load("k3d", name).is_some() => {
            let text = play.kubeconfig(name, &format!("k3d-{name}"), &format!("admin@k3d-{name}"));
            println!("---\n{}", text.replace("127.0.0.1", "0.0.0.0"));
            0
        }
        _ => {
            if down {
                eprintln!("level=error msg=\"Failed to get nodes for cluster: {DAEMON}\"");
            }
            fatal("No nodes found for given cluster")
        }
    }
}

fn list(play: &Play, down: bool) -> i32 {
    if down {
        return fatal(&format!(
            "runtime failed to list nodes: docker failed to get containers: {DAEMON}"
        ));
    }
    if play.fault("no_ip") {
        return fatal("failed to parse IP '' for container '/k3d-x-server-0': ParseAddr(\"\"): unable to parse IP");
    }
    let clusters: Vec<Value> = play.all("k3d").iter().map(listed).collect();
    let text = Value::Array(clusters).to_string();
    if play.fault("garbage_stdout") || std::env::var("LOG_LEVEL").is_ok_and(|level| level == "trace") {
        println!(
            "\u{1b}[36mINFO\u{1b}[0m[0000] Prep: Network\n[0000] debug line\n{text}\n\u{1b}[33mWARN\u{1b}[0m tail"
        );
    } else if play.fault("truncate_json") {
        print!("{}", &text[..text.len() / 2]);
    } else {
        println!("{text}");
    }
    0
}

fn listed(state: &Value) -> Value {
    let name = state["name"].as_str().unwrap();
    let nodes = state["nodes"].as_array().unwrap();
    let count = |role: &str, running: bool| {
        nodes
            .iter()
            .filter(|node| node["role"] == role && (!running || node["status"] == "running"))
            .count()
    };
    let shown: Vec<Value> = nodes
        .iter()
        .map(|node| {
            let mut shown = json!({
                "name": node["name"], "role": node["role"], "image": "sha256:11aa",
                "env": [format!("K3S_TOKEN={TOKEN}")],
                "Cmd": ["server"], "restart": true,
                "runtimeLabels": {"k3d.cluster": name, "k3d.cluster.token": TOKEN},
                "Networks": [format!("k3d-{name}")], "ExtraHosts": null,
                "serverOpts": {"kubeAPI": {"Port": "", "Binding": {"HostIp": "127.0.0.1", "HostPort": state["port"]}}},
                "agentOpts": {}, "GPURequest": "", "Memory": "",
                "State": {"Running": node["status"] == "running", "Status": node["status"], "Started": ""},
                "IP": {"IP": if node["status"] == "running" { "172.18.0.2" } else { "" }, "Static": false},
            });
            if node["role"] == "loadbalancer" {
                shown["portMappings"] = state["ports"].clone();
            }
            shown
        })
        .collect();
    json!({
        "name": name, "network": {"name": state["network"], "Members": null}, "nodes": shown, "InitNode": null,
        "serversRunning": count("server", true), "serversCount": count("server", false),
        "agentsRunning": count("agent", true), "agentsCount": count("agent", false),
        "hasLoadbalancer": count("loadbalancer", false) > 0,
    })
}

fn nodes(name: &str, servers: usize, agents: usize, balancer: bool) -> Vec<Value> {
    let of = |role: &'static str, count: usize| {
        (0..count).map(move |n| json!({"name": format!("k3d-{name}-{role}-{n}"), "role": role, "status": "running"}))
    };
    let balancer =
        balancer.then(|| json!({"name": format!("k3d-{name}-serverlb"), "role": "loadbalancer", "status": "running"}));
    of("server", servers)
        .chain(of("agent", agents))
        .chain(balancer)
        .collect()
}

fn create(play: &Play, name: &str, down: bool) -> i32 {
    if down {
        return fatal(DAEMON);
    }
    if play.load("k3d", name).is_some() {
        return fatal(&format!(
            "Failed to create cluster '{name}' because a cluster with that name already exists"
        ));
    }
    println!("time=\"x\" level=info msg=\"Created network 'k3d-{name}'\"");
    // Long enough for a second one to come along, as with real containers.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let number = |flag: &str, usual: usize| play.flag(&[flag]).map_or(usual, |text| text.parse().unwrap());
    let (servers, agents) = (number("--servers", 1), number("--agents", 0));
    let api = play.flag(&["--api-port"]).unwrap_or_default();
    let port = api.rsplit(':').next().unwrap().to_owned();
    let mut ports = serde_json::Map::new();
    for mapping in play.flags("--port") {
        let (outside, inside) = mapping.split('@').next().unwrap().split_once(':').unwrap();
        ports.insert(
            format!("{inside}/tcp"),
            json!([{"HostIp": "0.0.0.0", "HostPort": outside}]),
        );
    }
    let mut state = json!({
        "name": name, "port": port, "ports": ports,
        "network": play.flag(&["--network"]).unwrap_or_else(|| format!("k3d-{name}")),
        "image": play.flag(&["--image"]).unwrap_or_else(|| "docker.io/rancher/k3s:v1.35.5-k3s1".to_owned()),
        "nodes": nodes(name, servers, agents, !play.has("--no-lb")),
    });
    let guard = play.lock();
    if play.load("k3d", name).is_some() {
        // What the real one does: it removes everything with the cluster's label, whoever made it.
        play.remove("k3d", name);
        std::fs::write(play.dir.join("rolled_back_a_winner"), "").unwrap();
        return fatal("Cluster creation FAILED, all changes have been rolled back!");
    }
    if play.fault("port_taken") {
        eprintln!(
            "level=error msg=\"Failed to start container: Bind for 127.0.0.1:{port} failed: port is already allocated\""
        );
        return fatal("Cluster creation FAILED, all changes have been rolled back!");
    }
    if play.leaves_half() || play.fault("partial_hang") {
        let half: Vec<Value> = state["nodes"].as_array().unwrap()[..1].to_vec();
        state["nodes"] = json!(half);
        play.save("k3d", name, &state);
        drop(guard);
        if play.fault("partial_hang") {
            play.hang();
        }
        return fatal("killed");
    }
    play.save("k3d", name, &state);
    println!("time=\"x\" level=info msg=\"Cluster '{name}' created successfully!\"");
    0
}

fn set_all(play: &Play, name: &str, status: &str) -> Option<i32> {
    let _guard = play.lock();
    let mut state = play.load("k3d", name)?;
    for node in state["nodes"].as_array_mut().unwrap() {
        node["status"] = json!(status);
    }
    play.save("k3d", name, &state);
    Some(0)
}
