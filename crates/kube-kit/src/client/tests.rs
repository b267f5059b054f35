use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response};
use tokio::time::Instant;
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::metrics::Registry;

#[tokio::test(start_paused = true)]
async fn the_rate_limit_lets_a_burst_through_and_then_so_many_a_second_and_does_not_count_watches() {
    let served = Arc::new(AtomicUsize::new(0));
    let inner = {
        let served = Arc::clone(&served);
        service_fn(move |_: Request<()>| {
            served.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, BoxError>(Response::new(())) }
        })
    };
    let service = RateLimit::new(20.0, 30).layer(inner);
    let send = |uri: &str| {
        let request = Request::get(uri).body(()).unwrap();
        service.clone().oneshot(request)
    };
    let began = Instant::now();
    for _ in 0..30 {
        send("/api/v1/nodes").await.unwrap();
    }
    send("/api/v1/nodes?&watch=true&timeoutSeconds=300").await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    for _ in 0..20 {
        send("/api/v1/nodes").await.unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    assert!((0.9..1.1).contains(&took), "{took}");
    assert_eq!(served.load(Ordering::Relaxed), 51);
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_code_and_method() {
    let registry = Registry::new();
    let service = Requests::new(&registry).layer(service_fn(|request: Request<()>| async move {
        if request.uri().path() == "/broken" {
            Err(BoxError::from("cut"))
        } else {
            Ok(Response::new(()))
        }
    }));
    let _ = service
        .clone()
        .oneshot(Request::get("https://api:6443/api").body(()).unwrap())
        .await;
    let _ = service
        .oneshot(Request::patch("https://api:6443/broken").body(()).unwrap())
        .await;
    let text = registry.render();
    for line in [
        "rest_client_requests_total{code=\"200\",method=\"GET\",host=\"api:6443\"} 1",
        "rest_client_requests_total{code=\"<error>\",method=\"PATCH\",host=\"api:6443\"} 1",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn the_master_flag_overrides_the_kubeconfig_and_alone_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    std::fs::write(
        &path,
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
         clusters: [{name: a, cluster: {server: 'http://one:1'}}]\n\
         users: [{name: a, user: {token: t}}]\n\
         contexts: [{name: a, context: {cluster: a, user: a}}]\n",
    )
    .unwrap();
    let with = |kubeconfig: bool, master: Option<&str>| ClientConfig {
        kubeconfig: kubeconfig.then(|| path.clone()),
        master: master.map(str::to_owned),
        ..ClientConfig::default()
    };
    for (config, url) in [
        (with(true, None), "http://one:1/"),
        (with(true, Some("http://two:2")), "http://two:2/"),
        (with(false, Some("two:2")), "http://two:2/"),
    ] {
        let loaded = config.load().await.unwrap();
        assert_eq!(loaded.cluster_url.to_string(), url);
        assert!(!loaded.default_retry);
    }
    let missing = ClientConfig {
        kubeconfig: Some("/nowhere".into()),
        ..ClientConfig::default()
    };
    assert!(matches!(missing.load().await, Err(ClientError::Kubeconfig { .. })));
    assert!(matches!(
        with(false, Some("http://a b")).load().await,
        Err(ClientError::Master { .. })
    ));
}
