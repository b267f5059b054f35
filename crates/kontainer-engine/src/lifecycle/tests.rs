use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kit::Clock;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::observe::Event;
use crate::record::{Cluster, status};
use crate::wire::{ClusterInfo, DriverOptions};
use crate::{
    Call, Capability, CreateError, Driver, DriverError, DriverSource, Engine, EngineError, FileStore, Force,
    OptionSpec, OptionTable, Options, PersistentStore, Watch,
};

/// What the next call of the driver does.
#[derive(Clone, Copy)]
enum Act {
    Work,
    Fail,
    /// Fails, with something to keep.
    Fold,
    /// Waits until it is cancelled, then fails with something to keep.
    Hang,
}

struct Fake {
    table: OptionTable,
    script: Mutex<VecDeque<Act>>,
    calls: Mutex<Vec<String>>,
    hanging: CancellationToken,
}

impl Fake {
    fn act(&self, call: String) -> Result<Act, DriverError> {
        self.calls.lock().unwrap().push(call);
        match self.script.lock().unwrap().pop_front().unwrap_or(Act::Work) {
            Act::Fail => Err(DriverError::permanent("no luck")),
            other => Ok(other),
        }
    }
}

fn made() -> ClusterInfo {
    ClusterInfo {
        metadata: [
            ("cluster-id".to_owned(), "id-1".to_owned()),
            ("zone".to_owned(), "old".to_owned()),
        ]
        .into(),
        ..ClusterInfo::default()
    }
}

#[async_trait]
impl Driver for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn options(&self) -> &OptionTable {
        &self.table
    }

    fn capabilities(&self) -> &[Capability] {
        &[Capability::GetClusterSize, Capability::SetClusterSize]
    }

    async fn create(
        &self,
        call: &Call,
        options: &Options,
        previous: Option<ClusterInfo>,
    ) -> Result<ClusterInfo, CreateError> {
        let previous = previous.map(|info| info.metadata.len());
        match self.act(format!("create {} previous={previous:?}", options.name()))? {
            Act::Fold => Err(CreateError::keeping(DriverError::transient("half done"), made())),
            Act::Hang => {
                self.hanging.cancel();
                call.cancelled().await;
                Err(CreateError::keeping(DriverError::cancelled(), made()))
            }
            _ => Ok(made()),
        }
    }

    async fn update(&self, _: &Call, info: ClusterInfo, options: &Options) -> Result<ClusterInfo, DriverError> {
        let raw = &options.raw().string_options;
        self.act(format!(
            "update zone={:?} id={:?}",
            options.string("zone"),
            raw.get("cluster-id")
        ))?;
        Ok(info)
    }

    async fn post_check(&self, call: &Call, mut info: ClusterInfo) -> Result<ClusterInfo, DriverError> {
        call.step("waiting");
        self.act("check".to_owned())?;
        info.endpoint = "192.0.2.1".into();
        info.root_ca_certificate = "Q0E=".into();
        info.service_account_token = "token".into();
        Ok(info)
    }

    async fn remove(&self, _: &Call, _: ClusterInfo) -> Result<(), DriverError> {
        self.act("remove".to_owned()).map(|_| ())
    }

    async fn cluster_size(&self, _: &Call, _: ClusterInfo) -> Result<i64, DriverError> {
        Ok(7)
    }

    async fn set_cluster_size(&self, _: &Call, _: ClusterInfo, count: i64) -> Result<(), DriverError> {
        self.act(format!("size {count}")).map(|_| ())
    }
}

struct World {
    engine: Engine,
    driver: Arc<Fake>,
    source: DriverSource,
    events: Arc<Mutex<Vec<Event>>>,
    watch: Watch,
    cancel: CancellationToken,
    home: TempDir,
}

fn world(script: &[Act]) -> World {
    let home = tempfile::tempdir().unwrap();
    let driver = Arc::new(Fake {
        table: OptionTable::new(&[OptionSpec::string("zone", "where")]).unwrap(),
        script: Mutex::new(script.iter().copied().collect()),
        calls: Mutex::default(),
        hanging: CancellationToken::new(),
    });
    let events = Arc::new(Mutex::new(Vec::new()));
    let cancel = CancellationToken::new();
    let told = events.clone();
    let observer = move |_: Duration, event: &Event| told.lock().unwrap().push(event.clone());
    World {
        engine: Engine::new(
            Arc::new(FileStore::in_home(home.path(), Clock::system())),
            Clock::system(),
        ),
        source: DriverSource::BuiltIn(driver.clone()),
        driver,
        events,
        watch: Watch::new(Arc::new(observer), cancel.clone()),
        cancel,
        home,
    }
}

