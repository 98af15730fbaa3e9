//! How long an entry lives: spans, instants, touch and persist.

use crate::Harness;
use crate::harness::{
    changed, conflict, different, expiring, item, only_if, refused, refused_for, swapped, with_metadata, written,
};
use crate::wrap::DefaultTtl;
use dataknobs_kv_core::store::{ChangeResult, DeleteResult, Expiry, Item, Query, SetOptions};
use dataknobs_kv_core::{MAX_TIMESTAMP, Precondition, Projection, Value};
use std::sync::Arc;

cases! {
    "expiry";
    absent_from_that_millisecond_on: [T1];
    absent_for_every_read: [T1];
    absent_for_every_write: [T1, T7];
    absent_in_batches: [T1, T7, B1] [Batches];
    absent_in_transactions: [T1, X4] [Transact, Atomic];
    a_set_without_one_clears_it: [T2];
    counters_and_appends_keep_it: [T3, A7];
    metadata_changes_keep_it: [T3, M10];
    counters_and_appends_take_another: [T3] [KeepExpiry];
    kept_by_a_set: [T4] [KeepExpiry];
    at_an_instant: [T4];
    of_long_spans: [T4, Z1];
    spans_beyond_the_calendar_are_refused: [T4, Z1, E4];
    nothing_in_the_past: [T4, E4];
    a_clock_near_zero: [T1, T4];
    touch_and_persist: [T5];
    touch_changes_the_version: [T5, C1];
    touch_of_nothing: [T5];
    touch_says_how: [T5] [KeepExpiry];
    guarded_touch: [T5, C5, C6] [ChangeGuards];
    writing_over_is_a_creation: [T7, M7, D1];
    deleting_is_absent: [T7, D1];
    default_of_a_namespace: [T9, T2] [Over];
    default_gives_way: [T9] [Over];
}

async fn absent_from_that_millisecond_on(h: Harness) {
    for (key, span) in [("one", 1), ("two", 2), ("thousand", 1000)] {
        written(h.set(key, key, expiring(Expiry::After(span))).await);
        h.expect(key, key).await;
        h.clock.advance(span - 1);
        h.expect(key, key).await;
        h.clock.advance(1);
        h.expect_absent(key).await;
    }
}

async fn absent_for_every_read(h: Harness) {
    written(h.set("a.k", 1, expiring(Expiry::After(100))).await);
    h.put("a.other", 1).await;
    h.clock.advance(100);
    h.expect_absent("a.k").await;
    assert_eq!(h.describe("a.k").await, None);
    assert_eq!(h.keys("**").await, ["a.other"]);
    assert_eq!(h.keys("a.k").await, Vec::<String>::new());
    assert_eq!(h.count(&Query::pattern("**"), 10).await, 1);
    let children = h.store.children(&h.namespace, Some("a"), true, None, 10).await.unwrap().children;
    assert_eq!(children.iter().map(|child| child.segment.as_str()).collect::<Vec<_>>(), ["other"]);
}

async fn absent_for_every_write(h: Harness) {
    let options =
        SetOptions { expiry: Expiry::After(10), metadata: Some("{\"old\":true}".into()), ..SetOptions::default() };
    let keys = ["set", "absent", "version", "delete", "swap", "count", "append", "metadata", "touch"];
    let mut versions = std::collections::BTreeMap::new();
    for key in keys {
        versions.insert(key, written(h.set(key, 7, options.clone()).await));
    }
    h.clock.advance(10);
    let stale = only_if(Precondition::Version(versions["version"].clone()));
    assert!(conflict(h.set("version", 1, stale).await).is_none(), "nothing is in the way");
    h.expect_absent("version").await;
    written(h.set("absent", 1, only_if(Precondition::Absent)).await);
    assert_eq!(h.delete("delete").await, DeleteResult::Absent);
    assert!(different(h.swap("swap", Some(Value::Integer(7)), 8).await).is_none());
    swapped(h.swap("swap", None, 8).await);
    assert_eq!(h.increment("count", 1).await.unwrap().value, dataknobs_kv_core::store::Numeric::Integer(1));
    h.store.append(&h.namespace, "append", "text".into(), Expiry::Unspecified).await.unwrap();
    h.expect("append", "text").await;
    assert_eq!(h.update_metadata("metadata", "{\"a\":1}").await, Ok(ChangeResult::Absent));
    assert_eq!(h.set_expiry("touch", Expiry::Never).await, Ok(ChangeResult::Absent));
    h.expect_absent("touch").await;
    for key in ["absent", "swap", "count", "append"] {
        let attributes = h.entry(key).await.attributes;
        assert_eq!(
            (attributes.expires_at, attributes.metadata, attributes.created_at),
            (None, None, h.clock.now()),
            "{key}"
        );
    }
}

