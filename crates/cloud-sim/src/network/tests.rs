use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;

use super::*;

fn counting() -> (Network, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let router = Router::new().route(
        "/",
        get(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            async { "ok" }
        }),
    );
    let network = Network::new();
    network.host("a.sim", router);
    (network, seen)
}

async fn ask(network: &Network, uri: &str) -> Result<u16, NetworkError> {
    let request = Request::get(uri).body(Body::empty()).unwrap();
    network.send(request).await.map(|response| response.status().as_u16())
}

#[tokio::test]
async fn requests_go_to_their_host_and_are_recorded_in_order() {
    let (network, _) = counting();
    network.resolver(|host| (host == "later.sim").then(Router::new));
    assert_eq!(ask(&network, "http://a.sim:8080/").await, Ok(200));
    assert_eq!(ask(&network, "http://later.sim:1/x?y=z").await, Ok(404));
    assert_eq!(
        ask(&network, "http://b.sim/").await,
        Err(NetworkError::UnknownHost("b.sim".into()))
    );
    assert_eq!(ask(&network, "/").await, Err(NetworkError::NoHost));
    let requests = network.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|r| (r.host.as_str(), r.path.as_str(), r.status))
        .collect();
    assert_eq!(
        seen,
        [
            ("a.sim:8080", "/", Some(200)),
            ("later.sim:1", "/x", Some(404)),
            ("b.sim", "/", None)
        ]
    );
}

#[tokio::test]
async fn a_cut_before_is_never_seen_by_the_server_and_lasts_until_healed() {
    let (network, seen) = counting();
    network.cut(Cut::Before(2));
    assert_eq!(ask(&network, "http://a.sim/").await, Ok(200));
    for _ in 0..2 {
        assert_eq!(
            ask(&network, "http://a.sim/").await,
            Err(NetworkError::Refused("a.sim".into()))
        );
    }
    network.struck().await;
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    network.heal();
    assert_eq!(ask(&network, "http://a.sim/").await, Ok(200));
}

#[tokio::test]
async fn a_cut_after_is_seen_by_the_server_and_its_answer_is_lost() {
    let (network, seen) = counting();
    network.cut(Cut::After(1));
    assert_eq!(
        ask(&network, "http://a.sim/").await,
        Err(NetworkError::Reset("a.sim".into()))
    );
    assert_eq!(
        ask(&network, "http://a.sim/").await,
        Err(NetworkError::Refused("a.sim".into()))
    );
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_service_for_one_host_needs_only_paths() {
    let (network, seen) = counting();
    let request = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(network.for_host("a.sim").oneshot(request).await.unwrap().status(), 200);
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_service_fails_as_a_socket_does() {
    let (network, _) = counting();
    let kind = async |uri: &str| {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let error = network.clone().oneshot(request).await.unwrap_err();
        error.downcast_ref::<io::Error>().unwrap().kind()
    };
    assert_eq!(kind("http://b.sim/").await, io::ErrorKind::HostUnreachable);
    network.cut(Cut::After(2));
    assert_eq!(kind("http://a.sim/").await, io::ErrorKind::ConnectionReset);
    assert_eq!(kind("http://a.sim/").await, io::ErrorKind::ConnectionRefused);
}
