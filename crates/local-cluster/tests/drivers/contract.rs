use std::sync::Arc;
use std::time::Duration;

use local_cluster::drivers::{Auto, Mock};
use local_cluster::{Error, Fault, Kind, Manager as _, Os, Registry, State, texts};

use crate::world::{World, config, drive};

#[tokio::test]
async fn a_driver_nobody_registered_is_not_found() {
    let world = World::with(&[]).await;
    let host = Arc::new(world.host.clone());
    let error = Registry::new().manager("colima", &host, "x").err().unwrap();
    assert!(
        error.to_string().starts_with("cluster driver not found: \"colima\""),
        "{error}"
    );
    assert_eq!(error.kind(), Kind::DriverNotFound);
}

#[tokio::test]
async fn the_second_registration_of_a_name_fails_and_the_first_stays() {
    let world = World::with(&[]).await;
    let registry = Registry::new();
    registry
        .register("a", |_, _| Ok(Arc::new(Mock::new("first")?)))
        .unwrap();
    let error = registry
        .register("a", |_, _| Ok(Arc::new(Mock::new("second")?)))
        .unwrap_err();
    assert_eq!(error.kind(), Kind::DuplicateDriver);
    let manager = registry.manager("a", &Arc::new(world.host.clone()), "x").unwrap();
    assert_eq!(manager.context(), "mock-first");
}

#[test]
fn drivers_are_listed_in_one_order() {
    let registry = Registry::new();
    for name in ["k3d", "auto", "colima", "mock"] {
        registry
            .register(name, |_, profile| Ok(Arc::new(Mock::new(profile)?)))
            .unwrap();
    }
    assert_eq!(registry.names(), ["auto", "colima", "k3d", "mock"]);
}

