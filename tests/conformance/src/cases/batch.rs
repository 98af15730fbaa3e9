//! Many items in one call.

use dataknobs_kv_core::store::{DeleteResult, Expiry, Item, Query, SetOptions, SetResult};
use dataknobs_kv_core::{Precondition, Projection, Value, Version};

use crate::Harness;
use crate::harness::{assert_value, expiring, item, refused, with_metadata, written};

cases! {
    "batch";
    set_many_in_order: [B1] [Batches];
    get_many_in_order: [B1, D13] [Batches];
    get_many_without_values: [B1] [Batches];
    delete_many_in_order: [B1] [Batches];
    nothing_is_fine: [B3] [Batches];
    a_thousand: [B3, Z1] [Batches];
    more_than_a_thousand: [B3, Z1, E4] [Batches];
    twice_in_a_write: [B4, E4] [Batches];
    twice_in_a_read: [B4] [Batches];
    each_stands_for_itself: [B2, C6] [Batches, Conflicts];
    each_fails_for_itself: [B2, E4] [Batches, RawInput];
    each_with_its_options: [B1, M1, T4] [Batches, AllTypes];
    large_values_come_in_parts: [B5, Z2] [Batches];
    largest_values_come_one_by_one: [B5, Z2, V8] [Batches, BoundedValues];
    versions_of_a_batch_differ: [B1, C1, C2] [Batches];
    a_bad_namespace_refuses_the_whole: [N1, B2] [Batches];
    every_type_in_one_call: [B1, V1] [Batches, AllTypes];
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("k.{at:04}")).collect()
}

async fn set_many_in_order(h: Harness) {
    let items = [
        ("config.ssl", Value::Boolean(true)),
        ("config.host", "localhost".into()),
        ("config.port", 8080.into()),
        ("a", 1.5.into()),
    ];
    let results =
        h.store.set_many(&h.namespace, items.iter().map(|(k, v)| item(k, v.clone())).collect()).await.unwrap();
    assert_eq!(results.len(), 4);
    for ((key, value), result) in items.iter().zip(results) {
        let state = h.entry(key).await;
        assert_eq!(state.version, written(result), "{key}");
        assert_value(state.into_value().unwrap().as_ref(), value, key);
    }
}

async fn get_many_in_order(h: Harness) {
    h.put_keys(&["c", "a", "b", "e"]).await;
    let wanted: Vec<String> = ["b", "nothing", "c", "a", "d", "e"].map(String::from).into();
    let results = h.store.get_many(&h.namespace, &wanted, true).await.unwrap();
    assert_eq!(results.len(), 6);
    for (key, result) in wanted.iter().zip(results) {
        let state = result.unwrap();
        if ["nothing", "d"].contains(&key.as_str()) {
            assert_eq!(state, None, "{key}");
        } else {
            let single = h.entry(key).await;
            assert_eq!(state.as_ref(), Some(&single), "{key}");
            assert_value(single.into_value().unwrap().as_ref(), &key.into(), key);
        }
    }
}

async fn get_many_without_values(h: Harness) {
    written(h.set("a", "value", with_metadata("{\"m\":1}")).await);
    let results = h.store.get_many(&h.namespace, &["a".into(), "b".into()], false).await.unwrap();
    let state = results[0].clone().unwrap().expect("there");
    assert_eq!((state.value, state.attributes.size), (None, 5));
    assert_eq!(state.attributes.metadata.as_deref(), Some("{\"m\":1}"));
    assert_eq!(results[1], Ok(None));
}

async fn delete_many_in_order(h: Harness) {
    h.put_keys(&["temp.1", "temp.2", "cache.old", "stays"]).await;
    let wanted: Vec<String> = ["temp.2", "nothing", "cache.old", "temp.1"].map(String::from).into();
    let results = h.store.delete_many(&h.namespace, &wanted).await.unwrap();
    use DeleteResult::{Absent, Deleted};
    assert_eq!(results, [Ok(Deleted), Ok(Absent), Ok(Deleted), Ok(Deleted)]);
    assert_eq!(h.keys("**").await, ["stays"]);
}

async fn nothing_is_fine(h: Harness) {
    assert_eq!(h.store.set_many(&h.namespace, vec![]).await.unwrap(), []);
    assert_eq!(h.store.get_many(&h.namespace, &[], true).await.unwrap(), []);
    assert_eq!(h.store.delete_many(&h.namespace, &[]).await.unwrap(), []);
}

