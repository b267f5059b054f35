use super::*;

fn key(name: &str) -> Key {
    ("ns".to_owned(), name.to_owned())
}

fn object(value: i64) -> Value {
    json!({"metadata": {}, "data": value})
}

#[test]
fn the_past_can_be_read_until_it_is_compacted() {
    let mut store = Store::new(100);
    store.put("things", key("a"), object(1));
    let then = store.revision();
    store.put("things", key("a"), object(2));
    store.put("things", key("b"), object(3));
    store.remove("things", &key("a"));
    let past = store.list_at("things", "", then).unwrap();
    assert_eq!(past.len(), 1);
    assert_eq!(past[0].1["data"], 1);
    assert_eq!(store.list("things", "ns").len(), 1);
    let now = store.revision();
    store.put("others", key("c"), object(4));
    let still = store.list_at("things", "", now).unwrap();
    assert_eq!(still, store.list("things", "ns"));
    store.compact(store.revision());
    assert!(store.list_at("things", "", then).is_none());
}

#[tokio::test]
async fn a_watch_from_any_revision_has_no_gap_and_no_double() {
    let mut store = Store::new(100);
    let start = store.revision();
    store.put("things", key("a"), object(1));
    let mut subscription = store.subscribe("things", start);
    store.put("things", key("a"), object(2));
    store.remove("things", &key("a"));
    let mut seen: Vec<u64> = subscription.history.iter().map(|e| e.revision).collect();
    while let Ok(event) = subscription.live.try_recv() {
        seen.push(event.revision);
    }
    assert_eq!(seen, [start + 1, start + 2, start + 3]);
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_dropped_and_holds_nobody_up() {
    let mut store = Store::new(100);
    let mut subscription = store.subscribe("things", 0);
    for i in 0..=i64::try_from(BACKLOG).unwrap() {
        store.put("things", key("a"), object(i));
    }
    let mut read = 0;
    while subscription.live.recv().await.is_some() {
        read += 1;
    }
    assert_eq!(read, BACKLOG);
}

#[test]
fn the_log_forgets_what_is_beyond_its_capacity() {
    let mut store = Store::new(100);
    let first = store.revision();
    for i in 0..101 {
        store.put("things", key("a"), object(i));
    }
    assert_eq!(store.oldest("things"), first + 1);
}