#[tokio::test]
async fn many_threads_share_a_registry() {
    let world = World::with(&[]).await;
    let (registry, host) = (Arc::new(Registry::new()), Arc::new(world.host.clone()));
    let threads: Vec<_> = (0..32)
        .map(|n| {
            let (registry, host) = (Arc::clone(&registry), Arc::clone(&host));
            std::thread::spawn(move || {
                let name = format!("d{n:02}");
                registry
                    .register(&name, |_, profile| Ok(Arc::new(Mock::new(profile)?)))
                    .unwrap();
                assert!(registry.names().contains(&name));
                assert!(registry.manager(&name, &host, "x").is_ok());
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(registry.names().len(), 32);
}

#[test]
fn auto_goes_by_the_operating_system() {
    assert_eq!(Auto::driver_for(&Os::MacOs).unwrap(), "colima");
    assert_eq!(Auto::driver_for(&Os::Linux).unwrap(), "k3d");
    assert_eq!(Auto::driver_for(&Os::Windows).unwrap(), "k3d");
    let error = Auto::driver_for(&Os::Other("freebsd".into())).unwrap_err();
    assert_eq!(error.kind(), Kind::DriverNotFound);
    assert!(error.to_string().contains("freebsd"), "{error}");
}

#[tokio::test]
async fn auto_is_that_driver() {
    let mut world = World::with(&[]).await;
    for (os, context) in [
        (Os::MacOs, "colima-dev"),
        (Os::Linux, "k3d-dev"),
        (Os::Windows, "k3d-dev"),
    ] {
        world.host.os = os;
        assert_eq!(world.manager("auto", "dev").context(), context);
    }
}

#[tokio::test]
async fn auto_needs_the_section_of_the_driver_it_chose() {
    let world = World::with(&["k3d", "docker"]).await;
    let error = world
        .manager("auto", "dev")
        .start(&config("driver: auto\ncolima: {memory: 4}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::MissingDriverConfig);
    assert_eq!(
        error.to_string(),
        "driver configuration is missing: there is no \"k3d\" section"
    );
    assert!(error.advice().unwrap().starts_with("add k3d: to the file"));
    assert!(world.log().is_empty(), "nothing was run");
}

#[tokio::test]
async fn auto_tells_which_driver_answers() {
    let world = World::with(&["k3d", "docker"]).await;
    let status = world.manager("auto", "caproni-dev").status().await.unwrap();
    assert_eq!(
        (status.driver.as_str(), status.kube_context.as_str()),
        ("k3d", "k3d-caproni-dev")
    );
}

async fn keeps_the_contract(mock: &Mock) {
    let one = config("driver: mock\nk3d: {agents: 1}");
    for _ in 0..2 {
        mock.destroy().await.unwrap();
        mock.stop().await.unwrap();
    }
    assert!(!mock.status().await.unwrap().exists);
    mock.start(&one).await.unwrap();
    mock.start(&one).await.unwrap();
    let error = mock
        .start(&config("driver: mock\nk3d: {agents: 2}\nsim: {apiPort: 1}"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cluster configuration mismatch: k3d.agents: running 1, requested 2 (applies on restart); sim.apiPort: running \
         nothing, requested 1 (applies on restart)"
    );
    mock.start(&one).await.unwrap();
    mock.script([State::Starting, State::NotReady]).await.unwrap();
    for state in [State::Starting, State::NotReady, State::Ready, State::Ready] {
        assert_eq!(mock.status().await.unwrap().state, state);
    }
    for _ in 0..2 {
        mock.stop().await.unwrap();
        let status = mock.status().await.unwrap();
        assert_eq!((status.state, status.exists), (State::Stopped, true));
    }
    mock.start(&config("driver: mock\nk3d: {agents: 2}")).await.unwrap();
    assert_eq!(mock.list().await.unwrap().len(), 1);
    for _ in 0..2 {
        mock.destroy().await.unwrap();
        assert!(!mock.status().await.unwrap().exists);
    }
    assert!(mock.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_mock_keeps_the_contract() {
    keeps_the_contract(&Mock::new("dev").unwrap()).await;
    let world = World::with(&[]).await;
    keeps_the_contract(&Mock::kept(&Arc::new(world.host.clone()), "dev").unwrap()).await;
    assert!(world.log().is_empty());
}

#[tokio::test]
async fn the_mock_of_a_machine_is_shared_by_its_processes() {
    let mut world = World::with(&[]).await;
    let manager = world.manager("mock", "dev");
    manager.start(&config("driver: mock")).await.unwrap();
    assert!(
        !drive(&world, "start", "mock").success(),
        "whoever drives gives all sections, which differs"
    );
    assert_eq!(world.manager("mock", "dev").status().await.unwrap().state, State::Ready);
    world.host.dry_run = true;
    world.manager("mock", "dev").destroy().await.unwrap();
    world.host.dry_run = false;
    assert!(drive(&world, "stop", "mock").success());
    assert_eq!(manager.status().await.unwrap().state, State::Stopped);
    assert!(drive(&world, "destroy", "mock").success());
    assert!(!manager.status().await.unwrap().exists);
    assert!(!world.path("data/mock/dev.json").exists());
}

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] Box<dyn std::error::Error>);

#[test]
fn the_six_errors_of_the_contract_have_their_texts_and_are_found_through_wrapping() {
    let errors = [
        (
            Error::ClusterNotRunning("x".into()),
            "cluster is not running",
            Kind::ClusterNotRunning,
        ),
        (
            Error::ClusterAlreadyRunning("x".into()),
            "cluster is already running",
            Kind::ClusterAlreadyRunning,
        ),
        (
            Error::ConfigMismatch(Vec::new()),
            "cluster configuration mismatch",
            Kind::ConfigMismatch,
        ),
        (
            Error::DriverNotFound {
                name: "x".into(),
                known: Vec::new(),
            },
            "cluster driver not found",
            Kind::DriverNotFound,
        ),
        (
            Error::ClusterNotReady {
                reason: "x".into(),
                advice: String::new(),
            },
            "cluster is not ready",
            Kind::ClusterNotReady,
        ),
        (
            Error::MissingDriverConfig("k3d"),
            "driver configuration is missing",
            Kind::MissingDriverConfig,
        ),
    ];
    let fixed = [
        texts::CLUSTER_NOT_RUNNING,
        texts::CLUSTER_ALREADY_RUNNING,
        texts::CONFIG_MISMATCH,
        texts::DRIVER_NOT_FOUND,
        texts::CLUSTER_NOT_READY,
        texts::MISSING_DRIVER_CONFIG,
    ];
    for ((error, text, kind), constant) in errors.into_iter().zip(fixed) {
        assert_eq!(text, constant);
        assert!(error.to_string().starts_with(&format!("{text}: ")), "{error}");
        let wrapped = Outer(Box::new(Outer(Box::new(error))));
        assert_eq!(Error::kind_of(&wrapped), Some(kind));
    }
}

#[tokio::test]
async fn unusable_names_are_refused_before_anything_runs() {
    let world = World::with(&["k3d", "kind", "colima", "minikube"]).await;
    let host = Arc::new(world.host.clone());
    for driver in world.registry.names() {
        for name in ["", "A_b", "..", "-x", "a\nb", "a/b", "x-", "ä", "a b", &"x".repeat(64)] {
            let error = world.registry.manager(&driver, &host, name).err().unwrap();
            assert_eq!(error.kind(), Kind::Invalid, "{driver} {name:?}");
        }
    }
    assert!(world.registry.manager("k3d", &host, &"x".repeat(32)).is_ok());
    assert!(world.registry.manager("kind", &host, &"x".repeat(51)).is_err());
    assert!(world.registry.manager("minikube", &host, "x").is_err());
    let long = "x".repeat(33);
    assert!(world.registry.manager("k3d", &host, &long).is_err());
    assert!(world.registry.manager("kind", &host, &long).is_ok());
    assert!(world.registry.manager("kind", &host, "Dev").is_err());
    assert!(world.registry.manager("k3d", &host, "Dev").is_ok());
    assert!(world.log().is_empty());
}

#[tokio::test]
async fn a_missing_tool_is_named_with_a_way_to_get_it() {
    let world = World::with(&[]).await;
    for driver in ["k3d", "colima", "minikube", "kind"] {
        let error = world.manager(driver, "dev").status().await.unwrap_err();
        assert_eq!(error.fault(), Some(Fault::BackendMissing), "{driver}");
        assert!(
            error.to_string().contains(driver) && error.advice().unwrap().contains("install"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn status_answers_soon_when_everything_hangs() {
    let mut world = World::with(&["k3d", "docker"]).await;
    world.host.limits.status = Duration::from_millis(600);
    world.host.limits.probe = Duration::from_millis(200);
    world.fault("k3d", "cluster list", "hang_ignore_term");
    let begun = std::time::Instant::now();
    let error = world.manager("k3d", "dev").status().await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::Timeout));
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    // The real limits keep the promise of five seconds.
    let limits = local_cluster::Limits::default();
    assert!(limits.status < Duration::from_secs(5) && limits.probe <= Duration::from_secs(1));
}
