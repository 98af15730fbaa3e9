//! One round trip a call, counted on the wire.

use std::sync::Arc;

use dataknobs_kv_core::storage::{Change, Hint, Mutation, Outcome, Range};
use dataknobs_kv_core::{Precondition, Projection, Storage};
use dataknobs_kv_storage::PostgresStorage;

use super::Place;
use super::common::*;
use super::proxy::Proxy;

crate::tests! { each_call_is_one, one_where_nothing_is_prepared }

/// Runs it until its statement is prepared, and says how many round trips it takes then.
async fn rounds<T>(proxy: &Proxy, call: impl AsyncFn() -> T) -> u64 {
    call().await;
    let before = proxy.rounds();
    call().await;
    proxy.rounds() - before
}

async fn put_get(storage: &PostgresStorage, key: &str) -> dataknobs_kv_core::Version {
    must_write(storage, put(key, b"v")).await
}

async fn each_call_is_one(place: Arc<Place>) {
    every_call(place, true).await;
}

/// As behind a pooler.
async fn one_where_nothing_is_prepared(place: Arc<Place>) {
    every_call(place, false).await;
}

async fn every_call(place: Arc<Place>, prepared: bool) {
    let proxy = Proxy::start(&place.config()).await;
    let mut config = proxy.config.clone();
    // One connection: what is prepared is prepared for it.
    (config.pool_size, config.prepared_statements) = (1, prepared);
    let storage = &PostgresStorage::open(config, true).await.unwrap();
    let keys: Vec<String> = (0..1000).map(|at| format!("k{at:04}")).collect();
    let write = async |mutations: Vec<Mutation>, atomic| {
        for outcome in storage.write(NS, mutations, atomic, 1, Projection::Value).await.unwrap() {
            outcome.unwrap();
        }
    };
    let puts = || keys.iter().map(|key| put(key, b"v")).collect::<Vec<_>>();
    assert_eq!(rounds(&proxy, async || write(puts(), false).await).await, 1, "set_many");
    assert_eq!(rounds(&proxy, async || write(puts(), true).await).await, 1, "set_many, atomic");
    assert_eq!(rounds(&proxy, async || storage.get(NS, "k0001", 1, true).await.unwrap()).await, 1, "get");
    assert_eq!(rounds(&proxy, async || storage.get(NS, "none", 1, false).await.unwrap()).await, 1, "get of nothing");
    let all = async || storage.get_many(NS, &keys, 1, true).await.unwrap();
    assert_eq!(rounds(&proxy, all).await, 1, "get_many");
    for want in [Projection::Key, Projection::Attributes, Projection::Value] {
        for limit in [10, 1000] {
            let page = async || {
                storage
                    .scan(NS, Range::default(), Hint { pattern: Some("k*".into()), metadata: None }, 1, limit, want)
                    .await
                    .unwrap()
            };
            assert_eq!(rounds(&proxy, page).await, 1, "a page of {limit}, {want:?}");
        }
    }
    assert_eq!(rounds(&proxy, async || storage.count(NS, Range::default(), 1).await.unwrap()).await, 1, "count");
    assert_eq!(rounds(&proxy, async || storage.namespaces(None, 100).await.unwrap()).await, 1, "namespaces");
    assert_eq!(rounds(&proxy, async || storage.reclaim(None, 1, 100).await.unwrap()).await, 1, "reclaim");
    assert_eq!(rounds(&proxy, async || put_get(storage, "a").await).await, 1, "set");
    let fresh = async || put_get(storage, &format!("new{}", rand::random::<u64>())).await;
    assert_eq!(rounds(&proxy, fresh).await, 1, "set of a new key");
    // A read, and the write that it prepares.
    let guarded = async |change: fn() -> Change| {
        let version = get(storage, "a", 1).await.unwrap().version;
        let mutation = Mutation { key: "a".into(), change: change(), precondition: Precondition::Version(version) };
        match write_one(storage, mutation, 1).await.unwrap() {
            Outcome::Written(_) | Outcome::Held => {}
            other => panic!("{other:?}"),
        }
    };
    let changes: [fn() -> Change; 4] =
        [|| put("a", b"w").change, || amend("a", r#"{"m":1}"#).change, || Change::Extend(5), || Change::Check];
    for change in changes {
        assert_eq!(rounds(&proxy, async || guarded(change).await).await, 2, "a read and a guarded write");
    }
    // A lost race carries the state in the way.
    let stale = dataknobs_kv_core::Version::from_random(1);
    let lost = async |mutation: Mutation| match write_one(storage, mutation, 1).await.unwrap() {
        Outcome::Conflict(Some(state)) => assert!(state.value.is_some()),
        other => panic!("{other:?}"),
    };
    assert_eq!(rounds(&proxy, async || lost(put("a", b"x").if_absent()).await).await, 1, "set, lost");
    assert_eq!(rounds(&proxy, async || lost(put("a", b"x").if_version(&stale)).await).await, 1, "swap, lost");
    assert_eq!(rounds(&proxy, async || lost(delete("a").if_version(&stale)).await).await, 1, "delete, lost");
    let mixed = async |atomic| {
        let check = Mutation { key: "none".into(), change: Change::Check, precondition: Precondition::Absent };
        write(vec![put("b", b"1"), delete("c"), check, put("d", b"1")], atomic).await;
    };
    assert_eq!(rounds(&proxy, async || mixed(false).await).await, 1, "a mixed batch");
    assert_eq!(rounds(&proxy, async || mixed(true).await).await, 1, "a transaction");
    assert_eq!(rounds(&proxy, async || write_one(storage, delete("a"), 1).await.unwrap()).await, 1, "delete");
    let deletes = async || write(keys.iter().map(|key| delete(key)).collect(), false).await;
    assert_eq!(rounds(&proxy, deletes).await, 1, "delete_many");
    assert_eq!(rounds(&proxy, async || storage.clear(NS, 1000).await.unwrap()).await, 1, "clear");
}