async fn absent_in_batches(h: Harness) {
    let set = |key: &str, precondition| Item {
        key: key.into(),
        value: 1.into(),
        options: SetOptions { precondition, expiry: Expiry::After(10), ..SetOptions::default() },
    };
    let keys: Vec<String> = ["a", "b", "c"].map(String::from).into();
    for key in &keys {
        written(h.store.set(&h.namespace, set(key, Precondition::None)).await);
    }
    h.clock.advance(10);
    for result in h.store.get_many(&h.namespace, &keys, true).await.unwrap() {
        assert_eq!(result, Ok(None));
    }
    assert_eq!(h.store.delete_many(&h.namespace, &keys[..1]).await.unwrap(), [Ok(DeleteResult::Absent)]);
    let again = keys.iter().map(|key| set(key, Precondition::Absent)).collect();
    for result in h.store.set_many(&h.namespace, again).await.unwrap() {
        written(result);
    }
    assert_eq!(h.entry("b").await.attributes.created_at, h.clock.now());
}

async fn absent_in_transactions(h: Harness) {
    use dataknobs_kv_core::store::{Action, Check, TransactionResult};
    let old = written(h.set("a", 1, expiring(Expiry::After(10))).await);
    h.clock.advance(10);
    let check = |precondition| vec![Check { key: "a".into(), precondition }];
    let lost = h.store.transact(&h.namespace, check(Precondition::Version(old)), vec![Action::Set(item("b", 1))]).await;
    assert!(matches!(lost, Ok(TransactionResult::Failed(_))), "{lost:?}");
    let won = h.store.transact(&h.namespace, check(Precondition::Absent), vec![Action::Set(item("b", 1))]).await;
    assert!(matches!(won, Ok(TransactionResult::Committed(_))), "{won:?}");
    let delete = h.store.transact(&h.namespace, vec![], vec![Action::Delete("a".into())]).await;
    assert_eq!(delete, Ok(TransactionResult::Committed(vec![None])));
}

async fn a_set_without_one_clears_it(h: Harness) {
    written(h.set("k", 1, expiring(Expiry::After(10))).await);
    h.put("k", 2).await;
    assert_eq!(h.entry("k").await.attributes.expires_at, None);
    h.clock.advance(100);
    h.expect("k", 2).await;
    written(h.set("swapped", 1, expiring(Expiry::After(10))).await);
    swapped(h.swap("swapped", Some(Value::Integer(1)), 2).await);
    assert_eq!(h.entry("swapped").await.attributes.expires_at, None);
}

async fn counters_and_appends_keep_it(h: Harness) {
    let at = h.clock.now() + 50;
    let options = SetOptions { expiry: Expiry::After(50), metadata: Some("{\"m\":1}".into()), ..SetOptions::default() };
    written(h.set("count", 1, options.clone()).await);
    written(h.set("log", "a", options).await);
    h.clock.advance(20);
    h.increment("count", 1).await.unwrap();
    h.store.append(&h.namespace, "log", "b".into(), Expiry::Unspecified).await.unwrap();
    for key in ["count", "log"] {
        let attributes = h.entry(key).await.attributes;
        assert_eq!(attributes.expires_at, Some(at), "{key}");
        assert_eq!(attributes.metadata.as_deref(), Some("{\"m\":1}"), "{key}");
    }
    h.clock.advance(30);
    h.expect_absent("count").await;
    h.expect_absent("log").await;
}

