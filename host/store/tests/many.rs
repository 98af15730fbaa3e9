//! More than one call takes: batches are split, pages and partial answers followed.

use dataknobs_kv::{DeleteResult, KvStore, SetResult, Value};
use futures::TryStreamExt;

async fn store() -> KvStore {
    KvStore::open("memory:").await.unwrap()
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("k.{i:05}")).collect()
}

#[tokio::test]
async fn batches_of_any_size() {
    let store = store().await;
    let keys = keys(2501);
    let written = store.set_many(keys.iter().enumerate().map(|(i, key)| (key, i as i64))).await.unwrap();
    assert_eq!(written.iter().filter(|one| matches!(one, Ok(SetResult::Written(_)))).count(), 2501);
    // Read in another order, with one that is absent and one that comes twice.
    let mut wanted: Vec<&str> = keys.iter().rev().map(String::as_str).collect();
    wanted.push("nothing");
    wanted.push(&keys[0]);
    let values = store.get_many(wanted).await.unwrap().all().unwrap();
    assert_eq!(values.len(), 2503);
    assert_eq!((&values[0], &values[2500]), (&Some(Value::Integer(2500)), &Some(Value::Integer(0))));
    assert_eq!((&values[2501], &values[2502]), (&None, &Some(Value::Integer(0))));

    let all: Vec<_> = store.entries("**").page_size(7).stream().map_ok(|entry| entry.key).try_collect().await.unwrap();
    assert_eq!(all, keys);
    assert_eq!(store.keys("k.*").await.unwrap(), keys);
    assert_eq!(store.count("k.?0*").await.unwrap(), 1000);
    assert_eq!(store.get_pattern("k.00001").await.unwrap().into_iter().next(), Some(("k.00001".into(), 1.into())));

    let deleted = store.delete_many(keys.iter().map(String::as_str).chain(["nothing"])).await.unwrap();
    assert_eq!(deleted.0.last(), Some(&Ok(DeleteResult::Absent)));
    assert_eq!(deleted.deleted().unwrap(), 2501);
}

#[tokio::test]
async fn large_values_come_in_parts() {
    let store = store().await;
    let value = |i: u8| vec![i; 1 << 20];
    let items = (0..40).map(|i| (format!("large.{i:02}"), value(i)));
    store.set_many(items).await.unwrap().all().unwrap();
    let values = store.get_many((0..40).map(|i| format!("large.{i:02}"))).await.unwrap().all().unwrap();
    assert!((0..40).all(|i| values[usize::from(i)] == Some(Value::Bytes(value(i)))));
    let listed = store.get_pattern("large.*").await.unwrap();
    assert!(listed.len() == 40 && listed["large.39"] == Value::Bytes(value(39)));
}

#[tokio::test]
async fn a_key_that_comes_twice_is_refused_however_far_apart() {
    let store = store().await;
    let mut twice = keys(1500);
    twice.push("k.00000".into());
    let error = store.set_many(twice.iter().map(|key| (key, 1))).await.unwrap_err();
    assert!(error.code() == "invalid-argument" && error.to_string().contains("k.00000"), "{error}");
    assert_eq!(store.count("**").await.unwrap(), 0, "nothing was written");
    assert_eq!(store.delete_many(twice).await.unwrap_err().code(), "invalid-argument");
}

#[tokio::test]
async fn one_bad_item_fails_alone() {
    let store = store().await;
    let results = store.set_many([("a", 1), ("bad..key", 2), ("c", 3)]).await.unwrap();
    assert!(results.0[0].is_ok() && results.0[2].is_ok());
    assert_eq!(results.0[1].as_ref().unwrap_err().code(), "invalid-argument");
    assert_eq!(results.all().unwrap_err().code(), "invalid-argument");
    assert_eq!(store.keys("**").await.unwrap(), ["a", "c"]);
}

#[tokio::test]
async fn everything_by_namespace() {
    let store = store().await;
    for (namespace, key) in [("b", "1"), ("a", "2"), ("a", "1"), ("a.b", "x")] {
        store.namespace(namespace).unwrap().set(key, key).await.unwrap();
    }
    let dump: Vec<_> = store.dump().try_collect().await.unwrap();
    let names: Vec<_> = dump.iter().map(|(namespace, entry)| (namespace.as_str(), entry.key.as_str())).collect();
    assert_eq!(names, [("a", "1"), ("a", "2"), ("a.b", "x"), ("b", "1")]);
    assert!(dump.iter().all(|(_, entry)| entry.state.as_ref().is_some_and(|state| state.value.is_some())));
    store.drop_namespace("a").await.unwrap();
    assert_eq!(store.namespaces().await.unwrap(), ["a.b", "b"]);
}

#[tokio::test]
async fn children_page_by_page() {
    let store = store().await;
    store.set_many((0..1500).map(|i| (format!("a.{i:04}.x"), 1))).await.unwrap().all().unwrap();
    let children = store.children(Some("a"), true).await.unwrap();
    assert_eq!(children.len(), 1500);
    assert!(children.iter().all(|child| child.below == Some(1) && !child.is_entry));
}

#[tokio::test]
async fn below_a_key_with_wildcards() {
    let store = store().await;
    let odd = r"a*b.[x]{y,z}\.?";
    let pattern = dataknobs_kv::below(odd);
    store.set(format!("{odd}.child"), 1).await.unwrap();
    store.set("aXb.x.child", 2).await.unwrap();
    assert_eq!(store.keys(&pattern).await.unwrap(), [format!("{odd}.child")]);
}
