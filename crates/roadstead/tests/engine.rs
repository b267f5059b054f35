//! The life of a cluster, through the command as people type it.
#![allow(
    clippy::unwrap_used,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use common::{Home, SECRET, Sim};
use serde_json::Value;

const CREATE: [&str; 10] = [
    "engine",
    "create",
    "--driver",
    "rackspacespot",
    "--rackspace-spot-organization=acme",
    "--rackspaceSpotRegion=us-east-iad-1",
    "--spot-bid-price=0.02",
    "--nodes-ready-policy=all",
    "--kubernetes-version=1.32.9",
    "demo",
];

#[test]
fn a_cluster_is_created_changed_and_removed() {
    let sim = Sim::start(&["rackspace-spot", "--speed", "120"]);
    let home = Home::new(sim.text("url"));

    let created = home.ok(&CREATE);
    assert!(
        created.starts_with("demo is running: 3 nodes, 1.32.9, https://127.0.0.1:"),
        "{created}"
    );
    let again = home.run(&CREATE);
    assert_eq!(
        (again.code, again.err.contains("cluster already exists")),
        (4, true),
        "{}",
        again.err
    );

    let table = home.ok(&["engine", "ls"]);
    let (header, row) = table.split_once('\n').unwrap();
    assert!(header.starts_with("NAME   DRIVER          VERSION"), "{table}");
    assert!(
        row.contains("demo   rackspacespot   1.32.9") && row.contains("Running"),
        "{table}"
    );
    let list: Value = serde_json::from_str(&home.ok(&["engine", "list", "-o", "json"])).unwrap();
    assert_eq!(
        (&list[0]["name"], &list[0]["nodeCount"]),
        (&Value::from("demo"), &Value::from(3))
    );
    assert!(
        home.ok(&["engine", "ls", "--output=yaml"])
            .contains("driverName: rackspacespot")
    );

    let shown: Value = serde_json::from_str(&home.ok(&["engine", "inspect", "demo"])).unwrap();
    for secret in ["serviceAccountToken", "password", "rootCACert"] {
        assert_eq!(shown[secret], "Redacted", "{secret}");
    }
    assert_eq!(shown["metadata"]["state"], "Redacted");

    assert_eq!(
        home.ok(&["engine", "set-cluster-size", "--cluster-size", "4", "demo"]),
        "demo updated to 4 nodes\n"
    );
    assert_eq!(home.ok(&["engine", "gcs", "demo"]), "demo: 4\n");
    for (words, member, value) in [
        (
            &["engine", "gcs", "demo", "-o", "json"][..],
            "/0/nodeCount",
            Value::from(4),
        ),
        (
            &["engine", "-o=json", "gv", "demo"],
            "/0/version",
            Value::from("1.32.9"),
        ),
        (
            &["engine", "env", "demo", "--output=json"],
            "/name",
            Value::from("demo"),
        ),
        (
            &["engine", "update", "demo", "-o", "json"],
            "/nodeCount",
            Value::from(4),
        ),
        (
            &["engine", "update", "-o", "json", "demo"],
            "/password",
            Value::from("Redacted"),
        ),
    ] {
        let told: Value = serde_json::from_str(&home.ok(words)).unwrap();
        assert_eq!(told.pointer(member), Some(&value), "{words:?}: {told}");
    }
    let all = home.run(&["engine", "update", "demo", "-vvv"]);
    assert!(
        all.err.contains("DEBUG hyper_util") && all.err.contains("log in to Rackspace Spot"),
        "{}",
        all.err
    );
    let table = home.ok(&["engine", "inspect", "demo", "-o", "table"]);
    assert!(
        table.starts_with("MEMBER") && table.contains("nodeCount             4"),
        "{table}"
    );
    home.ok(&["engine", "update", "--spot-node-count=5", "demo"]);
    assert_eq!(home.ok(&["engine", "get-cluster-size", "demo"]), "demo: 5\n");
    assert_eq!(
        home.ok(&["engine", "sv", "--version", "1.33.0", "demo"]),
        "demo updated to 1.33.0\n"
    );
    assert_eq!(home.ok(&["engine", "get-version", "demo"]), "demo: 1.33.0\n");
    let down = home.run(&["engine", "set-version", "--version=1.31.1", "demo"]);
    assert_ne!(down.code, 0, "a downgrade must be refused");

    let kubeconfig = home.path().join(".kontainer/kubeconfig");
    let told = home.ok(&["engine", "env", "demo"]);
    assert_eq!(
        told,
        format!(
            "Current context is set to demo\nexport KUBECONFIG={}\n",
            kubeconfig.display()
        )
    );
    let written = std::fs::read_to_string(&kubeconfig).unwrap();
    assert!(
        written.contains("current-context: demo") && written.contains("token: "),
        "{written}"
    );
    everything_is_private(&home.path().join(".kontainer"));

    assert_eq!(home.ok(&["engine", "rm", "demo"]), "demo\n");
    let list: Value = serde_json::from_str(&home.ok(&["engine", "ls", "-o=json"])).unwrap();
    assert_eq!(list, Value::Array(Vec::new()));
    let gone = home.run(&["engine", "rm", "demo"]);
    assert_eq!(gone.code, 3, "{}", gone.err);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason_and_an_exit_code() {
    let sim = Sim::start(&["rackspace-spot", "--speed", "120"]);
    let home = Home::new(sim.text("url"));
    let spot = ["engine", "create", "--driver=rackspacespot"];
    let with = |more: &[&'static str]| [&spot[..], more].concat();
    let basics = [
        "--rackspace-spot-organization=acme",
        "--rackspace-spot-region=us-east-iad-1",
    ];
    let on_top = |more: &[&'static str]| [&spot[..], &basics, more].concat();
    for (args, code, reason) in [
        (vec!["engine", "create", "demo"], 2, "a driver is needed"),
        (
            vec!["engine", "create", "--driver=nosuch", "demo"],
            3,
            "no driver is called \"nosuch\"",
        ),
        (
            vec!["engine", "create", "--driver=./nosuch", "demo"],
            3,
            "no driver binary at ./nosuch",
        ),
        (with(&["demo", "--no-such-option"]), 2, "--no-such-option"),
        (with(&["--spot-node-count=many", "demo"]), 2, "many"),
        (with(&[]), 2, "CLUSTER"),
        (vec!["engine", "update", "nosuch"], 3, "nosuch not found"),
        (vec!["engine", "inspect", "nosuch"], 3, "nosuch not found"),
        (vec!["engine", "env", "../../etc"], 2, "can not be a cluster's name"),
        (vec!["engine", "set-cluster-size", "--cluster-size=-1", "demo"], 2, "-1"),
        (
            with(&["--rackspace-spot-region=us-east-iad-1", "demo"]),
            1,
            "rackspace-spot-organization is required",
        ),
        (on_top(&["--spot-bid-price=0.05", "demo"]), 1, "0.06"),
        (
            on_top(&["--spot-server-class=gp.vs1.medium-lon", "demo"]),
            1,
            "gp.vs1.medium-lon",
        ),
        (on_top(&["--kubernetes-version=9.9.9", "demo"]), 1, "9.9.9"),
        (vec!["sim", "nosuch"], 2, "nosuch"),
        (
            vec!["sim", "rackspace-spot", "--listen=0.0.0.0:0"],
            2,
            "not a loopback address",
        ),
        (vec!["sim", "rackspace-spot", "--speed=-1"], 2, "speed"),
        (
            vec!["sim", "rackspace-spot", "--state=/does/not/exist"],
            2,
            "/does/not/exist",
        ),
        (vec![], 2, "Usage"),
    ] {
        let done = home.run(&args);
        assert!(
            done.err.contains(reason),
            "{args:?} should say {reason:?}: {}",
            done.err
        );
        assert_eq!(done.code, code, "{args:?}: {}", done.err);
        assert!(done.out.is_empty(), "{args:?} writes to standard output: {}", done.out);
    }
    let state: Value = serde_json::from_str(&get(sim.text("control"), "state")).unwrap();
    for kind in ["cloudspaces", "spotnodepools", "ondemandnodepools"] {
        assert_eq!(
            state[kind].as_object().map(serde_json::Map::len),
            Some(0),
            "{kind} were bought"
        );
    }
}

#[test]
fn a_command_that_is_out_of_time_says_so_and_the_next_one_goes_on() {
    // At the real speed the control plane takes a minute and a half.
    let sim = Sim::start(&["rackspace-spot"]);
    let home = Home::new(sim.text("url"));
    let timed = [&CREATE[..2], &["--timeout=2s"], &CREATE[2..]].concat();
    let done = home.run(&timed);
    assert_eq!(done.code, 6, "{}", done.err);
    assert!(done.err.contains("not done within 2s"), "{}", done.err);

    post(sim.text("control"), "advance", r#"{"seconds":600}"#);
    assert!(home.ok(&CREATE).starts_with("demo is running: 3 nodes"));
    let state: Value = serde_json::from_str(&get(sim.text("control"), "state")).unwrap();
    assert_eq!(
        state["spotnodepools"].as_object().map(serde_json::Map::len),
        Some(1),
        "a pool was bought twice"
    );
}

#[test]
fn a_provider_is_trusted_by_its_certificate_and_refused_at_once_without() {
    let sim = Sim::start(&["rackspace-spot", "--tls"]);
    let create = [
        "engine",
        "create",
        "--driver=rackspacespot",
        "--rackspace-spot-organization=acme",
        "--rackspace-spot-region=us-east-iad-1",
        "--spot-bid-price=0.05",
        "demo",
    ];
    let stranger = Home::new(sim.text("url")).run(&create);
    assert!(stranger.err.contains("the server is not trusted"), "{}", stranger.err);

    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, sim.text("ca")).unwrap();
    let known = Home::new(sim.text("url"))
        .with("SSL_CERT_FILE", ca.to_str().unwrap())
        .run(&create);
    assert!(known.err.contains("the next valid bid is 0.06"), "{}", known.err);
}

#[test]
fn offers_show_what_there_is_and_what_it_costs() {
    let sim = Sim::start(&["rackspace-spot"]);
    let home = Home::new(sim.text("url"));
    let offers = ["engine", "offers", "--driver=rackspacespot"];
    let with = |more: &[&'static str]| [&offers[..], more].concat();
    let all: Value = serde_json::from_str(&home.ok(&with(&["--output=json"]))).unwrap();
    let all = all.as_array().unwrap();
    let one = all.iter().find(|offer| offer["class"] == "gp.vs1.medium-iad").unwrap();
    assert_eq!(one["region"], "us-east-iad-1");
    for price in ["onDemand", "market", "winningBid"] {
        let price: f64 = one[price].as_str().unwrap_or_default().parse().unwrap();
        assert!(price > 0.0, "{one}");
    }

    let table = home.ok(&with(&["--region=us-east-iad-1"]));
    let rows: Vec<&str> = table.lines().collect();
    assert!(
        rows[0].starts_with("REGION") && rows[0].contains("ON DEMAND   MARKET"),
        "{table}"
    );
    assert!(rows.len() > 1 && rows.len() <= all.len(), "{table}");
    assert!(rows[1..].iter().all(|row| row.starts_with("us-east-iad-1 ")), "{table}");

    for (more, code, reason) in [
        (&["--region=nowhere"][..], 3, "the regions are "),
        (
            &["--driver=import"],
            2,
            "driver import does not tell what its provider offers",
        ),
        (&["--driver=nosuch"], 3, "no driver is called"),
    ] {
        let words = [&["engine", "offers"][..], more].concat();
        let words = if more[0].starts_with("--driver") {
            words
        } else {
            with(more)
        };
        let done = home.run(&words);
        assert_eq!(done.code, code, "{words:?}: {}", done.err);
        assert!(done.err.contains(reason), "{words:?}: {}", done.err);
    }
    let poor = Home::new(sim.text("url")).with("ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN", "");
    let done = poor.run(&offers);
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(
        done.err.contains("hint: set ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN"),
        "{}",
        done.err
    );
    let wrong = Home::new(sim.text("url")).with("ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN", "nobodys-token");
    assert_eq!(wrong.run(&offers).code, 5);
}

fn get(base: &str, what: &str) -> String {
    ask(base, "GET", what, "")
}

fn post(base: &str, what: &str, body: &str) {
    ask(base, "POST", what, body);
}

/// A driver program in `dir`: this very test program, told to run [`serves_a_driver`].
fn driver_program(dir: &Path) -> String {
    std::fs::create_dir(dir).unwrap();
    let path = dir.join("kontainer-engine-driver-mine");
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexport TEST_DRIVER_PORT=\"$1\"\nexec '{}' --exact --ignored --nocapture serves_a_driver\n",
        this.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
#[ignore = "a driver that other tests start"]
fn serves_a_driver() {
    let Ok(port) = std::env::var("TEST_DRIVER_PORT") else {
        return;
    };
    let settings = rackspace_spot::Settings::from_env().unwrap();
    let driver = std::sync::Arc::new(rackspace_spot::SpotDriver::new(settings));
    kontainer_engine::driver_main(driver, "0", ["driver", &port].map(std::ffi::OsString::from));
}

#[test]
fn a_driver_that_moved_is_given_once_and_remembered() {
    let sim = Sim::start(&["rackspace-spot", "--speed", "120"]);
    let home = Home::new(sim.text("url"));
    let place = |name: &str| home.path().join(name);
    let mut path = driver_program(&place("first"));
    let created = home.ok(&[&CREATE[..3], &[path.as_str()], &CREATE[4..]].concat());
    assert!(created.starts_with("demo is running"), "{created}");
    let mut move_to = |name: &str| {
        let (from, to) = (std::path::PathBuf::from(&path), place(name));
        std::fs::rename(from.parent().unwrap(), &to).unwrap();
        path = to.join(from.file_name().unwrap()).to_str().unwrap().to_owned();
        path.clone()
    };
    let stored = || {
        let shown: Value = serde_json::from_str(&home.ok(&["engine", "inspect", "demo"])).unwrap();
        shown["driverPath"].as_str().unwrap().to_owned()
    };

    let second = move_to("second");
    let lost = home.run(&["engine", "gcs", "demo"]);
    assert_eq!(lost.code, 3, "{}", lost.err);
    assert!(
        lost.err.contains("there is no file") && lost.err.contains("--driver PATH"),
        "{}",
        lost.err
    );
    assert_eq!(home.ok(&["engine", "gcs", "--driver", &second, "demo"]), "demo: 3\n");
    assert_eq!(stored(), second);
    assert_eq!(home.ok(&["engine", "gv", "demo"]), "demo: 1.32.9\n", "it is remembered");

    let third = move_to("third");
    home.ok(&["engine", "update", "--driver", &third, "demo"]);
    assert_eq!(stored(), third);

    // One that made nothing would remove nothing, and the machines would run on.
    let other = home.run(&["engine", "rm", "--driver=import", "demo"]);
    assert_eq!(other.code, 2, "{}", other.err);
    assert!(
        other.err.contains("was made by driver mine, not by import"),
        "{}",
        other.err
    );
    assert_eq!(stored(), third);

    let fourth = move_to("fourth");
    assert_eq!(home.ok(&["engine", "rm", "-d", &fourth, "demo"]), "demo\n");
    let state: Value = serde_json::from_str(&get(sim.text("control"), "state")).unwrap();
    assert_eq!(state["cloudspaces"].as_object().map(serde_json::Map::len), Some(0));
}

/// HTTP over a plain socket, so that the test needs no client.
fn ask(base: &str, method: &str, what: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let (authority, path) = base.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(authority).unwrap();
    let head = format!("{method} /{path}/{what} HTTP/1.0\r\nHost: {authority}\r\nContent-Type: application/json");
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 2") || answer.starts_with("HTTP/1.1 2"),
        "{method} {what}: {answer}"
    );
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Files 0600, directories 0700, and the provider's credential in the one place where the protocol puts it.
fn everything_is_private(dir: &Path) {
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir), 0o700, "{}", dir.display());
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything_is_private(&path);
            continue;
        }
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let content = std::fs::read_to_string(&path).unwrap();
        if path.file_name().unwrap() != "config.json" {
            assert!(
                !content.contains(SECRET),
                "{} has the provider's credential",
                path.display()
            );
        }
    }
}
