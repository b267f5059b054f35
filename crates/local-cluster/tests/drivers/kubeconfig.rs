use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use local_cluster::{Kind, Merge};

use crate::world::{World, config};

const PLAIN: &str = "kind: {}";
const FOREIGN: &str = "# mine, do not touch\napiVersion: v1\nkind: Config\npreferences: {colors: true}\nclusters:\n# the old one\n- name: prod   # careful\n  cluster:\n    server: https://prod:6443\n    my-own-key: kept\nusers:\n- name: prod\n  user: {token: abc}\ncontexts:\n- name: prod\n  context: {cluster: prod, user: prod}\ncurrent-context: prod\n";

async fn world() -> World {
    let world = World::with(&["kind", "docker"]).await;
    std::fs::create_dir_all(world.path("home/.kube")).unwrap();
    world
}

fn mode(world: &World, file: &str) -> u32 {
    std::fs::metadata(world.path(file)).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_others_wrote_stays_with_its_comments() {
    let world = world().await;
    std::fs::write(world.path("real"), FOREIGN).unwrap();
    std::os::unix::fs::symlink(world.path("real"), world.path("home/.kube/config")).unwrap();
    let manager = world.manager("kind", "dev");
    manager.start(&config(PLAIN)).await.unwrap();
    let merged = world.kubeconfig();
    assert!(merged.contains("name: kind-dev"), "{merged}");
    for line in FOREIGN.lines() {
        assert!(merged.lines().any(|have| have == line), "{line:?} is gone:\n{merged}");
    }
    assert_eq!(mode(&world, "real"), 0o600);
    assert!(world.path("home/.kube/config").is_symlink());
    manager.destroy().await.unwrap();
    assert_eq!(world.kubeconfig(), FOREIGN);
}

#[tokio::test]
async fn a_lock_is_waited_for() {
    let world = world().await;
    let lock = world.path("home/.kube/config.lock");
    std::fs::write(&lock, "").unwrap();
    let (manager, plain) = (world.manager("kind", "dev"), config(PLAIN));
    let released = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(lock.exists(), "somebody else's lock is not removed");
        std::fs::remove_file(&lock).unwrap();
    };
    let (started, ()) = tokio::join!(manager.start(&plain), released);
    started.unwrap();
    assert!(world.kubeconfig().contains("kind-dev") && !lock.exists());
}

#[tokio::test]
async fn twenty_clusters_at_once_all_get_in() {
    let world = world().await;
    let mut starts = tokio::task::JoinSet::new();
    for n in 0..20 {
        let manager = world.manager("kind", &format!("c{n}"));
        starts.spawn(async move { manager.start(&config(PLAIN)).await });
    }
    while let Some(outcome) = starts.join_next().await {
        outcome.unwrap().unwrap();
    }
    let merged = world.kubeconfig();
    for n in 0..20 {
        assert!(merged.contains(&format!("cluster: kind-c{n}\n")), "c{n}:\n{merged}");
    }
}

#[tokio::test]
async fn the_current_context_is_cleared_only_if_it_was_ours() {
    let world = world().await;
    let manager = world.manager("kind", "dev");
    manager.start(&config(PLAIN)).await.unwrap();
    assert!(
        world.kubeconfig().contains("current-context: kind-dev"),
        "there was none"
    );
    world.manager("kind", "two").start(&config(PLAIN)).await.unwrap();
    assert!(
        world.kubeconfig().contains("current-context: kind-dev"),
        "there was one"
    );
    world.manager("kind", "two").destroy().await.unwrap();
    assert!(world.kubeconfig().contains("current-context: kind-dev"));
    world.manager("kind", "three").start(&config(PLAIN)).await.unwrap();
    manager.destroy().await.unwrap();
    let left = kube_kit::kubeconfig::Kubeconfig::parse(&world.kubeconfig()).unwrap();
    assert_eq!(
        (left.current_context(), left.contexts()),
        (None, vec!["kind-three"]),
        "the one that is left is not switched to"
    );
}

#[tokio::test]
async fn switching_and_not_merging_can_be_chosen() {
    let mut world = world().await;
    std::fs::write(world.path("home/.kube/config"), FOREIGN).unwrap();
    world.host.merge = Merge::Never;
    world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap();
    assert_eq!(world.kubeconfig(), FOREIGN);
    assert_eq!(mode(&world, "data/kubeconfigs/kind-dev.yaml"), 0o600);
    world.host.merge = Merge::Switch;
    world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap();
    assert!(world.kubeconfig().contains("current-context: kind-dev"));
}

