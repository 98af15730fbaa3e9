//! The handle: shared by tasks, over any store, with values of all types.

use std::sync::Arc;

use dataknobs_kv::{
    ChangeResult, Config, DeleteResult, Expected, KvStore, Numeric, Projection, SetResult, SwapResult,
    TransactionResult, Value, json,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_share_it() {
    let store = KvStore::open("memory:").await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    store.increment("n", 1).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.get("n").await.unwrap(), Some(400.into()));
}

#[tokio::test]
async fn a_file_keeps_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}", folder.path().join("data.redb").display());
    let store = KvStore::open(&url).await.unwrap();
    store.set("a", "x").await.unwrap();
    assert!(store.capabilities().await.unwrap().durable);
    store.close().await;
    let store = KvStore::open(&url).await.unwrap();
    assert_eq!(store.get_as::<String>("a").await.unwrap().as_deref(), Some("x"));
}

#[tokio::test]
async fn over_a_storage_of_ones_own() {
    let random = std::sync::atomic::AtomicU64::new(1);
    let next = move || random.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into();
    let storage = Arc::new(dataknobs_kv::MemoryStorage::new(next));
    let first = KvStore::open_with(Config::from_storage(storage.clone())).await.unwrap();
    let second = KvStore::open_with(Config::from_storage(storage)).await.unwrap();
    first.set("a", 1).await.unwrap();
    assert_eq!(second.get("a").await.unwrap(), Some(1.into()));
}

#[tokio::test]
async fn rust_types_and_what_does_not_fit() {
    let store = KvStore::open("memory:").await.unwrap();
    store.set("n", 300).await.unwrap();
    assert_eq!(store.get_as::<u16>("n").await.unwrap(), Some(300));
    assert_eq!(store.get_as::<u8>("n").await.unwrap_err().code(), "type-mismatch");
    assert_eq!(store.get_as::<String>("n").await.unwrap_err().to_string(), "type-mismatch: n holds integer, not text");
    assert_eq!(store.get_as::<Value>("n").await.unwrap(), Some(300.into()));
    assert_eq!(store.get_as::<bool>("nothing").await.unwrap(), None);
    store.set_json("j", "text").await.unwrap();
    assert_eq!(store.get_as::<String>("j").await.unwrap().as_deref(), Some("text"));
    assert_eq!(store.get_json::<Vec<u8>>("j").await.unwrap_err().code(), "type-mismatch");
    store.set("bytes", b"\0").await.unwrap();
    assert_eq!(store.get_json::<String>("bytes").await.unwrap_err().code(), "type-mismatch");
    assert_eq!(store.get_as::<Vec<u8>>("bytes").await.unwrap(), Some(vec![0]));
    store.set("null", ()).await.unwrap();
    assert_eq!(store.get_as::<()>("null").await.unwrap(), Some(()));
    assert!(store.get_custom::<u64>("n").await.unwrap_err().to_string().contains("no serializer"));
}

#[tokio::test]
async fn guards() {
    let store = KvStore::open("memory:").await.unwrap();
    let SetResult::Written(first) = store.set("k", 1).if_absent().await.unwrap() else { panic!() };
    let SetResult::Written(second) = store.set("k", 2).if_version(first.clone()).await.unwrap() else { panic!() };
    let SetResult::Conflict(Some(state)) =
        store.set("k", 3).if_version(first.clone()).on_conflict(Projection::Value).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((&state.version, state.decode().unwrap()), (&second, Some(2.into())));
    assert_eq!(store.set("k", 3).if_absent().await.unwrap(), SetResult::Conflict(None));
    let change = store.set_metadata("k", json!({"a": 1})).if_version(first.clone()).await.unwrap();
    assert!(matches!(change, ChangeResult::Conflict(_)));
    assert!(matches!(store.delete("k").if_version(first).await.unwrap(), DeleteResult::Conflict(None)));
    assert_eq!(store.delete("k").if_version(second).await.unwrap(), DeleteResult::Deleted);
    assert_eq!(store.replace_metadata("k", json!({})).await.unwrap(), ChangeResult::Absent);
}

#[tokio::test]
async fn swaps_and_transactions() {
    let store = KvStore::open("memory:").await.unwrap();
    assert!(matches!(store.compare_and_swap("k", 1, 2).await.unwrap(), SwapResult::Different(None)));
    assert!(matches!(
        store.compare_and_swap("k", Expected::Absent, ()).metadata(json!({"m": 1})).await.unwrap(),
        SwapResult::Swapped(_)
    ));
    // Null is a value, not absence.
    assert!(matches!(store.compare_and_swap("k", Expected::Absent, 1).await.unwrap(), SwapResult::Different(Some(_))));
    let SwapResult::Swapped(version) = store.compare_and_swap("k", (), 1.5).await.unwrap() else { panic!() };
    assert_eq!(store.increment("k", 0.5).await.unwrap().value, Numeric::Number(2.0));

    let transaction = store.transact().check_version("k", version).set("a", 1).delete("k");
    let TransactionResult::Failed(failure) = transaction.await.unwrap() else { panic!() };
    assert!(failure.in_checks && failure.index == 0 && !store.exists("a").await.unwrap());
    let item = store.set("a", 1).ttl(std::time::Duration::from_secs(60)).into_item();
    let done = store.transact().check_absent("a").set_item(item).delete("k").await.unwrap();
    let TransactionResult::Committed(versions) = done else { panic!() };
    assert!(versions[0].is_some() && versions[1].is_none());
    let bad = store.transact().set_item(store.set("a", 1).ttl(std::time::Duration::MAX).into_item());
    assert_eq!(bad.await.unwrap_err().code(), "invalid-argument");
}

#[tokio::test]
async fn bad_namespaces() {
    let store = KvStore::open("memory:").await.unwrap();
    assert_eq!(store.namespace("").unwrap_err().code(), "invalid-argument");
    assert_eq!(store.namespace(&"x".repeat(65)).unwrap_err().code(), "invalid-argument");
    assert_eq!(KvStore::over(store.store().clone(), "\n").unwrap_err().code(), "invalid-argument");
}