impl World {
    async fn create(&self) -> Result<Cluster, EngineError> {
        self.engine
            .create(&self.source, "demo", DriverOptions::default(), &self.watch)
            .await
    }

    async fn update(&self) -> Result<Cluster, EngineError> {
        self.engine
            .update(&self.source, "demo", DriverOptions::default(), &self.watch)
            .await
    }

    async fn stored(&self) -> Cluster {
        self.engine.store().get("demo").await.unwrap().unwrap()
    }

    async fn store(&self, status: &str, info: ClusterInfo) {
        let mut cluster = Cluster {
            name: "demo".into(),
            status: status.into(),
            ..Cluster::default()
        };
        cluster.take(info);
        self.engine.store().save(&cluster).await.unwrap();
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.driver.calls.lock().unwrap())
    }

    fn statuses(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let status = |event: &Event| match event {
            Event::Status(status) => Some(status.clone()),
            _ => None,
        };
        events.iter().filter_map(status).collect()
    }
}

fn text(error: &EngineError) -> String {
    kit::chain(error)
}

#[tokio::test]
async fn a_cluster_is_created_checked_and_published() {
    let world = world(&[]);
    let cluster = world.create().await.unwrap();
    assert_eq!(world.calls(), ["create demo previous=None", "check"]);
    assert_eq!(
        world.statuses(),
        ["Pre-Creating", "Creating", "Post-Checking", "Running"]
    );
    assert_eq!(cluster, world.stored().await);
    assert_eq!(
        (cluster.driver_name.as_str(), cluster.status.as_str()),
        ("fake", status::RUNNING)
    );
    let step = Event::Driver(crate::logstream::LogLine {
        level: crate::logstream::Level::Step,
        message: "waiting".into(),
    });
    assert!(
        world.events.lock().unwrap().contains(&step),
        "what the driver says is told"
    );
}

#[tokio::test]
async fn a_failed_creation_keeps_its_state_and_goes_on_from_it() {
    let world = world(&[Act::Fold]);
    let error = world.create().await.unwrap_err();
    assert_eq!(text(&error), "creating cluster demo failed: half done");
    let stored = world.stored().await;
    assert_eq!(
        (stored.status.as_str(), stored.metadata["cluster-id"].as_str()),
        ("Error", "id-1")
    );
    world.create().await.unwrap();
    assert_eq!(world.calls()[1], "create demo previous=Some(2)");
    assert_eq!(world.stored().await.status, status::RUNNING);
}

#[tokio::test]
async fn a_creation_that_failed_without_a_trace_is_tried_again() {
    let world = world(&[Act::Fail]);
    world.create().await.unwrap_err();
    assert_eq!(world.stored().await.status, status::ERROR);
    world.create().await.unwrap();
    assert_eq!(world.calls()[1], "create demo previous=Some(0)");
}

