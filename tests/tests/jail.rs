//! The driver where Rancher runs it: in a chroot, as a user that no file knows, with next to no environment.
//!
//! Rancher's jail has the system's libraries and little else; this one has less: no `/etc` at all (so no resolver, no users,
//! no certificates), no `/proc`, no `/dev`, no `/tmp`, no home. It takes root, or the right to make user namespaces; where
//! there is neither the test says so and checks nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]
#![allow(clippy::print_stderr, reason = "whoever runs the tests is told why one was skipped")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kit::Clock;
use kontainer_engine::wire::driver_client::DriverClient;
use kontainer_engine::wire::{ClusterInfo, CreateRequest, DriverOptions, Empty};
use rackspace_spot_sim::{ACME_TOKEN, Settings, SpotSim};
use roadstead_tests::cloud_manager::binary;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

const DRIVER: &str = "kontainer-engine-driver-rackspacespot";
/// Where Rancher puts a driver, as seen from inside.
const PLACE: &str = "/management-state/bin";

/// A directory with the driver and the libraries it is linked with; everything in it is read only.
fn jail() -> TempDir {
    let driver = binary("rackspace-spot", DRIVER);
    let jail = tempfile::tempdir().unwrap();
    let put = |from: &Path, to: &Path| {
        let to = jail.path().join(to.strip_prefix("/").unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    put(&driver, &Path::new(PLACE).join(DRIVER));
    let linked = Command::new("ldd").arg(&driver).output().unwrap();
    for word in String::from_utf8_lossy(&linked.stdout).split_whitespace() {
        if word.starts_with('/') {
            put(Path::new(word), Path::new(word));
        }
    }
    open_to_all(jail.path());
    jail
}

fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o555)).unwrap();
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            open_to_all(&path);
        }
    }
}

/// So that the directory can be removed again by whoever is not root.
fn writable_again(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755));
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            writable_again(&path);
        }
    }
}

/// The command that runs `program` in the jail, with the environment that Rancher gives.
fn jailed(jail: &Path, program: &str, arg: &str) -> Command {
    let path = format!("{PLACE}/{program}");
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("chroot");
        command.args(["--userspec=64123:64123", "--groups="]);
        command
    } else {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "chroot"]);
        command
    };
    command.arg(jail).arg(path).arg(arg);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("PWD", "/");
    command
}

/// A process that is ended and reaped when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Driver {
    _process: Process,
    client: DriverClient<Channel>,
}

async fn start(jail: &Path, environment: &[(&str, &str)]) -> Driver {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = jailed(jail, DRIVER, &port.to_string());
    command.envs(environment.iter().copied()).stderr(Stdio::inherit());
    let process = Process(command.spawn().unwrap());
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let begun = Instant::now();
    loop {
        if let Ok(channel) = endpoint.connect().await {
            let client = DriverClient::new(channel);
            return Driver {
                _process: process,
                client,
            };
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the driver does not answer");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A simulated provider on loopback: no names have to be looked up.
async fn provider(stop: &CancellationToken) -> String {
    let sim = SpotSim::seeded(Clock::simulated(jiff::Timestamp::now(), 120.0), Settings::default(), 1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(sim.live(stop.clone()));
    tokio::spawn(cloud_sim::serve(sim.router(), listener, stop.clone()));
    url
}

fn create() -> CreateRequest {
    let strings = [
        ("name", "c-w467n"),
        ("rackspaceSpotRefreshToken", ACME_TOKEN),
        ("rackspaceSpotOrganization", "acme"),
        ("rackspaceSpotRegion", "us-east-iad-1"),
        ("spotBidPrice", "0.04"),
    ];
    let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    CreateRequest {
        driver_options: Some(DriverOptions {
            string_options: strings.into_iter().map(text).collect(),
            ..DriverOptions::default()
        }),
        cluster_info: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_driver_does_all_its_work_in_a_jail_with_nothing_in_it() {
    let jail = jail();
    let tried = jailed(jail.path(), DRIVER, "--version").output();
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        eprintln!("skipped: no jail can be made here (root, or user namespaces for everybody, are needed): {tried:?}");
        writable_again(jail.path());
        return;
    }
    let stop = CancellationToken::new();
    let url = provider(&stop).await;

    let mut driver = start(jail.path(), &[("RXTSPOT_BASE_URL", &url), ("RXTSPOT_OAUTH_URL", &url)]).await;
    let client = &mut driver.client;
    let flags = client.get_driver_create_options(Empty {}).await.unwrap().into_inner();
    assert!(flags.options.contains_key("rackspace-spot-refresh-token"));
    let info = client.create(create()).await.unwrap().into_inner();
    assert_eq!(info.create_error, "");
    let info: ClusterInfo = client.post_check(info).await.unwrap().into_inner();
    assert!(info.endpoint.starts_with("https://") && !info.service_account_token.is_empty());
    client.remove(info).await.unwrap();

    // No host can be looked up there: that is an answer, too, and no end of the process.
    let nowhere = "https://spot.test";
    let environment = [
        ("RXTSPOT_BASE_URL", nowhere),
        ("RXTSPOT_OAUTH_URL", nowhere),
        ("RXTSPOT_MAX_RETRIES", "1"),
    ];
    let mut lost = start(jail.path(), &environment).await;
    let why = match lost.client.create(create()).await {
        Ok(answer) => answer.into_inner().create_error,
        Err(status) => status.message().to_owned(),
    };
    assert!(why.contains("cannot connect"), "{why}");
    lost.client.get_capabilities(Empty {}).await.unwrap();

    stop.cancel();
    writable_again(jail.path());
}
