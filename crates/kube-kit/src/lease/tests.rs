use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::decide::{Observed, Step, released};
use super::*;
use crate::events::Broadcaster;
use crate::fence::Fence;
use crate::metrics::Registry;
use crate::testing::Server;

fn config(identity: &str) -> LeaseConfig {
    LeaseConfig::new("cloud-controller-manager", identity)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn lease(holder: &str, seconds: i32, renewed: &str, transitions: i32) -> Lease {
    Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(seconds),
            acquire_time: Some(MicroTime(at("2020-01-01T00:00:00Z"))),
            renew_time: Some(MicroTime(at(renewed))),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }),
        ..Lease::default()
    }
}

fn spec(step: Step) -> LeaseSpec {
    match step {
        Step::Create(lease) | Step::Replace(lease) => lease.spec.unwrap(),
        Step::Wait { holder } => panic!("waits for {holder}"),
    }
}

#[test]
fn times_that_do_not_go_together_are_refused_in_the_words_of_client_go() {
    let seconds = |lease, renew, retry| LeaseConfig {
        lease_duration: Duration::from_secs(lease),
        renew_deadline: Duration::from_secs(renew),
        retry_period: Duration::from_millis(retry),
        ..config("me")
    };
    for (config, text) in [
        (seconds(15, 10, 2000), ""),
        (
            seconds(10, 10, 2000),
            "leaseDuration must be greater than renewDeadline",
        ),
        (
            seconds(15, 10, 8334),
            "renewDeadline must be greater than retryPeriod*JitterFactor",
        ),
        (seconds(15, 10, 0), "retryPeriod must be greater than zero"),
        (config(""), "Lock identity is empty"),
    ] {
        assert_eq!(
            config
                .validate()
                .map_or_else(|error| error.to_string(), |()| String::new()),
            text
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_lease_is_created_without_a_transition() {
    let made = spec(Observed::default().next(&config("me"), at("2026-01-01T00:00:00Z")));
    assert_eq!(
        (made.holder_identity.as_deref(), made.lease_transitions),
        (Some("me"), Some(0))
    );
    assert_eq!(
        (made.lease_duration_seconds, made.acquire_time),
        (Some(15), made.renew_time)
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_believed_for_its_own_duration_from_when_it_was_seen_whatever_its_clock_says() {
    for renewed in ["1999-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
        let mut observed = Observed::default();
        observed.see(lease("other", 40, renewed, 3));
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(
            observed.next(&config("me"), now),
            Step::Wait {
                holder: "other".to_owned()
            }
        );
        tokio::time::advance(Duration::from_secs(39)).await;
        observed.see(lease("other", 40, renewed, 3));
        assert_eq!(
            observed.next(&config("me"), now),
            Step::Wait {
                holder: "other".to_owned()
            }
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        observed.see(lease("other", 40, renewed, 3));
        let taken = spec(observed.next(&config("me"), now));
        assert_eq!(
            (taken.holder_identity.as_deref(), taken.lease_transitions),
            (Some("me"), Some(4))
        );
        assert_eq!(taken.acquire_time, Some(MicroTime(now)));
    }
}

#[tokio::test(start_paused = true)]
async fn any_change_of_the_record_counts_the_time_anew() {
    let mut observed = Observed::default();
    observed.see(lease("other", 15, "2026-01-01T00:00:00Z", 0));
    tokio::time::advance(Duration::from_secs(14)).await;
    observed.see(lease("other", 15, "2026-01-01T00:00:01Z", 0));
    tokio::time::advance(Duration::from_secs(14)).await;
    assert!(matches!(
        observed.next(&config("me"), at("2026-01-01T00:00:00Z")),
        Step::Wait { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn our_own_lease_keeps_when_it_was_acquired_and_a_released_one_is_free_at_once() {
    let mut observed = Observed::default();
    observed.see(lease("me", 15, "2026-01-01T00:00:00Z", 7));
    let kept = spec(observed.next(&config("me"), at("2026-01-01T00:00:05Z")));
    assert_eq!(kept.lease_transitions, Some(7));
    assert_eq!(kept.acquire_time, Some(MicroTime(at("2020-01-01T00:00:00Z"))));
    assert_eq!(kept.renew_time, Some(MicroTime(at("2026-01-01T00:00:05Z"))));

    let free = released(&lease("me", 15, "2026-01-01T00:00:00Z", 7), at("2026-01-01T00:00:09Z"));
    let record = free.spec.clone().unwrap();
    assert_eq!(
        (record.holder_identity.as_deref(), record.lease_duration_seconds),
        (Some(""), Some(1))
    );
    assert_eq!(record.lease_transitions, Some(7));
    observed.see(free);
    let next = spec(observed.next(&config("next"), at("2026-01-01T00:00:10Z")));
    assert_eq!(next.lease_transitions, Some(8));
}

/// A candidate under test: its work writes to `log` when it starts and ends, and ends when it is told to.
struct Candidate {
    stop: CancellationToken,
    fence: Fence,
    status: LeaseStatus,
    ended: tokio::task::JoinHandle<Ended>,
    log: Arc<Mutex<Vec<&'static str>>>,
}

fn candidate(server: &Server, identity: &str, wind_up: Duration) -> Candidate {
    let fence = Fence::open();
    let elector = Elector::new(&server.client(), config(identity), server.clock.clone(), fence.clone()).unwrap();
    let (stop, status, log) = (
        CancellationToken::new(),
        elector.status(),
        Arc::<Mutex<Vec<_>>>::default(),
    );
    let ended = tokio::spawn({
        let (stop, log) = (stop.clone(), Arc::clone(&log));
        elector.run(stop, move |token| async move {
            log.lock().unwrap().push("began");
            token.cancelled().await;
            tokio::time::sleep(wind_up).await;
            log.lock().unwrap().push("ended");
        })
    });
    Candidate {
        stop,
        fence,
        status,
        ended,
        log,
    }
}

fn record(server: &Server) -> Value {
    server
        .sim
        .get(
            "leases.coordination.k8s.io",
            Some("kube-system"),
            "cloud-controller-manager",
        )
        .unwrap()["spec"]
        .clone()
}

async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

#[tokio::test(start_paused = true)]
async fn one_leads_the_other_waits_and_takes_over_when_the_lease_is_given_back() {
    let server = Server::new();
    let first = candidate(&server, "first", Duration::from_secs(5));
    seconds(1).await;
    let second = candidate(&server, "second", Duration::ZERO);
    seconds(60).await;
    assert!(first.status.is_leading() && first.fence.check().is_ok());
    assert!(!second.status.is_leading() && second.fence.check().is_err());
    assert_eq!(second.status.holder(), "first");
    assert!(second.log.lock().unwrap().is_empty());

    first.stop.cancel();
    seconds(4).await;
    assert!(!second.status.is_leading(), "the lease is kept while work winds up");
    assert_eq!(first.ended.await.unwrap(), Ended::Released);
    assert_eq!(*first.log.lock().unwrap(), ["began", "ended"]);
    assert!(first.fence.check().is_err());
    let free = record(&server);
    assert_eq!(
        (&free["holderIdentity"], &free["leaseDurationSeconds"]),
        (&json!(""), &json!(1))
    );
    seconds(6).await;
    assert!(second.status.is_leading(), "long before the lease would have run out");
    assert_eq!(record(&server)["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn renewing_takes_one_request_every_two_seconds() {
    let server = Server::new();
    let leader = candidate(&server, "me", Duration::ZERO);
    seconds(1).await;
    server.sim.clear_requests();
    seconds(60).await;
    let requests = server.sim.requests();
    assert!(requests.iter().all(|request| request.method == "PUT"), "{requests:?}");
    assert_eq!(requests.len(), 30);
    assert!(!leader.status.is_stuck(Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_writing_before_anyone_can_take_over() {
    let server = Server::new();
    let leader = candidate(&server, "me", Duration::from_mins(1));
    seconds(5).await;
    let last_renewal = Instant::now();
    server.unplug(true);
    let ended = tokio::time::timeout(Duration::from_mins(1), leader.ended)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended, Ended::Lost);
    assert!(
        last_renewal.elapsed() < Duration::from_secs(15),
        "{:?}",
        last_renewal.elapsed()
    );
    assert!(leader.fence.check().is_err());
    assert!(!leader.status.is_leading());
    assert_eq!(
        *leader.log.lock().unwrap(),
        ["began"],
        "work that does not end in time is dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_lost_the_lease_makes_no_further_write() {
    let server = Server::new();
    let fence = Fence::open();
    let client = server.fenced(&fence);
    let elector = Elector::new(&server.client(), config("me"), server.clock.clone(), fence).unwrap();
    let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(client);
    let work = move |_| async move {
        for n in 0.. {
            let patch = kube::api::Patch::Merge(json!({"metadata": {"annotations": {"n": n.to_string()}}}));
            let _ = namespaces
                .patch("default", &kube::api::PatchParams::default(), &patch)
                .await;
            seconds(1).await;
        }
    };
    let ended = tokio::spawn(elector.run(CancellationToken::new(), work));
    seconds(10).await;
    assert!(server.asked("PATCH", "/namespaces/default") > 5);
    // Somebody else takes the lease by force: the next renewal finds out.
    let mut stolen = server
        .sim
        .get(
            "leases.coordination.k8s.io",
            Some("kube-system"),
            "cloud-controller-manager",
        )
        .unwrap();
    stolen["spec"]["holderIdentity"] = json!("thief");
    stolen["spec"]["leaseDurationSeconds"] = json!(3600);
    server.sim.update(stolen).unwrap();
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(30), ended)
            .await
            .unwrap()
            .unwrap(),
        Ended::Lost
    );
    server.sim.clear_requests();
    seconds(600).await;
    assert_eq!(server.asked("PATCH", "/namespaces/default"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_and_conflicts_do_not_cost_the_lease() {
    let server = Server::new();
    let leader = candidate(&server, "me", Duration::ZERO);
    seconds(5).await;
    server.unplug(true);
    seconds(7).await;
    server.unplug(false);
    server
        .sim
        .faults()
        .fail(kube_sim::Matcher::any().verb("update"), 409, 3);
    seconds(20).await;
    assert!(leader.status.is_leading());
    assert_eq!(record(&server)["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_released_through_a_conflict_and_not_when_it_is_no_longer_ours() {
    let server = Server::new();
    let leader = candidate(&server, "me", Duration::ZERO);
    seconds(1).await;
    server
        .sim
        .faults()
        .fail(kube_sim::Matcher::any().verb("update"), 409, 2);
    leader.stop.cancel();
    assert_eq!(leader.ended.await.unwrap(), Ended::Released);
    assert_eq!(record(&server)["holderIdentity"], "");

    let waiting = candidate(&server, "other", Duration::ZERO);
    waiting.stop.cancel();
    assert_eq!(waiting.ended.await.unwrap(), Ended::NeverLed);
    assert_eq!(record(&server)["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn the_election_is_told_in_events_and_metrics() {
    let server = Server::new();
    let (registry, stop) = (Registry::new(), CancellationToken::new());
    let broadcaster = Broadcaster::new(server.clock.clone());
    let recorder = broadcaster.recorder("cloud-controller-manager");
    tokio::spawn(broadcaster.run(server.client(), CancellationToken::new()));
    let elector = Elector::new(&server.client(), config("me"), server.clock.clone(), Fence::open()).unwrap();
    let elector = elector.recorder(recorder).metrics(&registry);
    let ended = tokio::spawn(elector.run(stop.clone(), |token| async move { token.cancelled().await }));
    seconds(3).await;
    let master = "leader_election_master_status{name=\"cloud-controller-manager\"}";
    assert!(registry.render().contains(&format!("{master} 1")));
    stop.cancel();
    ended.await.unwrap();
    seconds(3).await;
    assert!(registry.render().contains(&format!("{master} 0")));
    let events = server.sim.list("events");
    let mut told: Vec<_> = events.iter().map(|event| event["message"].as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, ["me became leader", "me stopped leading"]);
    let event = &events[0];
    assert_eq!(
        (&event["reason"], &event["metadata"]["namespace"]),
        (&json!("LeaderElection"), &json!("kube-system"))
    );
    assert_eq!(event["involvedObject"]["apiVersion"], "coordination.k8s.io/v1");
}
