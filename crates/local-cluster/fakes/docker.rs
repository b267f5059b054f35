//! The container engine under k3d and kind: the containers are those of their states.

use serde_json::{Value, json};

use crate::play::Play;

struct Container {
    tool: &'static str,
    cluster: String,
    node: Value,
    state: Value,
}

impl Container {
    fn name(&self) -> &str {
        self.node["name"].as_str().unwrap()
    }

    fn labels(&self) -> Value {
        match self.tool {
            "kind" => json!({"io.x-k8s.kind.cluster": self.cluster, "io.x-k8s.kind.role": self.node["role"]}),
            _ => json!({"app": "k3d", "k3d.cluster": self.cluster}),
        }
    }

    fn inspected(&self) -> Value {
        let network = if self.tool == "kind" {
            "kind".to_owned()
        } else {
            format!("k3d-{}", self.cluster)
        };
        json!({
            "Name": format!("/{}", self.name()), "Image": "sha256:22bb",
            "State": {"Status": self.node["status"], "Running": self.node["status"] == "running"},
            "Config": {"Image": self.state["image"], "Labels": self.labels()},
            "HostConfig": {"PortBindings": {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": self.state["port"]}]}, "Binds": null},
            "NetworkSettings": {"Networks": {network: {"IPAddress": "172.19.0.2"}}},
        })
    }
}

fn containers(play: &Play) -> Vec<Container> {
    ["k3d", "kind"]
        .into_iter()
        .flat_map(|tool| play.all(tool).into_iter().map(move |state| (tool, state)))
        .flat_map(|(tool, state)| {
            let nodes = state["nodes"].as_array().unwrap().clone();
            let cluster = state["name"].as_str().unwrap().to_owned();
            nodes.into_iter().map(move |node| Container {
                tool,
                cluster: cluster.clone(),
                node,
                state: state.clone(),
            })
        })
        .collect()
}

pub fn run(play: &Play) -> i32 {
    if play.fault("daemon_down") || play.dir.join("daemon_down").exists() {
        if play.tool == "podman" {
            eprintln!("Cannot connect to Podman. Please verify your connection to the Linux system");
            return 125;
        }
        eprintln!("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?");
        return 1;
    }
    let _guard = play.lock();
    match play.args.first().map(String::as_str) {
        Some("info") => println!("28.2.2"),
        Some("ps") => {
            let filter = play.flag(&["--filter"]).unwrap_or_default();
            let filter = filter.strip_prefix("label=").unwrap_or_default();
            let (key, value) = filter
                .split_once('=')
                .map_or((filter, None), |(key, value)| (key, Some(value)));
            for container in containers(play) {
                let labels = container.labels();
                let Some(label) = labels[key]
                    .as_str()
                    .filter(|label| value.is_none_or(|value| *label == value))
                else {
                    continue;
                };
                if play.flag(&["--format"]).is_some_and(|format| format.contains(".Label")) {
                    if container.node["status"] == "running" {
                        println!("{label}");
                    }
                } else {
                    println!("{}", container.name());
                }
            }
        }
        Some("inspect") => {
            let all = containers(play);
            let wanted: Vec<_> = play.args[1..]
                .iter()
                .map(|name| all.iter().find(|one| one.name() == name))
                .collect();
            if wanted.iter().any(Option::is_none) {
                println!("[]");
                eprintln!("Error: No such object");
                return 1;
            }
            println!(
                "{}",
                json!(wanted.iter().flatten().map(|one| one.inspected()).collect::<Vec<_>>())
            );
        }
        Some(verb @ ("start" | "stop")) => {
            for name in &play.args[1..] {
                let Some(container) = containers(play).into_iter().find(|one| one.name() == name) else {
                    return 1;
                };
                let mut state = container.state;
                for node in state["nodes"].as_array_mut().unwrap() {
                    if node["name"] == name.as_str() {
                        node["status"] = json!(if verb == "start" { "running" } else { "exited" });
                    }
                }
                play.save(container.tool, &container.cluster, &state);
                println!("{name}");
            }
        }
        _ => return 1,
    }
    0
}
