//! Memory, computing time, the size of requests, and rivals for one key.

mod probe;

use std::{collections::HashSet, sync::atomic::Ordering::SeqCst, time::Duration};

use dataknobs_kv_core::{
    Error, Result, Store, Value,
    store::{Counted, Numeric},
};
use dataknobs_kv_runtime::{ComponentStore, Runtime, RuntimeConfig};
use probe::{config, item, start};

type Counting = tokio::task::JoinHandle<Result<Counted>>;

fn count(store: &ComponentStore, key: &'static str, delta: i64) -> Counting {
    let store = store.clone();
    tokio::spawn(async move { store.increment("n", key, Numeric::Integer(delta), Default::default()).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rivals_for_one_key_all_count_and_do_not_fight() {
    let (_runtime, probe, store) = start(RuntimeConfig { instances: 64, ..config() });
    let calls: Vec<_> = (0..64).map(|_| count(&store, "counter", 1)).collect();
    let mut seen = Vec::new();
    for call in calls {
        match call.await.unwrap().unwrap().value {
            Numeric::Integer(value) => seen.push(value),
            other => panic!("{other:?}"),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=64).collect::<Vec<_>>());
    assert!(probe.writes.load(SeqCst) <= 64);
}

#[tokio::test]
async fn increments_that_wait_go_together() {
    let (_runtime, probe, store) = start(config());
    let calls: Vec<_> = (0..64).map(|_| count(&store, "counter", 2)).collect();
    let mut counted = Vec::new();
    for call in calls {
        counted.push(call.await.unwrap().unwrap());
    }
    // The first alone, and all that came meanwhile.
    assert_eq!(probe.writes.load(SeqCst), 2);
    let values: Vec<_> = counted.iter().map(|counted| counted.value).collect();
    assert_eq!(values, (1..=64).map(|turn| Numeric::Integer(2 * turn)).collect::<Vec<_>>());
    // No two states have one version, and only the last is there.
    let versions: HashSet<_> = counted.iter().map(|counted| counted.version.as_str()).collect();
    assert_eq!(versions.len(), 64);
    assert_eq!(store.get("n", "counter").await.unwrap().unwrap().version, counted.last().unwrap().version);
}

#[tokio::test]
async fn increments_that_wait_end_each_as_they_would_alone() {
    let (_runtime, probe, store) = start(config());
    store.set("n", item("full", i64::MAX - 3)).await.unwrap();
    let calls: Vec<_> = [1, 1, 5, 1, -1].into_iter().map(|delta| count(&store, "full", delta)).collect();
    let mut values = Vec::new();
    for call in calls {
        values.push(call.await.unwrap().map(|counted| counted.value).map_err(|error| error.code()));
    }
    let whole = |below: i64| Ok(Numeric::Integer(i64::MAX - below));
    // All that go up do not fit; of them, one by one, the others do. What goes down went down by itself.
    assert_eq!(values, [whole(2), whole(1), Err("overflow"), whole(0), whole(1)]);

    // Whoever sends the others' may go away.
    let (first, second, third) =
        (count(&store, "counter", 1), count(&store, "counter", 1), count(&store, "counter", 1));
    let before = probe.writes.load(SeqCst);
    first.await.unwrap().unwrap();
    while probe.writes.load(SeqCst) < before + 2 {
        tokio::task::yield_now().await;
    }
    second.abort();
    assert_eq!(third.await.unwrap().unwrap().value, Numeric::Integer(3));
}

#[tokio::test]
async fn a_queue_at_a_key_holds_up_nothing_else() {
    let (_runtime, probe, store) = start(config());
    let stalled = tokio::spawn({
        let store = store.clone();
        async move { store.increment("n", "stall-write.1", Numeric::Integer(1), Default::default()).await }
    });
    probe.stalls.notified().await;
    assert_eq!(store.get("n", "stall-write.1").await, Ok(None));
    store.increment("n", "other", Numeric::Integer(1), Default::default()).await.unwrap();
    store.increment("m", "other", Numeric::Integer(1), Default::default()).await.unwrap();
    assert_eq!(probe.stalled.load(SeqCst), 1);
    stalled.abort();
}

#[tokio::test]
async fn the_largest_value_goes_in_and_out_and_its_memory_is_not_kept() {
    let (runtime, _probe, store) = start(config());
    let value = vec![7u8; 16 << 20];
    store.set("n", item("large", value.clone())).await.unwrap();
    assert_eq!(runtime.idle_instances(), 0);
    let state = store.get("n", "large").await.unwrap().unwrap();
    assert_eq!(state.into_value().unwrap(), Some(Value::Bytes(value)));
    assert_eq!(runtime.idle_instances(), 0);
    store.set("n", item("small", "value")).await.unwrap();
    assert_eq!(runtime.idle_instances(), 1);
}

#[tokio::test]
async fn a_request_over_its_limit_never_reaches_the_component() {
    let (runtime, probe, store) = start(RuntimeConfig { request_bytes: 1000, ..config() });
    let too_large = |error: Error| match error {
        Error::TooLarge(limit) => (limit.what, limit.limit, limit.actual > 1000),
        other => panic!("{other}"),
    };
    let refused = ("request".to_owned(), 1000, true);
    let long = "x".repeat(1001);
    assert_eq!(too_large(store.set("n", item("k", long.as_str())).await.unwrap_err()), refused);
    assert_eq!(too_large(store.get("n", &long).await.unwrap_err()), refused);
    assert_eq!(too_large(store.get_many("n", &vec![String::new(); 1000], false).await.unwrap_err()), refused);
    assert_eq!(too_large(store.update_metadata("n", "k", &long, Default::default()).await.unwrap_err()), refused);
    assert_eq!((probe.gets.load(SeqCst), probe.writes.load(SeqCst), runtime.idle_instances()), (0, 0, 0));
}

#[tokio::test]
async fn a_call_that_needs_more_memory_than_there_is_fails_alone() {
    let (runtime, probe, store) = start(RuntimeConfig { memory_bytes: 4 << 20, ..config() });
    let error = store.set("n", item("k", vec![0u8; 16 << 20])).await.unwrap_err();
    assert!(matches!(&error, Error::TooLarge(limit) if limit.what == "memory" && limit.limit == 4 << 20), "{error}");
    assert_eq!((probe.writes.load(SeqCst), runtime.idle_instances()), (0, 0));
    store.set("n", item("k", vec![0u8; 1 << 20])).await.unwrap();
}

#[tokio::test]
async fn a_call_that_computes_too_long_is_stopped() {
    // One tick: reading so much JSON takes several.
    let (runtime, probe, store) = start(RuntimeConfig { cpu_time: Duration::from_nanos(1), ..config() });
    let json = format!("[{}1]", "1,".repeat(12 << 20));
    let error = store.set("n", item("k", Value::Json(json))).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(message) if message.contains("computed")), "{error}");
    assert_eq!((probe.writes.load(SeqCst), runtime.idle_instances()), (0, 0));
}

#[test]
fn settings_out_of_range_are_refused() {
    for config in [
        RuntimeConfig { instances: 0, ..config() },
        RuntimeConfig { instances: 100_001, ..config() },
        RuntimeConfig { memory_bytes: (64 << 20) + 1, ..config() },
        RuntimeConfig { memory_bytes: 1 << 20, ..config() },
        RuntimeConfig { call_time: Duration::ZERO, ..config() },
        RuntimeConfig { cpu_time: Duration::ZERO, ..config() },
    ] {
        assert!(matches!(Runtime::new(config), Err(Error::InvalidArgument(_))));
    }
    // Waiting without end is possible.
    Runtime::new(RuntimeConfig { call_time: Duration::MAX, cpu_time: Duration::MAX, ..config() }).unwrap();
}
