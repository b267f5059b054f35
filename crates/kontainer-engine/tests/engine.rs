//! The engine with real driver processes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure is a failed test"
)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit::Clock;
use kontainer_engine::observe::Event;
use kontainer_engine::{
    Cluster, DriverOptions, DriverSource, Engine, EngineError, FileStore, Force, Patience, Watch, status,
};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const DRIVER: &str = env!("CARGO_BIN_EXE_kontainer-engine-test-driver");

struct World {
    home: TempDir,
    engine: Engine,
    lines: Arc<Mutex<Vec<String>>>,
    line: Arc<Notify>,
    watch: Watch,
    cancel: CancellationToken,
}

fn world() -> World {
    let home = tempfile::tempdir().unwrap();
    let (lines, line) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let (told, arrived) = (lines.clone(), line.clone());
    let cancel = CancellationToken::new();
    let observer = move |_: Duration, event: &Event| {
        if let Event::Driver(line) = event {
            told.lock().unwrap().push(line.message.clone());
            arrived.notify_one();
        }
    };
    let store = Arc::new(FileStore::in_home(home.path(), Clock::system()));
    World {
        engine: Engine::new(store, Clock::system()).with_patience(Patience {
            start: Duration::from_mins(1),
            stop: Duration::from_secs(20),
        }),
        watch: Watch::new(Arc::new(observer), cancel.clone()),
        home,
        lines,
        line,
        cancel,
    }
}

impl World {
    /// The test driver under a name that tells it how to behave.
    fn driver(&self, mode: &str) -> DriverSource {
        let path = self.home.path().join(format!("kontainer-engine-driver-{mode}"));
        if !path.exists() {
            symlink(DRIVER, &path).unwrap();
        }
        DriverSource::Program(path)
    }

    async fn create(&self, mode: &str, behave: &str) -> Result<Cluster, EngineError> {
        let options = DriverOptions {
            string_options: [("behave".to_owned(), behave.to_owned())].into(),
            ..DriverOptions::default()
        };
        self.engine
            .create(&self.driver(mode), "demo", options, &self.watch)
            .await
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    async fn wait_for(&self, text: &str) {
        while !self.lines().iter().any(|line| line.contains(text)) {
            self.line.notified().await;
        }
    }

    /// The process that the driver said it is.
    fn process(&self) -> PathBuf {
        let lines = self.lines();
        let pid = lines.iter().find_map(|line| line.strip_prefix("pid ")).unwrap();
        Path::new("/proc").join(pid)
    }
}

#[tokio::test]
async fn a_driver_program_is_started_used_stopped_and_reaped() {
    let world = world();
    let cluster = world.create("fake", "").await.unwrap();
    assert_eq!(
        (cluster.status.as_str(), cluster.driver_name.as_str()),
        (status::RUNNING, "fake")
    );
    assert!(cluster.driver_path.unwrap().is_absolute());
    assert!(!world.process().exists(), "a zombie would still be there");
    let lines = world.lines().join("\n");
    assert!(
        lines.contains("listening on 127.0.0.1:") && lines.contains("stopping"),
        "{lines}"
    );
}

#[test]
fn operations_may_run_in_tasks_of_their_own() {
    fn sendable(_: impl Send) {}
    let world = world();
    sendable(world.create("fake", ""));
}

#[tokio::test]
async fn a_slow_start_is_waited_for() {
    let world = world();
    let flags = world
        .engine
        .create_flags(&world.driver("slow"), &world.watch)
        .await
        .unwrap();
    assert!(flags.options.contains_key("behave"));
}

#[tokio::test]
async fn a_driver_that_ends_at_once_is_told_with_its_last_lines() {
    let world = world();
    let error = world
        .engine
        .create_flags(&world.driver("exit"), &world.watch)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("exit status: 3") && text.contains("libfoo.so"), "{text}");
}

#[tokio::test]
async fn a_program_that_is_none_is_named() {
    let world = world();
    let source = DriverSource::Program(world.home.path().join("missing"));
    let error = world.engine.create_flags(&source, &world.watch).await.unwrap_err();
    assert!(error.to_string().ends_with("missing failed"), "{error}");
}

