use super::*;
use crate::metrics::Registry;

fn queue() -> WorkQueue<&'static str> {
    queue_in(&Registry::new())
}

fn queue_in(registry: &Registry) -> WorkQueue<&'static str> {
    let limiter = Limiter::exponential(Duration::from_secs(5), Duration::from_mins(5));
    WorkQueue::new(limiter, QueueMetrics::new(registry, "service"))
}

async fn take(queue: &WorkQueue<&'static str>) -> Work<&'static str> {
    tokio::time::timeout(Duration::from_hours(1), queue.take())
        .await
        .expect("a key in time")
        .expect("not shut down")
}

#[tokio::test(start_paused = true)]
async fn duplicates_collapse() {
    let queue = queue();
    for key in ["a", "b", "a", "a"] {
        queue.add(key);
    }
    assert_eq!(queue.len(), 2);
    assert_eq!(*take(&queue).await.key(), "a");
    assert_eq!(*take(&queue).await.key(), "b");
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_in_work_is_not_handed_out_again_but_comes_once_more_afterwards() {
    let queue = queue();
    queue.add("a");
    let first = take(&queue).await;
    queue.add("a");
    queue.add("a");
    assert!(queue.is_empty(), "not while it is being worked on");
    first.finish();
    let second = take(&queue).await;
    assert_eq!(*second.key(), "a");
    second.finish();
    assert!(queue.is_empty(), "once, not twice");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_gives_its_key_back() {
    let queue = queue();
    queue.add("a");
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move {
            let _work = queue.take().await;
            panic!("a bug");
        }
    });
    assert!(worker.await.unwrap_err().is_panic());
    queue.add("a");
    assert_eq!(*take(&queue).await.key(), "a");
}

#[tokio::test(start_paused = true)]
async fn failing_keys_wait_longer_each_time_and_start_anew_once_they_succeed() {
    let queue = queue();
    queue.add("a");
    let mut waits = Vec::new();
    for _ in 0..3 {
        let before = Instant::now();
        take(&queue).await.fail();
        waits.push(before.elapsed().as_secs());
    }
    assert_eq!(waits, [0, 5, 10]);
    assert_eq!(queue.failures(&"a"), 3);
    take(&queue).await.finish();
    assert_eq!(queue.failures(&"a"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_delay_counts_no_failure_and_the_earlier_of_two_delays_wins() {
    let queue = queue();
    let before = Instant::now();
    queue.add_after("a", Duration::from_secs(42));
    queue.add_after("a", Duration::from_secs(100));
    take(&queue).await.again_after(Duration::from_secs(1));
    assert_eq!(before.elapsed().as_secs(), 42);
    assert_eq!(queue.failures(&"a"), 0);
    queue.add_after("b", Duration::from_secs(50));
    queue.add_after("b", Duration::from_millis(10));
    assert_eq!(*take(&queue).await.key(), "b");
    assert_eq!(*take(&queue).await.key(), "a");
    assert_eq!(before.elapsed().as_secs(), 43);
    assert!(queue.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn someone_who_waits_for_a_late_key_is_woken_for_an_earlier_one() {
    let queue = queue();
    queue.add_after("late", Duration::from_secs(100));
    let taker = tokio::spawn({
        let queue = queue.clone();
        async move { *queue.take().await.expect("a key").key() }
    });
    tokio::task::yield_now().await;
    let before = Instant::now();
    queue.add("early");
    assert_eq!(taker.await.unwrap(), "early");
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn many_workers_get_every_key_once() {
    let queue: WorkQueue<u32> = WorkQueue::new(
        Limiter::controller_default(),
        QueueMetrics::new(&Registry::new(), "many"),
    );
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Some(work) = queue.take().await {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    seen.push(*work.key());
                    work.finish();
                }
                seen
            })
        })
        .collect();
    for key in 0..100 {
        queue.add(key);
    }
    let before = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    queue.shut_down();
    let mut seen = Vec::new();
    for worker in workers {
        seen.extend(worker.await.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    assert!(before.elapsed() < Duration::from_secs(2), "all four were woken");
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_what_gathers_while_it_lingers() {
    let queue = queue();
    queue.add("a");
    tokio::spawn({
        let queue = queue.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            queue.add("b");
            queue.add("a");
        }
    });
    let batch = queue.take_batch(10, Duration::from_millis(100)).await.expect("a batch");
    assert_eq!(batch.iter().map(|work| *work.key()).collect::<Vec<_>>(), ["a", "b"]);
    drop(batch);
    assert_eq!(*take(&queue).await.key(), "a", "it was added again after it was taken");
}

#[tokio::test(start_paused = true)]
async fn after_shut_down_what_is_ready_is_handed_out_and_nothing_more() {
    let queue = queue();
    queue.add("a");
    queue.add_after("b", Duration::from_secs(1));
    queue.shut_down();
    queue.add("c");
    assert_eq!(*queue.take().await.expect("what was ready").key(), "a");
    assert!(queue.take().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_metrics_are_those_of_client_go() {
    let registry = Registry::new();
    let queue = queue_in(&registry);
    queue.add("a");
    queue.add("b");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let work = take(&queue).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let text = registry.render();
    for line in [
        "workqueue_depth{name=\"service\"} 1",
        "workqueue_adds_total{name=\"service\"} 2",
        "workqueue_queue_duration_seconds_sum{name=\"service\"} 2",
        "workqueue_queue_duration_seconds_bucket{name=\"service\",le=\"1e-08\"} 0",
        "workqueue_unfinished_work_seconds{name=\"service\"} 3",
        "workqueue_longest_running_processor_seconds{name=\"service\"} 3",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    work.fail();
    let text = registry.render();
    for line in [
        "workqueue_retries_total{name=\"service\"} 1",
        "workqueue_work_duration_seconds_count{name=\"service\"} 1",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}
