use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::{Class, Clock};
use kube_sim::{Builder, KubeSim, Matcher};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

use super::*;

struct World {
    sim: KubeSim,
    client: Client,
    clock: Clock,
    _controllers: DropGuard,
}

fn world(build: impl FnOnce(Builder) -> Builder) -> World {
    let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
    let sim = build(KubeSim::builder().clock(clock.clone())).build();
    let stop = CancellationToken::new();
    let (controllers, stopped) = (sim.clone(), stop.clone());
    tokio::spawn(async move { controllers.run_controllers(stopped).await });
    let bearer: http::HeaderValue = format!("Bearer {}", sim.admin_token()).parse().unwrap();
    let as_admin = sim
        .router()
        .map_request(move |mut request: http::Request<kube::client::Body>| {
            request
                .headers_mut()
                .insert(http::header::AUTHORIZATION, bearer.clone());
            request
        });
    World {
        client: Client::new(as_admin, "default"),
        sim,
        clock,
        _controllers: stop.drop_guard(),
    }
}

impl World {
    async fn bootstrap(&self) -> Result<Credentials, BootstrapError> {
        bootstrap(&self.client, &Names::default(), &self.clock).await
    }

    fn get(&self, resource: &str, namespace: Option<&str>, name: &str) -> Value {
        self.sim
            .get(resource, namespace, name)
            .unwrap_or_else(|| panic!("no {resource} {name}"))
    }

    fn binding(&self) -> Value {
        self.get(BINDINGS, None, "system-netes-default-clusterRoleBinding")
    }

    fn token_secrets(&self) -> Vec<Value> {
        let mut all = self.sim.list("secrets");
        all.retain(|secret| secret["type"] == "kubernetes.io/service-account-token");
        all
    }
}

const BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";
const ROLES: &str = "clusterroles.rbac.authorization.k8s.io";

fn account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
}

#[tokio::test(start_paused = true)]
async fn a_fresh_cluster_gets_all_objects_and_the_token_is_returned() {
    let world = world(|build| build.token_delay(Duration::from_secs(20)));
    let credentials = world.bootstrap().await.unwrap();
    assert!(credentials.ca_certificate.unwrap().contains("BEGIN CERTIFICATE"));
    let secret = world.get("secrets", Some("cattle-system"), "kontainer-engine-token");
    let token = STANDARD.encode(credentials.token.expose_secret());
    assert_eq!(secret["data"]["token"], token);
    let account_object = world.get("serviceaccounts", Some("cattle-system"), "kontainer-engine");
    assert_eq!(
        secret["metadata"]["ownerReferences"][0]["uid"],
        account_object["metadata"]["uid"]
    );
    assert_eq!(
        account_object["metadata"]["annotations"]["rancher.io/service-account.secret-ref"],
        "cattle-system/kontainer-engine-token"
    );
    let binding = world.binding();
    assert_eq!(binding["roleRef"]["name"], "cluster-admin");
    assert_eq!(
        binding["subjects"],
        json!([account("cattle-system", "kontainer-engine")])
    );
}