async fn a_thousand(h: Harness) {
    let keys = keys(1000);
    let items = keys.iter().enumerate().map(|(at, key)| item(key, at as i64)).collect();
    let results = h.store.set_many(&h.namespace, items).await.unwrap();
    assert_eq!(results.len(), 1000);
    results.into_iter().for_each(|result| drop(written(result)));
    let read = h.store.get_many(&h.namespace, &keys, true).await.unwrap();
    assert_eq!(read.len(), 1000);
    for (at, result) in read.into_iter().enumerate() {
        let value = result.unwrap().expect("there").into_value().unwrap();
        assert_value(value.as_ref(), &Value::Integer(at as i64), "in order");
    }
    let gone = h.store.delete_many(&h.namespace, &keys).await.unwrap();
    assert!(gone.len() == 1000 && gone.iter().all(|result| *result == Ok(DeleteResult::Deleted)));
}

async fn more_than_a_thousand(h: Harness) {
    let keys = keys(1001);
    let items = keys.iter().map(|key| item(key, 1)).collect();
    refused(h.store.set_many(&h.namespace, items).await, "too-large");
    refused(h.store.get_many(&h.namespace, &keys, true).await, "too-large");
    refused(h.store.delete_many(&h.namespace, &keys).await, "too-large");
    assert!(h.keys("**").await.is_empty());
}

async fn twice_in_a_write(h: Harness) {
    h.put("a", "old").await;
    let items = vec![item("a", 1), item("b", 2), item("a", 3)];
    refused(h.store.set_many(&h.namespace, items).await, "invalid-argument");
    let wanted: Vec<String> = ["a", "b", "a"].map(String::from).into();
    refused(h.store.delete_many(&h.namespace, &wanted).await, "invalid-argument");
    h.expect("a", "old").await;
    assert_eq!(h.keys("**").await, ["a"]);
}

async fn twice_in_a_read(h: Harness) {
    h.put("a", 1).await;
    let wanted: Vec<String> = ["a", "b", "a", "a"].map(String::from).into();
    let results = h.store.get_many(&h.namespace, &wanted, true).await.unwrap();
    let there: Vec<bool> = results.into_iter().map(|result| result.unwrap().is_some()).collect();
    assert_eq!(there, [true, false, true, true]);
}

fn guarded(key: &str, precondition: Precondition) -> Item {
    let options = SetOptions { precondition, on_conflict: Projection::Value, ..SetOptions::default() };
    Item { key: key.into(), value: "new".into(), options }
}

async fn each_stands_for_itself(h: Harness) {
    let stale = h.put("stale", "old").await;
    let current = h.put("stale", "there").await;
    let fresh = h.put("fresh", "old").await;
    h.put("present", "there").await;
    let items = vec![
        guarded("stale", Precondition::Version(stale)),
        guarded("fresh", Precondition::Version(fresh)),
        guarded("present", Precondition::Absent),
        guarded("absent", Precondition::Absent),
        guarded("nothing", Precondition::Version(Version::from_random(1))),
        guarded("plain", Precondition::None),
    ];
    let results = h.store.set_many(&h.namespace, items).await.unwrap();
    let Ok(SetResult::Conflict(Some(state))) = &results[0] else { panic!("{:?}", results[0]) };
    assert_eq!(state.version, current);
    assert_value(state.decode().unwrap().as_ref(), &"there".into(), "in the conflict");
    assert!(matches!(results[1], Ok(SetResult::Written(_))));
    assert!(matches!(&results[2], Ok(SetResult::Conflict(Some(_)))), "{:?}", results[2]);
    assert!(matches!(results[3], Ok(SetResult::Written(_))));
    assert!(matches!(results[4], Ok(SetResult::Conflict(None))), "{:?}", results[4]);
    assert!(matches!(results[5], Ok(SetResult::Written(_))));
    for (key, value) in
        [("stale", "there"), ("fresh", "new"), ("present", "there"), ("absent", "new"), ("plain", "new")]
    {
        h.expect(key, value).await;
    }
    h.expect_absent("nothing").await;
}

async fn each_fails_for_itself(h: Harness) {
    let long = "x".repeat(513);
    let items = vec![
        item("good.1", 1),
        item("", 2),
        item(&long, 3),
        item("number", f64::NAN),
        item("json", Value::Json("{".into())),
        Item { key: "meta".into(), value: 1.into(), options: with_metadata("[]") },
        Item { key: "expiry".into(), value: 1.into(), options: expiring(Expiry::After(0)) },
        item("custom", Value::Custom { type_name: "\n".into(), bytes: vec![] }),
        item("good.2", 9),
    ];
    let count = items.len();
    let results = h.store.set_many(&h.namespace, items).await.expect("the others are done");
    assert_eq!(results.len(), count);
    for (at, result) in results.into_iter().enumerate() {
        if at == 0 || at == count - 1 {
            written(result);
        } else {
            refused(result, "invalid-argument");
        }
    }
    assert_eq!(h.keys("**").await, ["good.1", "good.2"]);
}

