use super::*;
use crate::cloud::{Metadata, Unknown};
use crate::error::CloudError;

fn node(n: usize, ready: Ready) -> Arc<Node> {
    Arc::new(Node {
        name: format!("n{n}"),
        uid: format!("u{n}"),
        ready,
        ..Node::default()
    })
}

fn seen(n: usize, ready: Ready, sighting: &Sighting) -> Seen {
    Seen::new(node(n, ready), sighting)
}

fn there() -> Sighting {
    Sighting::Running(Metadata::default())
}

fn unknown() -> Sighting {
    Sighting::Unknown(Unknown::Failed(CloudError::new(kit::Class::Transient, "no answer")))
}

/// A sweep over `total` nodes: the first `gone` are not ready and denied, the next `alive_gone` are ready and denied.
fn sweep(total: usize, gone: usize, alive_gone: usize) -> Vec<Seen> {
    (0..total)
        .map(|n| match n {
            n if n < gone => seen(n, Ready::Unknown, &Sighting::Gone),
            n if n < gone + alive_gone => seen(n, Ready::Yes, &Sighting::Gone),
            n => seen(n, Ready::Yes, &there()),
        })
        .collect()
}

/// Judges the same sweep every five seconds, so many times; the last verdict counts.
async fn after(guard: &mut Guard, sweeps: usize, seen: &[Seen]) -> Verdict {
    let mut verdict = guard.judge(seen);
    for _ in 1..sweeps {
        tokio::time::advance(Duration::from_secs(5)).await;
        verdict = guard.judge(seen);
    }
    verdict
}