#[tokio::test]
async fn a_driver_that_moved_is_remembered_where_it_is_now_once_it_answers_there() {
    let world = world();
    let before = world.create("fake", "").await.unwrap().driver_path.unwrap();
    let stored = async || world.engine.store().get("demo").await.unwrap().unwrap().driver_path;
    let moved = world.home.path().join("elsewhere").join(before.file_name().unwrap());
    let source = DriverSource::Program(moved.clone());
    let missing = world.engine.set_driver(&source, "demo", &world.watch).await;
    assert!(matches!(missing, Err(EngineError::Start { .. })), "{missing:?}");
    assert_eq!(stored().await, Some(before.clone()));

    std::fs::create_dir(moved.parent().unwrap()).unwrap();
    std::fs::rename(&before, &moved).unwrap();
    world.engine.set_driver(&source, "demo", &world.watch).await.unwrap();
    assert_eq!(stored().await, Some(moved.clone()));
    let other = world
        .engine
        .set_driver(&world.driver("slow"), "demo", &world.watch)
        .await;
    assert!(matches!(other, Err(EngineError::OtherDriver { .. })), "{other:?}");
    assert_eq!(stored().await, Some(moved));

    let removed = world.engine.remove(&source, "demo", Force::No, &world.watch).await;
    removed.unwrap();
    assert!(world.engine.store().get("demo").await.unwrap().is_none());
}

#[tokio::test]
async fn a_panic_in_create_is_an_error_of_the_driver() {
    let world = world();
    let error = world.create("fake", "panic").await.unwrap_err();
    assert_eq!(
        kit::chain(&error),
        "creating cluster demo failed: the driver panicked in Create; its log has the details"
    );
    assert!(
        world.lines().iter().any(|line| line.contains("deliberate")),
        "{:?}",
        world.lines()
    );
}

#[tokio::test]
async fn a_driver_that_dies_at_work_is_told_as_that_and_the_record_stays() {
    let world = world();
    let error = world.create("fake", "die").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("exit status: 7") && text.contains("last words"), "{text}");
    let stored = world.engine.store().get("demo").await.unwrap().unwrap();
    assert_eq!(stored.status, status::ERROR);
}

#[tokio::test]
async fn a_cancelled_creation_keeps_what_the_driver_says_on_sigterm() {
    let world = world();
    let (created, ()) = tokio::join!(world.create("fake", "hang"), async {
        world.wait_for("hanging").await;
        world.cancel.cancel();
    });
    assert!(matches!(created, Err(EngineError::Cancelled)), "{created:?}");
    let stored = world.engine.store().get("demo").await.unwrap().unwrap();
    assert_eq!(stored.metadata["id"], "1");
    assert!(!world.process().exists());
}

#[tokio::test]
async fn a_driver_that_ignores_sigterm_is_killed() {
    let mut world = world();
    world.engine = world.engine.clone().with_patience(Patience {
        start: Duration::from_mins(1),
        stop: Duration::from_millis(200),
    });
    let (created, ()) = tokio::join!(world.create("stubborn", "hang"), async {
        world.wait_for("hanging").await;
        world.cancel.cancel();
    });
    assert!(matches!(created, Err(EngineError::Cancelled)), "{created:?}");
    assert!(!world.process().exists());
}

#[tokio::test]
async fn a_driver_that_never_answers_is_given_up_and_killed() {
    let mut world = world();
    world.engine = world.engine.clone().with_patience(Patience {
        start: Duration::from_millis(700),
        stop: Duration::from_millis(200),
    });
    let error = world
        .engine
        .create_flags(&world.driver("mute"), &world.watch)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("did not answer within 700ms"), "{error}");
    assert!(!world.process().exists());
}

#[tokio::test]
async fn dropping_an_operation_kills_the_driver() {
    let world = world();
    tokio::select! {
        _ = world.create("stubborn", "hang") => panic!("it hangs"),
        () = world.wait_for("hanging") => {}
    }
    let process = world.process();
    // Killed at once; reaped by the runtime, which needs a moment.
    while process.exists() {
        tokio::task::yield_now().await;
    }
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(DRIVER).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_driver_program_tells_how_it_is_used() {
    assert_eq!(
        run(&["--version"]),
        (
            Some(0),
            "kontainer-engine-driver-test 1.2.3\n".to_owned(),
            String::new()
        )
    );
    let (code, help, _) = run(&["--help"]);
    assert!(code == Some(0) && help.contains("behave"), "{help}");
    for args in [&[][..], &["x"], &["0"], &["70000"], &["1", "2"]] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.contains("usage: kontainer-engine-driver-test PORT"), "{err}");
    }
}

#[test]
fn a_taken_port_ends_the_driver_with_a_clear_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, err) = run(&[&port]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains(&format!("listening on 127.0.0.1:{port} failed")) && err.contains("another program"),
        "{err}"
    );
}