async fn each_with_its_options(h: Harness) {
    let now = h.clock.now();
    let full =
        SetOptions { expiry: Expiry::After(10), content_type: Some("text/plain".into()), ..with_metadata("{\"m\":1}") };
    let items = vec![
        Item { key: "full".into(), value: "x".into(), options: full },
        item("plain", "y"),
        Item { key: "at".into(), value: "z".into(), options: expiring(Expiry::At(now + 7)) },
    ];
    for result in h.store.set_many(&h.namespace, items).await.unwrap() {
        written(result);
    }
    let of = async |key: &str| {
        let attributes = h.entry(key).await.attributes;
        (attributes.expires_at, attributes.content_type, attributes.metadata)
    };
    assert_eq!(of("full").await, (Some(now + 10), Some("text/plain".into()), Some("{\"m\":1}".into())));
    assert_eq!(of("plain").await, (None, None, None));
    assert_eq!(of("at").await, (Some(now + 7), None, None));
}

async fn large_values_come_in_parts(h: Harness) {
    let keys: Vec<String> = keys(20);
    for (at, key) in keys.iter().enumerate() {
        h.put(key, vec![at as u8; 1 << 20]).await;
    }
    let (mut at, mut calls) = (0, 0);
    while at < keys.len() {
        let results = h.store.get_many(&h.namespace, &keys[at..], true).await.unwrap();
        assert!(!results.is_empty() && results.len() <= keys.len() - at, "{} results", results.len());
        for result in results {
            let value = result.unwrap().expect("there").value.expect("asked for");
            assert!(value.len() == 1 << 20 && value.iter().all(|byte| *byte == at as u8), "entry {at}");
            at += 1;
        }
        calls += 1;
    }
    assert!(calls <= 20);
    assert_eq!(h.store.get_many(&h.namespace, &keys, false).await.unwrap().len(), 20);
}

async fn largest_values_come_one_by_one(h: Harness) {
    let size = usize::try_from(h.capabilities.max_value_bytes).expect("a size that fits");
    let keys = keys(3);
    for (at, key) in keys.iter().enumerate() {
        h.put(key, vec![at as u8; size]).await;
    }
    let mut at = 0;
    while at < keys.len() {
        let results = h.store.get_many(&h.namespace, &keys[at..], true).await.unwrap();
        assert!(!results.is_empty(), "at least one");
        for result in results {
            let value = result.unwrap().expect("there").value.expect("asked for");
            assert!(value.len() == size && value[size - 1] == at as u8, "entry {at}");
            at += 1;
        }
    }
    let (mut seen, mut cursor) = (0, None);
    loop {
        let query = Query::pattern("**");
        let page = h.store.list_entries(&h.namespace, &query, cursor.as_deref(), 100, Projection::Value).await.unwrap();
        seen += page.entries.len();
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, 3);
}

async fn versions_of_a_batch_differ(h: Harness) {
    let items = keys(100).iter().map(|key| item(key, "same")).collect();
    let results = h.store.set_many(&h.namespace, items).await.unwrap();
    let versions: std::collections::HashSet<Version> = results.into_iter().map(written).collect();
    assert_eq!(versions.len(), 100);
}

async fn a_bad_namespace_refuses_the_whole(h: Harness) {
    let bad = "n".repeat(65);
    refused(h.store.set_many(&bad, vec![item("a", 1)]).await, "invalid-argument");
    refused(h.store.get_many(&bad, &["a".into()], true).await, "invalid-argument");
    refused(h.store.delete_many(&bad, &["a".into()]).await, "invalid-argument");
}

async fn every_type_in_one_call(h: Harness) {
    let values = [
        Value::from("te\0xt"),
        Value::from(b"\xff\x00"),
        Value::Integer(i64::MIN),
        Value::Number(-0.0),
        Value::Boolean(false),
        Value::Null,
        Value::Json(" {\"b\":1, \"a\":2} ".into()),
        Value::Custom { type_name: "a b".into(), bytes: vec![0, 255] },
        Value::from(""),
    ];
    let items = values.iter().enumerate().map(|(at, value)| item(&format!("k{at}"), value.clone())).collect();
    h.put_all(items).await;
    let wanted: Vec<String> = (0..values.len()).map(|at| format!("k{at}")).collect();
    let results = h.store.get_many(&h.namespace, &wanted, true).await.unwrap();
    assert_eq!(results.len(), values.len());
    for (value, result) in values.iter().zip(results) {
        assert_value(result.unwrap().expect("there").into_value().unwrap().as_ref(), value, "in a batch");
    }
}