#[tokio::test(start_paused = true)]
async fn a_node_goes_after_repeated_denials_over_the_grace_time_and_not_before() {
    let mut guard = Guard::new(GuardOptions::default());
    assert!(
        after(&mut guard, 6, &sweep(10, 1, 0)).await.delete.is_empty(),
        "25 seconds are not 30"
    );
    tokio::time::advance(Duration::from_secs(5)).await;
    let verdict = guard.judge(&sweep(10, 1, 0));
    assert_eq!(
        verdict.delete.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(),
        ["n0"]
    );

    let mut guard = Guard::new(GuardOptions::default());
    guard.judge(&sweep(10, 1, 0));
    tokio::time::advance(Duration::from_hours(1)).await;
    assert!(
        guard.judge(&sweep(10, 1, 0)).delete.is_empty(),
        "two denials are not three"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_nothing_neither_counts_nor_clears_and_a_sighting_clears() {
    let mut guard = Guard::new(GuardOptions::default());
    after(&mut guard, 6, &sweep(10, 1, 0)).await;
    let mut nothing = sweep(10, 1, 0);
    nothing[0] = seen(0, Ready::Unknown, &unknown());
    tokio::time::advance(Duration::from_secs(5)).await;
    let verdict = guard.judge(&nothing);
    assert!(verdict.delete.is_empty() && verdict.suspects.len() == 1);
    assert_eq!(guard.judge(&sweep(10, 1, 0)).delete.len(), 1);

    for cleared in [there(), Sighting::ShutDown] {
        nothing[0] = seen(0, Ready::Unknown, &cleared);
        assert!(guard.judge(&nothing).suspects.is_empty());
        assert!(guard.judge(&sweep(10, 1, 0)).delete.is_empty(), "counting starts anew");
    }
    after(&mut guard, 10, &sweep(10, 1, 0)).await;
    nothing[0] = seen(0, Ready::Yes, &Sighting::Gone);
    assert!(guard.judge(&nothing).delete.is_empty(), "a ready node never goes");
}

#[tokio::test(start_paused = true)]
async fn too_many_at_once_are_held_however_long_it_lasts() {
    for (total, gone, held) in [
        (1, 1, false),
        (2, 1, false),
        (2, 2, true),
        (3, 1, false),
        (3, 2, true),
        (3, 3, true),
        (10, 3, false),
        (10, 4, true),
        (1000, 333, false),
        (1000, 334, true),
    ] {
        let mut guard = Guard::new(GuardOptions::default());
        let verdict = after(&mut guard, 30, &sweep(total, gone, 0)).await;
        assert_eq!(verdict.held.is_some(), held, "{gone} of {total}");
        assert_eq!(verdict.delete.len(), if held { 0 } else { gone }, "{gone} of {total}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_denies_what_is_plainly_alive_is_not_believed() {
    for (total, gone, alive_gone, held) in [
        (10, 1, 1, true),
        (10, 1, 2, true),
        (100, 1, 4, false),
        (100, 1, 5, true),
        (5000, 10, 200, false),
    ] {
        let mut guard = Guard::new(GuardOptions::default());
        let verdict = after(&mut guard, 10, &sweep(total, gone, alive_gone)).await;
        assert_eq!(
            matches!(verdict.held, Some(Held::Contradicted { .. })),
            held,
            "{total} {gone} {alive_gone}"
        );
        assert_eq!(verdict.delete.is_empty(), held);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_of_the_same_name_is_judged_for_itself() {
    let mut guard = Guard::new(GuardOptions::default());
    after(&mut guard, 6, &sweep(10, 1, 0)).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    let mut again = sweep(10, 1, 0);
    let reborn = Node {
        uid: "another".to_owned(),
        ..Node::clone(&again[0].node)
    };
    again[0] = Seen::new(Arc::new(reborn), &Sighting::Gone);
    let verdict = guard.judge(&again);
    assert!(verdict.delete.is_empty() && verdict.suspects.len() == 1);
    assert_eq!(guard.suspects().len(), 1, "the one that went is forgotten");
}

/// Whatever the cloud and kubelets say in whatever order, what goes was denied three times over thirty seconds without
/// having been seen in between, is not ready, and is one of few.
#[tokio::test(start_paused = true)]
async fn no_sequence_of_answers_makes_the_guard_hasty() {
    const NODES: usize = 6;
    let mut deleted = 0;
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut guard = Guard::new(GuardOptions::default());
        // Since when, and how often, each node was denied without being seen in between.
        let mut denied: [Option<(Instant, u32)>; NODES] = [None; NODES];
        let flakiness = rng.u32(1..20);
        for _ in 0..60 {
            tokio::time::advance(Duration::from_secs(rng.u64(1..10))).await;
            let mut round = Vec::new();
            for (n, denied) in denied.iter_mut().enumerate() {
                let ready = if n > 1 || rng.u32(0..30) == 0 {
                    Ready::Yes
                } else {
                    Ready::Unknown
                };
                let sighting = match rng.u32(0..flakiness + 3) {
                    0 => unknown(),
                    1 => there(),
                    _ if n > 1 => there(),
                    _ => Sighting::Gone,
                };
                match (&sighting, ready) {
                    (Sighting::Running(_), _) | (_, Ready::Yes) => *denied = None,
                    (Sighting::Gone, _) => {
                        let (since, times) = denied.unwrap_or((Instant::now(), 0));
                        *denied = Some((since, times + 1));
                    }
                    _ => {}
                }
                round.push(seen(n, ready, &sighting));
            }
            let verdict = guard.judge(&round);
            assert!(verdict.delete.len() <= 2, "seed {seed}");
            for node in &verdict.delete {
                deleted += 1;
                let n: usize = node.name[1..].parse().unwrap();
                let (since, times) = denied[n].unwrap_or_else(|| panic!("seed {seed}: {} was just seen", node.name));
                assert!(
                    times >= 3 && since.elapsed() >= Duration::from_secs(30),
                    "seed {seed}: {times} {:?}",
                    since.elapsed()
                );
                assert_ne!(node.ready, Ready::Yes, "seed {seed}");
            }
        }
    }
    assert!(deleted > 100, "the law is about something: {deleted}");
}