#[tokio::test]
async fn a_context_of_the_same_name_that_leads_elsewhere_is_left() {
    let world = world().await;
    world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap();
    let own = FOREIGN.replace("prod", "kind-dev");
    std::fs::write(world.path("home/.kube/config"), &own).unwrap();
    world.manager("kind", "dev").destroy().await.unwrap();
    assert_eq!(world.kubeconfig(), own);
    assert!(
        world
            .warnings()
            .iter()
            .any(|warning| warning.contains("https://kind-dev:6443")),
        "{:?}",
        world.warnings()
    );
}

#[tokio::test]
async fn the_entries_of_a_cluster_that_others_started_go_with_it() {
    // As the tools write them: k3d any address, minikube files that are gone with the cluster.
    for (driver, ours, theirs) in [
        ("kind", "token: fake-kubeconfig-token", "token: other-token"),
        ("k3d", "//127.0.0.1", "//0.0.0.0"),
        (
            "minikube",
            "token: fake-kubeconfig-token",
            "client-certificate: /gone/client.crt",
        ),
    ] {
        let world = World::with(&[driver, "docker"]).await;
        let manager = world.manager(driver, "dev");
        let all = config("k3d: {}\nkind: {}\nminikube: {}");
        manager.start(&all).await.unwrap();
        let written = world.kubeconfig();
        assert!(written.contains(ours), "{written}");
        std::fs::write(world.path("home/.kube/config"), written.replace(ours, theirs)).unwrap();
        std::fs::remove_dir_all(world.path("data")).unwrap();
        manager.destroy().await.unwrap();
        let left = kube_kit::kubeconfig::Kubeconfig::parse(&world.kubeconfig()).unwrap();
        assert!(left.contexts().is_empty(), "{driver}:\n{}", world.kubeconfig());
        let warned = world.warnings();
        assert!(
            !warned.iter().any(|warning| warning.contains("left there")),
            "{warned:?}"
        );
    }
}

#[tokio::test]
async fn entries_that_nobody_can_place_are_left_and_not_called_foreign() {
    let world = world().await;
    let manager = world.manager("kind", "dev");
    manager.start(&config(PLAIN)).await.unwrap();
    let before = world.kubeconfig();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    world.fault("kind", "get kubeconfig", "exit:1:no answer");
    manager.destroy().await.unwrap();
    assert_eq!(world.kubeconfig(), before);
    let warned = world.warnings();
    let told = |text: &str| warned.iter().any(|warning| warning.contains(text));
    assert!(told("could not be told") && !told("not to this cluster"), "{warned:?}");
}

#[tokio::test]
async fn a_context_of_the_same_name_that_leads_far_away_is_not_taken_over() {
    let mut world = World::with(&["minikube", "docker"]).await;
    std::fs::create_dir_all(world.path("home/.kube")).unwrap();
    let own = FOREIGN
        .replace("prod", "dev")
        .replace("https://dev:6443", "https://k8s.example.com:6443");
    std::fs::write(world.path("home/.kube/config"), &own).unwrap();
    let error = world
        .manager("minikube", "dev")
        .start(&config("minikube: {}"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("leads to https://k8s.example.com:6443"),
        "{error}"
    );
    assert_eq!((world.kubeconfig(), world.count("minikube", "start")), (own.clone(), 0));
    world.host.merge = Merge::Never;
    world
        .manager("minikube", "dev")
        .start(&config("minikube: {}"))
        .await
        .unwrap();
    world.host.merge = Merge::Add;
    assert!(
        world
            .manager("minikube", "dev")
            .start(&config("minikube: {}"))
            .await
            .is_err()
    );
    assert_eq!(world.kubeconfig(), own);
}

fn file(clusters: &[(&str, &str)], contexts: &[(&str, &str, &str)]) -> String {
    let cluster = |(name, server): &(&str, &str)| format!("- name: {name}\n  cluster: {{server: '{server}'}}\n");
    let context = |(name, cluster, user): &(&str, &str, &str)| {
        format!("- name: {name}\n  context: {{cluster: {cluster}, user: {user}}}\n")
    };
    let user = |(_, _, user): &(&str, &str, &str)| format!("- name: {user}\n  user: {{token: of-{user}-alone}}\n");
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n{}contexts:\n{}users:\n{}",
        clusters.iter().map(cluster).collect::<String>(),
        contexts.iter().map(context).collect::<String>(),
        contexts.iter().map(user).collect::<String>()
    )
}

