use super::correlate::COMBINED;
use super::*;

fn said(message: &str) -> Said {
    Said {
        at: now(),
        component: "service-controller",
        object: ObjectRef::new("v1", "Service", "web").namespace("shop").uid("u1"),
        kind: EventType::Normal,
        reason: "EnsuringLoadBalancer".to_owned(),
        message: message.to_owned(),
    }
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn write_all(correlator: &mut Correlator, messages: impl IntoIterator<Item = String>) -> Vec<Option<Write>> {
    messages
        .into_iter()
        .map(|message| {
            let write = correlator.correlate(said(&message));
            if let Some(write) = &write {
                correlator.written(
                    write,
                    write.known.clone().unwrap_or_else(|| format!("web.{:x}", write.unique)),
                );
            }
            write
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_same_event_is_counted_up_under_its_name() {
    let mut correlator = Correlator::new();
    let writes = write_all(&mut correlator, ["same", "same", "same"].map(str::to_owned));
    let counts: Vec<_> = writes
        .iter()
        .flatten()
        .map(|write| (write.count, write.known.is_some()))
        .collect();
    assert_eq!(counts, [(1, false), (2, true), (3, true)]);
    assert_eq!(writes[1].as_ref().unwrap().known, writes[2].as_ref().unwrap().known);
}

#[tokio::test(start_paused = true)]
async fn ten_similar_events_become_one_that_says_so() {
    let mut correlator = Correlator::new();
    let writes = write_all(&mut correlator, (0..12).map(|n| format!("attempt {n}")));
    let messages: Vec<_> = writes.into_iter().flatten().collect();
    assert_eq!(messages[8].said.message, "attempt 8");
    assert_eq!(messages[9].said.message, format!("{COMBINED}attempt 9"));
    assert!(messages[9].known.is_none());
    assert_eq!(
        (messages[11].count, messages[11].known.is_some()),
        (3, true),
        "the combined one is counted up"
    );
    tokio::time::advance(Duration::from_secs(601)).await;
    let later = write_all(&mut correlator, ["attempt 99".to_owned()]);
    assert_eq!(
        later[0].as_ref().unwrap().said.message,
        "attempt 99",
        "after ten quiet minutes it starts anew"
    );
}

#[tokio::test(start_paused = true)]
async fn more_than_twenty_five_about_one_object_are_dropped_and_one_passes_every_five_minutes() {
    let mut correlator = Correlator::new();
    let passed = write_all(&mut correlator, (0..40).map(|n| format!("attempt {n}")))
        .iter()
        .flatten()
        .count();
    assert_eq!(passed, 25);
    tokio::time::advance(Duration::from_mins(5)).await;
    let passed = write_all(&mut correlator, (0..2).map(|n| format!("later {n}")))
        .iter()
        .flatten()
        .count();
    assert_eq!(passed, 1);
    let mut other = said("hello");
    other.object = ObjectRef::new("v1", "Service", "other").namespace("shop");
    assert!(
        correlator.correlate(other).is_some(),
        "other objects are not held responsible"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_bounded() {
    let mut recent: Recent<u32, u32> = Recent::new(100);
    for n in 0..1000 {
        *recent.entry(&n, || 0) += n;
        recent.entry(&0, || 0);
        assert!(recent.entries.len() <= 100);
    }
    assert!(
        recent.entries.contains_key(&999) && recent.entries.contains_key(&0),
        "the recently used stay"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_and_never_waits() {
    let broadcaster = Broadcaster::new(Clock::system());
    let recorder = broadcaster.recorder("x");
    for n in 0..QUEUE + 5 {
        recorder.normal(&ObjectRef::new("v1", "Node", "n"), "Synced", n.to_string());
    }
    assert_eq!(broadcaster.queue.len(), QUEUE);
}

#[test]
fn an_event_about_a_node_goes_to_the_namespace_default_and_names_its_object_in_full() {
    let mut correlator_input = said("Node synced successfully");
    correlator_input.object = ObjectRef::new("v1", "Node", "node-1").uid("u2");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _guard = runtime.enter();
    let write = Correlator::new().correlate(correlator_input).unwrap();
    let event = serde_json::to_value(event(&write, "default")).unwrap();
    assert_eq!(event["metadata"]["name"], format!("node-1.{:x}", now().as_nanosecond()));
    assert_eq!(
        event["involvedObject"],
        json!({"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "u2"})
    );
    assert_eq!(event["source"], json!({"component": "service-controller"}));
    assert_eq!((&event["count"], &event["type"]), (&json!(1), &json!("Normal")));
    assert_eq!(event["firstTimestamp"], "2026-01-01T00:00:00Z");
}

async fn written(server: &crate::testing::Server) -> Vec<serde_json::Value> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.sim.list("events")
}

#[tokio::test(start_paused = true)]
async fn repeated_events_are_one_object_that_is_counted_up_and_begun_anew_when_it_is_gone() {
    let server = crate::testing::Server::new();
    let broadcaster = Broadcaster::new(server.clock.clone());
    let recorder = broadcaster.recorder("cloud-node-controller");
    tokio::spawn(broadcaster.run(server.client(), CancellationToken::new()));
    let node = ObjectRef::new("v1", "Node", "node-1").uid("u1");
    for _ in 0..3 {
        recorder.normal(&node, "Synced", "Node synced successfully");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let events = written(&server).await;
    assert_eq!(events.len(), 1, "{:?}", server.sim.requests());
    assert_eq!(
        (&events[0]["count"], &events[0]["metadata"]["namespace"]),
        (&json!(3), &json!("default"))
    );
    assert_eq!(events[0]["source"]["component"], "cloud-node-controller");
    assert_ne!(events[0]["firstTimestamp"], events[0]["lastTimestamp"]);

    server
        .sim
        .delete(
            "events",
            Some("default"),
            events[0]["metadata"]["name"].as_str().unwrap(),
        )
        .unwrap();
    recorder.normal(&node, "Synced", "Node synced successfully");
    let events = written(&server).await;
    assert_eq!((events.len(), &events[0]["count"]), (1, &json!(4)));
}

#[tokio::test(start_paused = true)]
async fn an_event_waits_for_an_api_server_that_is_away_but_not_for_one_that_refuses_it() {
    let server = crate::testing::Server::new();
    let broadcaster = Broadcaster::new(server.clock.clone());
    let recorder = broadcaster.recorder("x");
    tokio::spawn(broadcaster.run(server.client(), CancellationToken::new()));
    let node = ObjectRef::new("v1", "Node", "node-1");
    server
        .sim
        .faults()
        .fail_next(kube_sim::Matcher::any().verb("create").resource("events"), 403);
    recorder.normal(&node, "Refused", "lost");
    assert!(written(&server).await.is_empty());
    server.unplug(true);
    recorder.normal(&node, "Late", "told in the end");
    tokio::time::sleep(Duration::from_mins(1)).await;
    server.unplug(false);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let events = written(&server).await;
    assert_eq!((events.len(), &events[0]["reason"]), (1, &json!("Late")));
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_when_the_process_stops_is_still_written() {
    let server = crate::testing::Server::new();
    let broadcaster = Broadcaster::new(server.clock.clone());
    let (recorder, stop) = (broadcaster.recorder("x"), CancellationToken::new());
    for n in 0..5 {
        recorder.normal(&ObjectRef::new("v1", "Node", &format!("n{n}")), "Bye", "bye");
    }
    stop.cancel();
    broadcaster.run(server.client(), stop).await;
    assert_eq!(server.sim.list("events").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_flood_gives_way_for_ten_seconds_and_says_when_things_happened() {
    let server = crate::testing::Server::new();
    let broadcaster = Broadcaster::new(server.clock.clone());
    let recorder = broadcaster.recorder("x");
    tokio::spawn(broadcaster.run(server.client(), CancellationToken::new()));
    let mut nodes = 0;
    let mut say = |count: usize| {
        for _ in 0..count {
            nodes += 1;
            recorder.normal(&ObjectRef::new("v1", "Node", &format!("n{nodes}")), "Synced", "");
        }
        nodes
    };
    let seen = || server.sim.list("events").len();
    let settle = || tokio::time::sleep(Duration::from_millis(600));

    let few = say(FLOOD / 2);
    settle().await;
    assert_eq!(seen(), few, "a few are written at once");

    let began = server.clock.now();
    say(2 * FLOOD);
    for _ in 0..30 {
        say(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        seen(),
        few,
        "for three seconds more and more are said, and none is written"
    );
    settle().await;
    let many = say(0);
    assert_eq!(seen(), many, "then all are");
    let events = server.sim.list("events");
    let at = |event: &serde_json::Value| event["lastTimestamp"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let last = began + Duration::from_secs(3);
    let late: Vec<_> = events.iter().map(at).filter(|at| *at >= last).collect();
    assert!(late.is_empty(), "{last} is over: {late:?}");

    say(2 * FLOOD);
    for _ in 0..110 {
        say(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(seen() > many, "who never stops is not waited for for ever");
}