#[tokio::test(start_paused = true)]
async fn doing_it_again_changes_nothing() {
    let world = world(|build| build);
    let first = world.bootstrap().await.unwrap();
    world.sim.clear_requests();
    let second = world.bootstrap().await.unwrap();
    assert_eq!(first.token.expose_secret(), second.token.expose_secret());
    let requests = world.sim.requests();
    assert!(requests.iter().all(|request| request.method == "GET"), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn two_at_once_make_one_secret() {
    let world = world(|build| build.token_delay(Duration::from_secs(1)));
    let (one, two) = tokio::join!(world.bootstrap(), world.bootstrap());
    assert_eq!(one.unwrap().token.expose_secret(), two.unwrap().token.expose_secret());
    assert_eq!(world.token_secrets().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_never_comes_is_told_after_a_minute() {
    let world = world(Builder::tokens_never);
    let begun = world.clock.now();
    let error = world.bootstrap().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cattle-system/kontainer-engine-token within 1m0s"),
        "{error}"
    );
    let waited = world.clock.since(begun);
    assert!((60..65).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_rancher_made_is_used() {
    for by_annotation in [true, false] {
        let world = world(|build| build);
        world
            .sim
            .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cattle-system"}}))
            .unwrap();
        let mut object = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "kontainer-engine", "namespace": "cattle-system"}});
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "kontainer-engine-token-x7k2p", "namespace": "cattle-system",
                "annotations": {"kubernetes.io/service-account.name": "kontainer-engine"}}});
        if by_annotation {
            object["metadata"]["annotations"] =
                json!({"rancher.io/service-account.secret-ref": "cattle-system/kontainer-engine-token-x7k2p"});
        } else {
            secret["metadata"]["labels"] = json!({"cattle.io/service-account.name": "kontainer-engine"});
        }
        world.sim.create(object).unwrap();
        world.sim.create(secret).unwrap();
        world.bootstrap().await.unwrap();
        assert_eq!(world.token_secrets().len(), 1, "by annotation: {by_annotation}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_put_right_and_what_others_added_stays() {
    let world = world(|build| build);
    let other = account("default", "other");
    let binding = |role: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "system-netes-default-clusterRoleBinding"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [other]})
    };
    world.sim.create(binding("view")).unwrap();
    world
        .sim
        .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cattle-system"}}))
        .unwrap();
    world
        .sim
        .create(json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "kontainer-engine-token", "namespace": "cattle-system"}}))
        .unwrap();
    world.bootstrap().await.unwrap();
    let ours = account("cattle-system", "kontainer-engine");
    assert_eq!(world.binding()["roleRef"]["name"], "cluster-admin");
    assert_eq!(
        world.binding()["subjects"],
        json!([ours]),
        "the role can not be changed, so it was made anew"
    );

    world.sim.apply(binding("cluster-admin")).unwrap();
    world.bootstrap().await.unwrap();
    assert_eq!(world.binding()["subjects"], json!([other, ours]));
    assert_eq!(world.token_secrets().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_driver_may_have_names_of_its_own() {
    let world = world(|build| build);
    let names = Names {
        namespace: "kube-system".into(),
        service_account: "spot".into(),
        secret: "spot-token".into(),
        cluster_role: "spot-admin".into(),
        cluster_role_binding: "spot-admin".into(),
    };
    let weak = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "spot-admin"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    world.sim.create(weak).unwrap();
    bootstrap(&world.client, &names, &world.clock).await.unwrap();
    assert_eq!(
        world.get(ROLES, None, "spot-admin")["rules"].as_array().unwrap().len(),
        3
    );
    assert_eq!(
        world.get(BINDINGS, None, "spot-admin")["subjects"],
        json!([account("kube-system", "spot")])
    );
    assert!(world.sim.get("namespaces", None, "cattle-system").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_steady_yet_is_asked_again_but_not_for_ever() {
    let world = world(|build| build);
    world.sim.faults().fail(Matcher::any(), 503, 4);
    world
        .sim
        .faults()
        .fail(Matcher::any().verb("create").resource("serviceaccounts"), 500, 2);
    world.bootstrap().await.unwrap();

    let begun = world.clock.now();
    world.sim.faults().fail(Matcher::any(), 503, 10_000);
    let error = world.bootstrap().await.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
    let waited = world.clock.since(begun);
    assert!((300..330).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_at_once() {
    let world = world(|build| build);
    world.sim.faults().fail(Matcher::any().resource("namespaces"), 403, 1);
    let begun = world.clock.now();
    let error = world.bootstrap().await.unwrap_err();
    assert_eq!(
        (error.class(), world.clock.since(begun)),
        (Class::Unauthorized, Duration::ZERO)
    );
    assert_eq!(error.to_string(), "reading Namespace cattle-system failed");
}

#[tokio::test(start_paused = true)]
async fn the_legacy_account_is_deleted_once_and_its_absence_is_fine() {
    let world = world(|build| build);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "netes-default", "namespace": "default"}});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "netes-default-clusterRoleBinding"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}});
    world.sim.create(account).unwrap();
    world.sim.create(binding).unwrap();
    remove_legacy(&world.client).await.unwrap();
    assert!(
        world
            .sim
            .get("serviceaccounts", Some("default"), "netes-default")
            .is_none()
    );
    assert!(
        world
            .sim
            .get(BINDINGS, None, "netes-default-clusterRoleBinding")
            .is_none()
    );
    remove_legacy(&world.client).await.unwrap();
}