async fn metadata_changes_keep_it(h: Harness) {
    let at = h.clock.now() + 50;
    written(h.set("k", 1, expiring(Expiry::After(50))).await);
    h.clock.advance(20);
    changed(h.update_metadata("k", "{\"a\":1}").await);
    assert_eq!(h.entry("k").await.attributes.expires_at, Some(at));
    h.clock.advance(30);
    h.expect_absent("k").await;
}

async fn counters_and_appends_take_another(h: Harness) {
    use dataknobs_kv_core::store::Numeric::Integer;
    let add = async |expiry| h.store.increment(&h.namespace, "count", Integer(1), expiry).await.unwrap();
    let append = async |expiry| h.store.append(&h.namespace, "log", "x".into(), expiry).await.unwrap();
    let now = h.clock.now();
    for (expiry, expires_at) in [
        (Expiry::After(50), Some(now + 50)),
        (Expiry::Keep, Some(now + 50)),
        (Expiry::At(now + 70), Some(now + 70)),
        (Expiry::Never, None),
        (Expiry::Keep, None),
    ] {
        add(expiry).await;
        append(expiry).await;
        assert_eq!(h.entry("count").await.attributes.expires_at, expires_at, "{expiry:?}");
        assert_eq!(h.entry("log").await.attributes.expires_at, expires_at, "{expiry:?}");
    }
    for expiry in [Expiry::After(0), Expiry::At(now), Expiry::After(u64::MAX)] {
        refused(h.store.increment(&h.namespace, "count", Integer(1), expiry).await, "invalid-argument");
        refused(h.store.append(&h.namespace, "log", "x".into(), expiry).await, "invalid-argument");
    }
    h.expect("count", 5).await;
    h.expect("log", "xxxxx").await;
}

