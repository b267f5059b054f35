use axum::Router;
use axum::body::Body;
use axum::routing::get;
use kube_kit::Fence;
use serde_json::json;
use tower::ServiceExt as _;

use super::*;
use crate::testing::World;

fn router(world: &World) -> Router {
    let client = world.client_as(world.sim.admin_token(), &Fence::open());
    let ttl = Ttl {
        token: Duration::from_secs(10),
        yes: Duration::from_secs(10),
        no: Duration::from_secs(10),
    };
    let auth = Auth::new(
        client.clone(),
        client,
        vec!["/healthz".to_owned(), "/open/*".to_owned()],
        Trust::new(&crate::manager::flags::Parsed::default()),
        &ttl,
    );
    let ok = || get(|| async { "ok" });
    let router = Router::new()
        .route("/healthz", ok())
        .route("/open/x", ok())
        .route("/metrics", ok());
    router.layer(axum::middleware::from_fn_with_state(auth, guard))
}

async fn ask(router: &Router, path: &str, token: Option<&str>, certified: Option<User>) -> u16 {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let mut request = request.body(Body::empty()).unwrap();
    if let Some(user) = certified {
        request.extensions_mut().insert(Certified(user));
    }
    router.clone().oneshot(request).await.unwrap().status().as_u16()
}

fn world() -> World {
    let world = World::new();
    world.sim.add_token("scraper-token", "prometheus", &[], None);
    world.sim.add_token("other-token", "nobody", &[], None);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "scrape"},
        "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "scrape"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "scrape"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "prometheus"}],
    });
    world.sim.create(role).unwrap();
    world.sim.create(binding).unwrap();
    world
}

#[tokio::test(start_paused = true)]
async fn who_may_look_is_what_the_cluster_says() {
    let world = world();
    let router = router(&world);
    let masters = User {
        name: "root".to_owned(),
        groups: vec!["system:masters".to_owned()],
    };
    let plain = User {
        name: "prometheus".to_owned(),
        groups: vec![],
    };
    for (path, token, certified, status) in [
        ("/healthz", None, None, 200),
        ("/open/x", None, None, 200),
        ("/metrics", None, None, 403),
        ("/metrics", Some("scraper-token"), None, 200),
        ("/metrics", Some("other-token"), None, 403),
        ("/metrics", Some("forged"), None, 401),
        ("/healthz", Some("forged"), None, 401),
        ("/metrics", None, Some(masters), 200),
        ("/metrics", None, Some(plain), 200),
    ] {
        assert_eq!(
            ask(&router, path, token, certified.clone()).await,
            status,
            "{path} {token:?} {certified:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_remembered_for_their_time() {
    let world = world();
    let router = router(&world);
    for _ in 0..5 {
        assert_eq!(ask(&router, "/metrics", Some("scraper-token"), None).await, 200);
    }
    assert_eq!(
        (
            world.asked("POST", "/tokenreviews"),
            world.asked("POST", "/subjectaccessreviews")
        ),
        (1, 1)
    );
    tokio::time::sleep(Duration::from_secs(11)).await;
    ask(&router, "/metrics", Some("scraper-token"), None).await;
    assert_eq!(world.asked("POST", "/tokenreviews"), 2);
}
