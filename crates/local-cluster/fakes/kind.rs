//! kind: no JSON, success when its wait runs out, deletion that is idempotent.

use serde_json::{Value, json};

use crate::play::Play;

pub fn run(play: &Play) -> i32 {
    if play.fault("daemon_down") || play.dir.join("daemon_down").exists() {
        eprintln!("ERROR: failed to list clusters: command \"docker ps -a\" failed with error: exit status 1");
        eprintln!("Command Output: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.");
        return 1;
    }
    let _guard = play.lock();
    let name = play
        .flag(&["--name"])
        .or_else(|| std::env::var("KIND_CLUSTER_NAME").ok())
        .unwrap_or("kind".to_owned());
    match play.words().as_slice() {
        ["version"] => println!("kind v0.33.0 go1.25 linux/amd64"),
        ["create", "cluster"] => return create(play, &name),
        ["delete", "cluster"] => {
            if !play.fault("lie") {
                play.remove("kind", &name);
            }
            if play.fault("locked_kubeconfig") {
                eprintln!(
                    "ERROR: failed to delete cluster: failed to lock config file: open /x/config.lock: file exists"
                );
                return 1;
            }
            eprintln!("Deleting cluster \"{name}\" ...");
        }
        ["get", "clusters"] => {
            let all = play.all("kind");
            if all.is_empty() {
                eprintln!("No kind clusters found.");
            }
            for state in all {
                println!("{}", state["name"].as_str().unwrap());
            }
        }
        ["get", "kubeconfig"] => {
            if play.load("kind", &name).is_none() {
                eprintln!("ERROR: could not locate any control plane nodes for cluster named '{name}'.");
                return 1;
            }
            print!(
                "{}",
                play.kubeconfig(&name, &format!("kind-{name}"), &format!("kind-{name}"))
            );
        }
        other => {
            eprintln!("ERROR: unknown command {other:?}");
            return 1;
        }
    }
    0
}

fn create(play: &Play, name: &str) -> i32 {
    if play.load("kind", name).is_some() {
        eprintln!("ERROR: failed to create cluster: node(s) already exist for a cluster with the name \"{name}\"");
        return 1;
    }
    let config = play
        .flag(&["--config"])
        .map(|path| std::fs::read_to_string(path).unwrap())
        .unwrap_or_default();
    let config: Value = serde_saphyr::from_str(&config).unwrap();
    let mut nodes: Vec<Value> = Vec::new();
    for node in config["nodes"].as_array().unwrap() {
        let role = node["role"].as_str().unwrap();
        let nth = nodes.iter().filter(|node| node["role"] == role).count();
        let suffix = if nth == 0 { String::new() } else { (nth + 1).to_string() };
        nodes.push(json!({"name": format!("{name}-{role}{suffix}"), "role": role, "status": "running"}));
    }
    if play.leaves_half() {
        nodes.truncate(1);
    }
    let port = config["networking"]["apiServerPort"]
        .as_u64()
        .unwrap_or(41000)
        .to_string();
    let image = play
        .flag(&["--image"])
        .unwrap_or_else(|| "kindest/node:v1.35.0@sha256:abc".to_owned());
    play.save(
        "kind",
        name,
        &json!({"name": name, "image": image, "port": port, "nodes": nodes}),
    );
    eprintln!("Creating cluster \"{name}\" ...");
    if play.fault("partial") {
        return 1;
    }
    eprintln!(" • WARNING: Timed out waiting for Ready ⚠️");
    0
}