async fn kept_by_a_set(h: Harness) {
    let now = h.clock.now();
    written(h.set("k", 1, expiring(Expiry::After(50))).await);
    h.clock.advance(10);
    written(h.set("k", 2, expiring(Expiry::Keep)).await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!((attributes.expires_at, attributes.created_at, attributes.updated_at), (Some(now + 50), now, now + 10));
    h.expect("k", 2).await;
    written(h.set("new", 1, expiring(Expiry::Keep)).await);
    assert_eq!(h.entry("new").await.attributes.expires_at, None, "there was nothing to keep");
    h.put("forever", 1).await;
    written(h.set("forever", 2, expiring(Expiry::Keep)).await);
    assert_eq!(h.entry("forever").await.attributes.expires_at, None);
    h.clock.advance(40);
    h.expect_absent("k").await;
    written(h.set("k", 3, expiring(Expiry::Keep)).await);
    assert_eq!(h.entry("k").await.attributes.expires_at, None, "an expired entry leaves nothing to keep");
}

async fn at_an_instant(h: Harness) {
    let at = h.clock.now() + 12_345;
    written(h.set("k", 1, expiring(Expiry::At(at))).await);
    assert_eq!(h.entry("k").await.attributes.expires_at, Some(at));
    h.clock.set(at - 1);
    h.expect("k", 1).await;
    h.clock.set(at);
    h.expect_absent("k").await;
}

const DAY: u64 = 24 * 60 * 60 * 1000;

async fn of_long_spans(h: Harness) {
    let now = h.clock.now();
    // 25 days do not fit 32 bits of milliseconds, 50 days not even without a sign.
    for span in [25 * DAY, 30 * DAY, 50 * DAY, 36_525 * DAY, MAX_TIMESTAMP - now] {
        written(h.set("k", 1, expiring(Expiry::After(span))).await);
        assert_eq!(h.entry("k").await.attributes.expires_at, Some(now + span));
    }
    written(h.set("at", 1, expiring(Expiry::At(MAX_TIMESTAMP))).await);
    assert_eq!(h.entry("at").await.attributes.expires_at, Some(253_402_300_799_999));
    written(h.set("month", 1, expiring(Expiry::After(30 * DAY))).await);
    h.clock.advance(29 * DAY);
    h.expect("month", 1).await;
    h.expect("k", 1).await;
    h.clock.advance(DAY);
    h.expect_absent("month").await;
    h.clock.advance(100 * 366 * DAY);
    h.expect("k", 1).await;
    h.expect("at", 1).await;
}

async fn spans_beyond_the_calendar_are_refused(h: Harness) {
    h.put("k", "old").await;
    let beyond = MAX_TIMESTAMP - h.clock.now() + 1;
    for expiry in [
        Expiry::After(beyond),
        Expiry::After(u64::MAX),
        Expiry::After(i64::MAX as u64),
        Expiry::At(MAX_TIMESTAMP + 1),
        Expiry::At(u64::MAX),
    ] {
        refused_for(h.set("k", 1, expiring(expiry)).await, "invalid-argument", &format!("{expiry:?}"));
        refused_for(h.set_expiry("k", expiry).await, "invalid-argument", &format!("{expiry:?}"));
    }
    if h.capabilities.sliding {
        refused(h.set("k", 1, expiring(Expiry::Sliding(u64::MAX))).await, "invalid-argument");
    }
    h.expect("k", "old").await;
    assert_eq!(h.entry("k").await.attributes.expires_at, None);
}

async fn nothing_in_the_past(h: Harness) {
    h.put("k", "old").await;
    let now = h.clock.now();
    for expiry in [Expiry::After(0), Expiry::At(now), Expiry::At(now - 1), Expiry::At(1), Expiry::At(0)] {
        refused_for(h.set("k", 1, expiring(expiry)).await, "invalid-argument", &format!("{expiry:?}"));
        refused_for(h.set_expiry("k", expiry).await, "invalid-argument", &format!("{expiry:?}"));
    }
    h.expect("k", "old").await;
}

async fn a_clock_near_zero(h: Harness) {
    h.clock.set(1000);
    written(h.set("k", 1, expiring(Expiry::After(500))).await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!((attributes.created_at, attributes.expires_at), (1000, Some(1500)));
    h.clock.set(1499);
    h.expect("k", 1).await;
    h.clock.set(1500);
    h.expect_absent("k").await;
    assert_eq!(h.store.cleanup_expired(Some(&h.namespace), 10).await.unwrap().count, 1);
}

async fn touch_and_persist(h: Harness) {
    let start = h.clock.now();
    written(h.set("k", "v", SetOptions { expiry: Expiry::After(100), ..with_metadata("{\"m\":1}") }).await);
    h.clock.advance(50);
    changed(h.set_expiry("k", Expiry::After(100)).await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!(attributes.expires_at, Some(start + 150));
    assert_eq!((attributes.created_at, attributes.updated_at), (start, start));
    assert_eq!(attributes.metadata.as_deref(), Some("{\"m\":1}"));
    h.expect("k", "v").await;
    changed(h.set_expiry("k", Expiry::After(10)).await);
    assert_eq!(h.entry("k").await.attributes.expires_at, Some(start + 60), "sooner too");
    changed(h.set_expiry("k", Expiry::Never).await);
    assert_eq!(h.entry("k").await.attributes.expires_at, None);
    h.clock.advance(10_000);
    h.expect("k", "v").await;
    changed(h.set_expiry("k", Expiry::After(5)).await);
    h.clock.advance(5);
    h.expect_absent("k").await;
}

async fn touch_changes_the_version(h: Harness) {
    let first = h.put("k", 1).await;
    let second = changed(h.set_expiry("k", Expiry::After(10)).await);
    let third = changed(h.set_expiry("k", Expiry::After(10)).await);
    let fourth = changed(h.set_expiry("k", Expiry::Never).await);
    let fifth = changed(h.set_expiry("k", Expiry::Never).await);
    let all = std::collections::HashSet::from([first, second, third, fourth, fifth.clone()]);
    assert_eq!(all.len(), 5);
    assert_eq!(h.entry("k").await.version, fifth);
}

async fn touch_of_nothing(h: Harness) {
    assert_eq!(h.set_expiry("k", Expiry::After(10)).await, Ok(ChangeResult::Absent));
    assert_eq!(h.set_expiry("k", Expiry::Never).await, Ok(ChangeResult::Absent));
    h.expect_absent("k").await;
}

async fn touch_says_how(h: Harness) {
    let at = h.clock.now() + 100;
    written(h.set("k", 1, expiring(Expiry::At(at))).await);
    refused(h.set_expiry("k", Expiry::Unspecified).await, "invalid-argument");
    changed(h.set_expiry("k", Expiry::Keep).await);
    assert_eq!(h.entry("k").await.attributes.expires_at, Some(at));
}

async fn guarded_touch(h: Harness) {
    let first = h.put("k", 1).await;
    let touch = async |precondition| h.store.set_expiry(&h.namespace, "k", Expiry::After(10), precondition).await;
    let second = changed(touch(Precondition::Version(first.clone())).await);
    match touch(Precondition::Version(first)).await {
        Ok(ChangeResult::Conflict(Some(state))) => {
            assert_eq!((state.version, state.value), (second.clone(), None));
        }
        other => panic!("expected a conflict with the state, got {other:?}"),
    }
    let absent = touch(Precondition::Absent).await;
    assert!(matches!(absent, Ok(ChangeResult::Conflict(_))), "{absent:?}");
    assert_eq!(h.entry("k").await.version, second);
}

async fn writing_over_is_a_creation(h: Harness) {
    let options = SetOptions { expiry: Expiry::After(10), content_type: None, ..with_metadata("{\"old\":1}") };
    let old = written(h.set("k", 1, options).await);
    h.clock.advance(25);
    let new = h.put("k", 2).await;
    assert_ne!(old, new);
    let attributes = h.entry("k").await.attributes;
    assert_eq!((attributes.created_at, attributes.updated_at), (h.clock.now(), h.clock.now()));
    assert_eq!((attributes.metadata, attributes.expires_at), (None, None));
}

async fn deleting_is_absent(h: Harness) {
    let version = written(h.set("k", 1, expiring(Expiry::After(10))).await);
    h.clock.advance(10);
    assert_eq!(h.delete("k").await, DeleteResult::Absent);
    let guarded = h.store.delete(&h.namespace, "k", Precondition::Version(version), Projection::Value).await;
    assert!(matches!(guarded, Ok(DeleteResult::Conflict(None) | DeleteResult::Absent)), "{guarded:?}");
    h.expect_absent("k").await;
}

fn with_default(h: &Harness, span: u64) -> Harness {
    let namespace = h.namespace.clone();
    h.over(|storage| Arc::new(DefaultTtl { storage, namespace, span }))
}

async fn default_of_a_namespace(h: Harness) {
    let d = with_default(&h, 500);
    let expires_at = Some(d.clock.now() + 500);
    d.put("k", 1).await;
    assert_eq!(d.entry("k").await.attributes.expires_at, expires_at);
    swapped(d.swap("swap", None, 1).await);
    assert_eq!(d.entry("swap").await.attributes.expires_at, expires_at);
    let other = d.beside(format!("{}-other", d.namespace));
    other.put("k", 1).await;
    assert_eq!(other.entry("k").await.attributes.expires_at, None);
    d.clock.advance(500);
    d.expect_absent("k").await;
}

async fn default_gives_way(h: Harness) {
    let d = with_default(&h, 500);
    let now = d.clock.now();
    for (expiry, expires_at) in
        [(Expiry::Never, None), (Expiry::After(9), Some(now + 9)), (Expiry::At(now + 7), Some(now + 7))]
    {
        written(d.set("k", 1, expiring(expiry)).await);
        assert_eq!(d.entry("k").await.attributes.expires_at, expires_at, "{expiry:?}");
    }
    written(d.set("k", 1, with_metadata("{\"ttl\":2}")).await);
    assert_eq!(d.entry("k").await.attributes.expires_at, Some(now + 2000));
    written(d.set("count", 1, expiring(Expiry::Never)).await);
    d.increment("count", 1).await.unwrap();
    assert_eq!(d.entry("count").await.attributes.expires_at, None, "a counter keeps what it has");
}