#[tokio::test]
async fn entries_that_contexts_of_others_use_are_not_overwritten() {
    const FAR: &str = "https://k8s.example.com:6443";
    for (own, told) in [
        // minikube's entries have the profile's name: others have such names too.
        (
            file(&[("dev", FAR)], &[("prod", "dev", "someone")]),
            "the context prod of",
        ),
        (
            file(&[("prod", FAR)], &[("prod", "prod", "dev")]),
            "uses an entry named dev and leads to",
        ),
        (file(&[("dev", FAR)], &[]), "the kubeconfig has a cluster dev that is"),
        (
            file(&[("dev", "https://10.20.30.40:6443")], &[("dev", "dev", "dev")]),
            "leads to https://10.20.30.40:6443, which is not this cluster",
        ),
        (
            file(&[("dev", FAR)], &[("dev", "dev", "dev")])
                .replace("token: of-dev-alone", "client-certificate: /gone/client.crt"),
            "leads to https://k8s.example.com:6443, which is not this cluster",
        ),
    ] {
        let world = World::with(&["minikube", "docker"]).await;
        std::fs::create_dir_all(world.path("home/.kube")).unwrap();
        std::fs::write(world.path("home/.kube/config"), &own).unwrap();
        let manager = world.manager("minikube", "dev");
        let error = manager.start(&config("minikube: {}")).await.expect_err(told);
        assert_eq!(error.kind(), Kind::Kubeconfig, "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!((world.kubeconfig(), world.count("minikube", "start")), (own, 0));
    }
    // What a tool made and left is taken over, wherever on this machine it led.
    let minikubes = file(&[("dev", "https://192.168.49.2:8443")], &[("dev", "dev", "dev")]).replace(
        "8443'}",
        "8443', extensions: [{name: cluster_info, extension: {provider: minikube.sigs.k8s.io}}]}",
    );
    let k3ds = file(
        &[("k3d-dev", "https://10.0.0.7:6550")],
        &[("k3d-dev", "k3d-dev", "admin@k3d-dev")],
    );
    for (driver, left) in [("minikube", minikubes), ("k3d", k3ds)] {
        let world = World::with(&[driver, "docker"]).await;
        std::fs::create_dir_all(world.path("home/.kube")).unwrap();
        std::fs::write(world.path("home/.kube/config"), left).unwrap();
        let all = config("k3d: {}\nminikube: {}");
        world.manager(driver, "dev").start(&all).await.unwrap();
        assert!(world.kubeconfig().contains("https://127.0.0.1:"), "{driver}");
    }
}

#[tokio::test]
async fn what_contexts_of_others_use_stays_when_the_cluster_goes() {
    let world = World::with(&["minikube", "docker"]).await;
    let manager = world.manager("minikube", "dev");
    manager.start(&config("minikube: {}")).await.unwrap();
    let text = world.kubeconfig().replace(
        "contexts:\n",
        "contexts:\n- name: prod\n  context: {cluster: prod, user: dev}\n",
    );
    let text = text.replace(
        "clusters:\n",
        "clusters:\n- name: prod\n  cluster: {server: 'https://prod:6443'}\n",
    );
    std::fs::write(world.path("home/.kube/config"), text).unwrap();
    manager.destroy().await.unwrap();
    let left = kube_kit::kubeconfig::Kubeconfig::parse(&world.kubeconfig()).unwrap();
    let (contexts, current) = (left.contexts(), left.current_context());
    assert_eq!((contexts, current), (vec!["prod"], None), "{}", world.kubeconfig());
    let access = left.access(Some("prod"), std::path::Path::new("/")).unwrap();
    assert!(
        access.token.is_some(),
        "prod is reached as before:\n{}",
        world.kubeconfig()
    );
    assert!(!world.kubeconfig().contains("127.0.0.1"), "{}", world.kubeconfig());
    let warned = world.warnings();
    assert!(
        warned
            .iter()
            .any(|one| one.contains("the user dev is used by the context prod")),
        "{warned:?}"
    );
}

#[tokio::test]
async fn entries_in_several_files_go_from_all_of_them() {
    let mut world = World::with(&["kind", "docker"]).await;
    let manager = world.manager("kind", "dev");
    manager.start(&config(PLAIN)).await.unwrap();
    let whole = world.kubeconfig();
    let (a, b) = (world.path("a"), world.path("b"));
    let context =
        "contexts:\n- name: kind-dev\n  context: {cluster: kind-dev, user: kind-dev}\ncurrent-context: kind-dev\n";
    std::fs::write(&a, context).unwrap();
    let mut rest = kube_kit::kubeconfig::Kubeconfig::parse(&whole).unwrap().to_yaml();
    let (at, end) = (rest.find("contexts:").unwrap(), rest.find("current-context").unwrap());
    rest.replace_range(at..end, "");
    std::fs::write(&b, rest.replace("current-context: kind-dev", "current-context: ''")).unwrap();
    world.set("KUBECONFIG", format!("{}:{}", a.display(), b.display()));
    world.manager("kind", "dev").destroy().await.unwrap();
    for path in [a, b] {
        let left = std::fs::read_to_string(&path).unwrap();
        assert!(!left.contains("kind-dev"), "{}:\n{left}", path.display());
    }
}

#[tokio::test]
async fn of_a_list_the_first_that_exists_is_written_and_else_the_last() {
    let mut world = world().await;
    let (a, b) = (world.path("new/a"), world.path("new/deep/b"));
    world.set("KUBECONFIG", format!(":{0}::{0}:{1}", a.display(), b.display()));
    let manager = world.manager("kind", "dev");
    manager.start(&config(PLAIN)).await.unwrap();
    // As kubectl would make them.
    let umask = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let umask = umask.lines().find_map(|line| line.strip_prefix("Umask:"));
    let umask = umask.map_or(0o022, |text| u32::from_str_radix(text.trim(), 8).unwrap());
    for (made, usual) in [("new", 0o755), ("new/deep", 0o755)] {
        assert_eq!(mode(&world, made), usual & !umask, "{made}");
    }
    assert_eq!(mode(&world, "new/deep/b"), 0o600);
    assert!(!a.exists() && std::fs::read_to_string(&b).unwrap().contains("kind-dev"));
    manager.destroy().await.unwrap();
    std::fs::write(&a, FOREIGN).unwrap();
    manager.start(&config(PLAIN)).await.unwrap();
    assert!(std::fs::read_to_string(&a).unwrap().contains("kind-dev"));
    assert!(!std::fs::read_to_string(&b).unwrap().contains("kind-dev"));
    assert!(world.kubeconfig().is_empty(), "the one at home is none of the list");
}

#[tokio::test]
async fn a_file_that_is_no_kubeconfig_is_left_byte_for_byte() {
    let world = world().await;
    let path = world.path("home/.kube/config");
    for text in ["{half", "[1, 2]", "clusters: 3\n", "a: b: c"] {
        std::fs::write(&path, text).unwrap();
        let error = world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Kubeconfig, "{error}");
        assert!(
            error.advice().unwrap().contains("KUBECONFIG="),
            "the cluster runs all the same"
        );
        assert_eq!(world.kubeconfig(), text);
    }
    std::fs::write(&path, "").unwrap();
    world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap();
    assert!(world.kubeconfig().contains("kind-dev"));
}

#[tokio::test]
async fn a_read_only_file_is_respected() {
    let mut world = world().await;
    let (a, b) = (world.path("a"), world.path("b"));
    std::fs::write(&a, FOREIGN).unwrap();
    std::fs::set_permissions(&a, std::fs::Permissions::from_mode(0o400)).unwrap();
    world.set("KUBECONFIG", a.clone());
    let error = world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    world.set("KUBECONFIG", format!("{}:{}", b.display(), a.display()));
    std::fs::write(&b, "").unwrap();
    world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap();
    world.manager("kind", "dev").destroy().await.unwrap();
    assert_eq!(std::fs::read_to_string(&a).unwrap(), FOREIGN);
    assert!(!std::fs::read_to_string(&b).unwrap().contains("kind-dev"));
}
