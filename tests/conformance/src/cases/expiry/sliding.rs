//! Expiry that reads move.

use crate::Harness;
use crate::harness::{changed, expiring, only_if, refused, together, written};
use dataknobs_kv_core::store::{Expiry, Item, Query, SetOptions};
use dataknobs_kv_core::{MAX_TIMESTAMP, Precondition, Projection, Value};

cases! {
    "expiry";
    sliding_starts_anew: [T6] [SlidingExpiry, Sliding];
    sliding_needs_an_eighth: [T6] [SlidingExpiry, Sliding];
    sliding_keeps_the_version: [T6, C1] [SlidingExpiry, Sliding];
    sliding_ignores_other_reads: [T6] [SlidingExpiry, Sliding, Batches];
    sliding_ends: [T6, T1] [SlidingExpiry, Sliding];
    sliding_is_kept_by_changes: [T6] [SlidingExpiry, Sliding];
    sliding_stops_at_the_end_of_time: [T6, T4] [SlidingExpiry, Sliding];
    sliding_readers_and_a_writer: [T6, C5] [SlidingExpiry, Sliding, Concurrent, Over];
    sliding_is_refused_where_it_cannot_be: [T6, S2, E4] [SlidingExpiry, NotSliding];
}

async fn sliding_starts_anew(h: Harness) {
    let start = h.clock.now();
    written(h.set("k", 1, expiring(Expiry::Sliding(800))).await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!((attributes.expires_at, attributes.sliding_ms), (Some(start + 800), Some(800)));
    for _ in 0..5 {
        h.clock.advance(700);
        h.expect("k", 1).await;
        let expires_at = h.describe("k").await.expect("it was read").attributes.expires_at;
        assert_eq!(expires_at, Some(h.clock.now() + 800));
    }
}

async fn sliding_needs_an_eighth(h: Harness) {
    let start = h.clock.now();
    written(h.set("k", 1, expiring(Expiry::Sliding(800))).await);
    h.clock.advance(99);
    h.expect("k", 1).await;
    assert_eq!(h.describe("k").await.expect("there").attributes.expires_at, Some(start + 800));
    h.clock.advance(1);
    h.expect("k", 1).await;
    assert_eq!(h.describe("k").await.expect("there").attributes.expires_at, Some(start + 900));
    written(h.set("short", 1, expiring(Expiry::Sliding(1))).await);
    h.expect("short", 1).await;
    h.clock.advance(1);
    h.expect_absent("short").await;
}

async fn sliding_keeps_the_version(h: Harness) {
    let version = written(h.set("k", 1, expiring(Expiry::Sliding(800))).await);
    let updated = h.entry("k").await.attributes.updated_at;
    h.clock.advance(400);
    assert_eq!(h.entry("k").await.version, version);
    let state = h.describe("k").await.expect("there");
    assert_eq!((state.version, state.attributes.updated_at), (version.clone(), updated));
    written(h.set("k", 2, only_if(Precondition::Version(version))).await);
}

async fn sliding_ignores_other_reads(h: Harness) {
    let expires_at = Some(h.clock.now() + 800);
    written(h.set("k", 1, expiring(Expiry::Sliding(800))).await);
    h.clock.advance(500);
    h.describe("k").await;
    h.list(&Query::pattern("**"), 10, Projection::Value).await;
    h.store.get_many(&h.namespace, &["k".into()], false).await.unwrap();
    h.count(&Query::pattern("k"), 10).await;
    assert_eq!(h.describe("k").await.expect("there").attributes.expires_at, expires_at);
    h.store.get_many(&h.namespace, &["k".into()], true).await.unwrap();
    assert_eq!(
        h.describe("k").await.expect("there").attributes.expires_at,
        Some(h.clock.now() + 800),
        "values were read"
    );
}

async fn sliding_ends(h: Harness) {
    written(h.set("k", 1, expiring(Expiry::Sliding(800))).await);
    h.clock.advance(800);
    h.expect_absent("k").await;
    h.clock.advance(10);
    assert_eq!(h.increment("k", 1).await.unwrap().value, dataknobs_kv_core::store::Numeric::Integer(1));
    assert_eq!(h.entry("k").await.attributes.sliding_ms, None);
    h.put("k", 1).await;
    changed(h.set_expiry("k", Expiry::Sliding(80)).await);
    changed(h.set_expiry("k", Expiry::After(80)).await);
    assert_eq!(h.entry("k").await.attributes.sliding_ms, None, "another expiry ends the sliding");
}

async fn sliding_is_kept_by_changes(h: Harness) {
    for (key, value) in
        [("count", Value::Integer(1)), ("log", Value::from("x")), ("meta", Value::Null), ("touch", Value::Null)]
    {
        written(h.set(key, value, expiring(Expiry::Sliding(800))).await);
    }
    let expires_at = Some(h.clock.now() + 800);
    h.clock.advance(300);
    h.increment("count", 1).await.unwrap();
    h.store.append(&h.namespace, "log", "y".into(), Expiry::Keep).await.unwrap();
    changed(h.update_metadata("meta", "{\"a\":1}").await);
    changed(h.set_expiry("touch", Expiry::Keep).await);
    for (key, expires_at) in
        [("count", expires_at), ("log", expires_at), ("meta", expires_at), ("touch", Some(h.clock.now() + 800))]
    {
        let attributes = h.describe(key).await.expect("there").attributes;
        assert_eq!((attributes.expires_at, attributes.sliding_ms), (expires_at, Some(800)), "{key}");
    }
}

async fn sliding_stops_at_the_end_of_time(h: Harness) {
    h.clock.set(MAX_TIMESTAMP - 1000);
    written(h.set("k", 1, expiring(Expiry::Sliding(900))).await);
    h.clock.advance(500);
    h.expect("k", 1).await;
    let expires_at = h.describe("k").await.expect("there").attributes.expires_at.expect("an end");
    assert!(expires_at <= MAX_TIMESTAMP && expires_at > h.clock.now(), "{expires_at}");
}

async fn sliding_readers_and_a_writer(h: Harness) {
    let mut version = written(h.set("k", 0_i64, expiring(Expiry::Sliding(1000))).await);
    for round in 1..=10_i64 {
        h.clock.advance(200);
        let options =
            SetOptions { precondition: Precondition::Version(version.clone()), ..expiring(Expiry::Sliding(1000)) };
        let mut tasks: Vec<crate::harness::Task<Option<dataknobs_kv_core::store::SetResult>>> = Vec::new();
        for at in 0..20 {
            let (store, namespace) = (h.store.clone(), h.namespace.clone());
            let item = Item { key: "k".into(), value: round.into(), options: options.clone() };
            tasks.push(Box::pin(async move {
                if at == 10 {
                    return Some(store.set(&namespace, item).await.expect("a set"));
                }
                assert!(store.get(&namespace, "k").await.expect("a read").is_some());
                None
            }));
        }
        let mut results = together(tasks).await.into_iter().flatten();
        version = written(Ok(results.next().expect("the writer's")));
        let expires_at = h.describe("k").await.expect("there").attributes.expires_at;
        assert_eq!(expires_at, Some(h.clock.now() + 1000), "no reader moves it back");
    }
}

async fn sliding_is_refused_where_it_cannot_be(h: Harness) {
    h.put("k", "old").await;
    refused(h.set("k", 1, expiring(Expiry::Sliding(100))).await, "unsupported");
    refused(h.set_expiry("k", Expiry::Sliding(100)).await, "unsupported");
    h.expect("k", "old").await;
    written(h.set("k", 1, expiring(Expiry::After(100))).await);
}