#[tokio::test]
async fn an_interrupted_creation_gets_what_is_stored() {
    for (status, info, previous) in [
        (status::CREATING, made(), "Some(2)"),
        (status::PRE_CREATING, made(), "Some(2)"),
        (status::CREATING, ClusterInfo::default(), "None"),
    ] {
        let world = world(&[]);
        world.store(status, info).await;
        world.create().await.unwrap();
        assert_eq!(world.calls()[0], format!("create demo previous={previous}"), "{status}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_there_is_not_created_again() {
    for status in [status::RUNNING, status::UPDATING, status::POST_CHECKING, status::INIT] {
        let world = world(&[]);
        world.store(status, made()).await;
        let error = world.create().await.unwrap_err();
        assert_eq!(text(&error), "cluster already exists");
        assert!(world.calls().is_empty());
        assert_eq!(world.stored().await.status, status::RUNNING, "{status}");
    }
}

#[tokio::test]
async fn creating_what_is_there_with_another_driver_does_not_give_it_that_driver() {
    let world = world(&[]);
    let theirs = Cluster {
        name: "demo".into(),
        status: status::RUNNING.into(),
        driver_name: "other".into(),
        driver_path: Some("/opt/kontainer-engine-driver-other".into()),
        ..Cluster::default()
    };
    world.engine.store().save(&theirs).await.unwrap();
    assert!(matches!(world.create().await, Err(EngineError::Exists)));
    assert_eq!(world.stored().await, theirs);
    let refused = world.engine.set_driver(&world.source, "demo", &world.watch).await;
    assert_eq!(
        text(&refused.unwrap_err()),
        "cluster demo was made by driver other, not by fake"
    );
    assert_eq!(world.stored().await, theirs);
}

#[tokio::test]
async fn a_failed_check_keeps_what_create_made_and_creates_again() {
    let world = world(&[Act::Work, Act::Fail]);
    world.create().await.unwrap_err();
    let stored = world.stored().await;
    assert_eq!((stored.status.as_str(), stored.metadata.len()), ("Error", 2));
    world.create().await.unwrap();
    assert_eq!(world.calls()[2], "create demo previous=Some(2)");
}

#[tokio::test]
async fn an_update_ends_as_running_and_notes_pin_no_option() {
    let world = world(&[]);
    world.store(status::RUNNING, made()).await;
    world.update().await.unwrap();
    assert_eq!(world.calls(), ["update zone=None id=Some(\"id-1\")", "check"]);
    assert_eq!(world.statuses(), ["Updating", "Post-Checking", "Running"]);
    assert_eq!(world.stored().await.status, status::RUNNING);
}

#[tokio::test]
async fn an_update_that_fails_stays_updating_and_one_of_nothing_is_refused() {
    let world = world(&[Act::Fail]);
    assert!(matches!(world.update().await, Err(EngineError::NotFound(_))));
    world.store(status::RUNNING, made()).await;
    assert_eq!(
        text(&world.update().await.unwrap_err()),
        "updating cluster demo failed: no luck"
    );
    assert_eq!(world.stored().await.status, status::UPDATING);
    world.store(status::CREATING, made()).await;
    assert_eq!(
        text(&world.update().await.unwrap_err()),
        "cluster demo has not been created"
    );
    world.store(status::ERROR, made()).await;
    world.calls();
    world.update().await.unwrap();
    assert_eq!(
        world.calls()[0],
        "create demo previous=Some(2)",
        "an update of a failed creation creates"
    );
}

#[tokio::test]
async fn a_record_outlives_a_failed_removal_unless_forced() {
    let world = world(&[Act::Fail, Act::Fail]);
    world.store(status::RUNNING, made()).await;
    let remove = async |force| world.engine.remove(&world.source, "demo", force, &world.watch).await;
    assert_eq!(
        text(&remove(Force::No).await.unwrap_err()),
        "removing cluster demo failed: no luck"
    );
    assert_eq!(world.stored().await.metadata.len(), 2);
    remove(Force::Yes).await.unwrap();
    assert!(world.engine.store().get("demo").await.unwrap().is_none());
    let warned = format!("{:?}", world.events.lock().unwrap());
    assert!(
        warned.contains("Check for stray resources on cloud provider"),
        "{warned}"
    );
    assert!(matches!(remove(Force::Yes).await, Err(EngineError::NotFound(_))));
}

#[tokio::test]
async fn sizes_go_by_capability_and_are_stored() {
    let world = world(&[]);
    world.store(status::RUNNING, made()).await;
    let refused = world
        .engine
        .set_version(&world.source, "demo", "1.31", &world.watch)
        .await;
    assert_eq!(text(&refused.unwrap_err()), "no set-version capability available");
    world
        .engine
        .set_cluster_size(&world.source, "demo", 7, &world.watch)
        .await
        .unwrap();
    assert_eq!(
        (world.calls(), world.stored().await.node_count),
        (vec!["size 7".to_owned()], 7)
    );
    assert_eq!(
        world
            .engine
            .cluster_size(&world.source, "demo", &world.watch)
            .await
            .unwrap(),
        7
    );
}

#[tokio::test]
async fn a_cancelled_creation_stores_what_the_driver_still_says() {
    let world = world(&[Act::Hang]);
    let (created, ()) = tokio::join!(world.create(), async {
        world.driver.hanging.cancelled().await;
        world.cancel.cancel();
    });
    assert!(matches!(created, Err(EngineError::Cancelled)));
    let stored = world.stored().await;
    assert_eq!(
        (stored.status.as_str(), stored.metadata["cluster-id"].as_str()),
        ("Error", "id-1")
    );
}

#[tokio::test]
async fn nobody_else_works_on_the_cluster_meanwhile() {
    let world = world(&[Act::Hang]);
    let (_, busy) = tokio::join!(world.create(), async {
        world.driver.hanging.cancelled().await;
        let store = FileStore::in_home(
            world.home.path(),
            Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1000.0),
        );
        let busy = store.claim("demo").await.err().unwrap();
        world.cancel.cancel();
        busy
    });
    assert!(matches!(busy, crate::StoreError::Busy(_)));
}
