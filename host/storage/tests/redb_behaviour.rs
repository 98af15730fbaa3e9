//! What only the redb adapter does: group commit, its tables, its bounds. The conformance suite does the rest.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::*;
use dataknobs_kv_core::storage::{Change, Hint, Outcome, Range};
use dataknobs_kv_core::{Projection, Storage};
use dataknobs_kv_storage::{Durability, RedbConfig, RedbStorage};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_guarded_writes_share_commits_and_none_is_lost() {
    const WRITERS: usize = 64;
    const ROUNDS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let storage = Arc::new(open(&path).await);
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let storage = storage.clone();
            tokio::spawn(async move {
                let mut conflicts = 0;
                for round in 0..ROUNDS {
                    // One key for all: each must build on the last.
                    let mut current = get(&*storage, "shared", 1).await;
                    loop {
                        let count: u64 = current.as_ref().map_or(0, |state| {
                            std::str::from_utf8(state.value.as_ref().unwrap()).unwrap().parse().unwrap()
                        });
                        let next = put("shared", (count + 1).to_string().as_bytes());
                        let next = match &current {
                            Some(state) => next.if_version(&state.version),
                            None => next.if_absent(),
                        };
                        let own = put(&format!("own.{writer}.{round}"), b"x").if_absent();
                        let outcomes = storage.write(NS, vec![next, own], true, 1, Projection::Value).await.unwrap();
                        match outcomes.into_iter().next().unwrap().unwrap() {
                            Outcome::Written(_) => break,
                            Outcome::Conflict(state) => {
                                conflicts += 1;
                                current = state;
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for task in tasks {
        conflicts += task.await.unwrap();
    }
    let writes = (WRITERS * ROUNDS) as u64;
    assert_eq!(value(&*storage, "shared").await.unwrap(), writes.to_string().as_bytes());
    assert_eq!(keys(&*storage, NS, 1, 1000).await.len() as u64, writes + 1);
    println!("{writes} guarded writes, {conflicts} lost races, {} commits", storage.commits());

    // Without a common key each is written at the first try, and the commits are few.
    let before = storage.commits();
    let tasks: Vec<_> = (0..writes)
        .map(|i| {
            let storage = storage.clone();
            tokio::spawn(async move { write_one(&*storage, put(&format!("free.{i}"), b"x").if_absent(), 1).await })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Ok(Outcome::Written(_))));
    }
    let commits = storage.commits() - before;
    println!("{writes} independent writes, {commits} commits");
    assert!(commits * 4 < writes, "{commits} commits for {writes} writes");
    drop(storage);
    assert_eq!(keys(&open(&path).await, NS, 1, 1000).await.len() as u64, 2 * writes + 1);
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("data.redb")).await;
    must_write(&storage, put("a", b"1")).await;
    let commits = storage.commits();
    assert!(matches!(write_one(&storage, put("a", b"2").if_absent(), 1).await, Ok(Outcome::Conflict(Some(_)))));
    assert!(matches!(write_one(&storage, delete("b"), 1).await, Ok(Outcome::Absent)));
    assert_eq!(storage.commits(), commits);
}

#[tokio::test]
async fn values_of_all_sizes_move_between_head_and_body() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let storage = open(&path).await;
    for size in [0, 1, 255, 256, 257, 5000, 16 << 20, 256, 0] {
        must_write(&storage, put("a", &vec![b'v'; size])).await;
        assert_eq!(value(&storage, "a").await.unwrap(), vec![b'v'; size], "{size}");
        must_write(&storage, amend("a", r#"{"m":1}"#)).await;
        let state = get(&storage, "a", 1).await.unwrap();
        assert_eq!(state.value.unwrap().len(), size);
        assert_eq!((state.attributes.size, state.attributes.metadata.as_deref()), (size as u64, Some(r#"{"m":1}"#)));
    }
    let error = write_one(&storage, put("a", &vec![0; (16 << 20) + 1]), 1).await.unwrap_err();
    assert_eq!(error.code(), "too-large");
    let error = write_one(&storage, amend("a", &"x".repeat((64 << 10) + 1)), 1).await.unwrap_err();
    assert_eq!(error.code(), "too-large");

    // One that is too large does not harm its neighbours, unless all hang together.
    for atomic in [false, true] {
        let batch = vec![put("b", b"1"), put("c", &vec![0; (16 << 20) + 1]), delete("nothing")];
        let mut results = storage.write(NS, batch, atomic, 1, Projection::Key).await.unwrap();
        assert_eq!(results.remove(1).unwrap_err().code(), "too-large");
        match atomic {
            false => assert!(matches!(results[..], [Ok(Outcome::Written(_)), Ok(Outcome::Absent)])),
            true => assert_eq!(results[..], [Ok(Outcome::NotApplied), Ok(Outcome::NotApplied)]),
        }
        assert_eq!(value(&storage, "b").await.is_some(), !atomic);
        write_one(&storage, delete("b"), 1).await.unwrap();
    }

    write_one(&storage, delete("a"), 1).await.unwrap();
    drop(storage);
    let left = rows(&path);
    assert_eq!((left.head, left.body, left.expiry), (0, 0, 0), "something was left behind");
}

#[tokio::test]
async fn expired_entries_leave_no_trace_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let storage = open(&path).await;
    for i in 0..30_u64 {
        let mutation = put_expiring(&format!("e.{i}"), &vec![b'x'; 300], 10, Some(100 + i));
        write_one(&storage, mutation, 10).await.unwrap();
        let other = put_expiring(&format!("o.{i}"), b"x", 10, Some(100 + i));
        storage.write("other", vec![other], false, 10, Projection::Key).await.unwrap();
    }
    // Renewed: its first expiry must mean nothing.
    write_one(&storage, put_expiring("e.0", b"x", 10, Some(1000)), 10).await.unwrap();
    let extend = dataknobs_kv_core::storage::Mutation {
        key: "e.1".into(),
        change: Change::Extend(2000),
        precondition: dataknobs_kv_core::Precondition::None,
    };
    assert!(matches!(write_one(&storage, extend, 10).await, Ok(Outcome::Held)));

    assert_eq!(storage.count(NS, Range::default(), 109).await.unwrap(), Some(22));
    assert_eq!(keys(&storage, NS, 109, 7).await.len(), 22);
    let reclaimed = storage.reclaim(Some(NS), 109, 5).await.unwrap();
    assert_eq!((reclaimed.count, reclaimed.more), (5, true));
    let reclaimed = storage.reclaim(Some(NS), 109, 5).await.unwrap();
    assert_eq!((reclaimed.count, reclaimed.more), (3, false));
    assert_eq!(storage.count("other", Range::default(), 0).await.unwrap(), Some(30));
    let reclaimed = storage.reclaim(None, 129, 10_000).await.unwrap();
    assert_eq!((reclaimed.count, reclaimed.more), (50, false));
    assert_eq!(keys(&storage, NS, 999, 7).await, ["e.0", "e.1"]);
    assert_eq!(storage.reclaim(None, u64::MAX, 10_000).await.unwrap().count, 2);
    drop(storage);
    let left = rows(&path);
    assert_eq!((left.head, left.body, left.expiry), (0, 0, 0), "something was left behind");
}

#[tokio::test]
async fn an_expired_entry_is_absent_to_writes() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("data.redb")).await;
    let Ok(Outcome::Written(version)) = write_one(&storage, put_expiring("a", b"1", 10, Some(100)), 10).await else {
        panic!()
    };
    assert!(get(&storage, "a", 99).await.is_some());
    assert!(get(&storage, "a", 100).await.is_none());
    let guarded = put_expiring("a", b"2", 100, None).if_version(&version);
    assert!(matches!(write_one(&storage, guarded, 100).await, Ok(Outcome::Conflict(None))));
    assert!(matches!(write_one(&storage, amend("a", "{}"), 100).await, Ok(Outcome::Absent)));
    let renewed = put_expiring("a", b"2", 100, None).if_absent();
    assert!(matches!(write_one(&storage, renewed, 100).await, Ok(Outcome::Written(_))));
    assert_eq!(get(&storage, "a", 100).await.unwrap().attributes.created_at, 100);
    write_one(&storage, put_expiring("a", b"3", 200, Some(300)), 200).await.unwrap();
    assert_eq!(get(&storage, "a", 200).await.unwrap().attributes.created_at, 100);
    assert!(matches!(write_one(&storage, delete("a"), 300).await, Ok(Outcome::Absent)));
    assert!(get(&storage, "a", 200).await.is_none(), "deleted, and alive again when the clock was set back");
}

#[tokio::test]
async fn namespaces_never_meet_and_are_cleared_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let storage = open(&path).await;
    let names = ["a", "a!", "a.b", "a*", "b", "é", "}", "{}", "default"];
    for name in names {
        for i in 0..10 {
            let mutation = put_expiring(&format!("c.{i}"), &vec![b'x'; i * 100], 1, Some(1000));
            storage.write(name, vec![mutation], false, 1, Projection::Key).await.unwrap();
        }
    }
    let sorted: BTreeSet<_> = names.into_iter().collect();
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = storage.namespaces(after.as_deref(), 2).await.unwrap();
        listed.extend(page.names);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(listed.iter().map(String::as_str).eq(sorted));
    assert!(storage.clear("a", 9).await.unwrap(), "one is left");
    while storage.clear("a", 9).await.unwrap() {}
    assert_eq!(keys(&storage, "a", 1, 100).await, [""; 0]);
    for name in &names[1..] {
        assert_eq!(keys(&storage, name, 1, 3).await.len(), 10, "{name}");
    }
    assert_eq!(storage.get("a\0b", "c", 1, true).await.unwrap_err().code(), "invalid-argument");
    for name in names {
        while storage.clear(name, 10_000).await.unwrap() {}
    }
    drop(storage);
    let left = rows(&path);
    assert_eq!((left.head, left.body, left.expiry), (0, 0, 0), "something was left behind");
}

#[tokio::test]
async fn pages_are_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("data.redb")).await;
    for i in 0..6 {
        must_write(&storage, put(&format!("big.{i}"), &vec![b'x'; 3 << 20])).await;
    }
    let all: Vec<_> = (0..6).map(|i| format!("big.{i}")).collect();
    let page = |after| {
        let range = Range { after, ..Range::default() };
        storage.scan(NS, range, Hint::default(), 1, 100, Projection::Value)
    };
    let first = page(None).await.unwrap();
    assert_eq!((first.items.len(), first.next.as_deref()), (2, Some("big.1")));
    let second = page(first.next).await.unwrap();
    assert_eq!((second.items.len(), second.next.as_deref()), (2, Some("big.3")));
    let third = page(second.next).await.unwrap();
    assert_eq!((third.items.len(), third.next), (2, None));
    assert_eq!(storage.get_many(NS, &all, 1, true).await.unwrap().len(), 2);
    assert_eq!(storage.get_many(NS, &all, 1, false).await.unwrap().len(), 6);
    let attributes = storage.scan(NS, Range::default(), Hint::default(), 1, 100, Projection::Attributes).await.unwrap();
    assert_eq!((attributes.items.len(), attributes.next), (6, None));

    // One that is larger than the bound comes alone.
    must_write(&storage, put("big.1", &vec![b'x'; 16 << 20])).await;
    assert_eq!(storage.get_many(NS, &all[..2], 1, true).await.unwrap().len(), 1);
    assert_eq!(storage.get_many(NS, &all[1..], 1, true).await.unwrap().len(), 1);
    assert_eq!(page(Some("big.0".into())).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_damaged_entry_stops_no_listing_of_keys_and_can_be_replaced_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let storage = open(&path).await;
    for key in ["a", "b", "c"] {
        must_write(&storage, put(key, &vec![b'x'; 1000])).await;
    }
    damage(storage, &path).await;
    let storage = open(&path).await;
    assert_eq!(keys(&storage, NS, 1, 2).await, ["a", "b", "c"]);
    assert_eq!(storage.count(NS, Range::default(), 1).await.unwrap(), Some(3));
    let error = storage.get(NS, "b", 1, true).await.unwrap_err();
    assert_eq!(error.code(), "corrupt");
    assert!(error.message().contains("`b`"), "{error}");
    let many = storage.get_many(NS, &["a".into(), "b".into(), "c".into()], 1, true).await.unwrap();
    assert!(matches!(many[..], [Ok(Some(_)), Err(_), Ok(Some(_))]));
    assert_eq!(write_one(&storage, amend("b", "{}"), 1).await.unwrap_err().code(), "corrupt");
    assert_eq!(write_one(&storage, put("b", b"").if_absent(), 1).await.unwrap_err().code(), "corrupt");
    must_write(&storage, put("b", b"new")).await;
    assert_eq!(value(&storage, "b").await.unwrap(), b"new");
    damage(storage, &path).await;
    let storage = open(&path).await;
    assert!(matches!(write_one(&storage, delete("b"), 1).await, Ok(Outcome::Deleted)));
    assert_eq!(keys(&storage, NS, 1, 2).await, ["a", "c"]);
}

/// Overwrites the head of `b`.
async fn damage(storage: RedbStorage, path: &std::path::Path) {
    drop(storage);
    let database = redb::Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(HEAD).unwrap().insert(b"default\0b".as_slice(), [0xff; 3].as_slice()).unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_dropped_store_finishes_what_was_asked_and_relaxed_writes_reach_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let config = RedbConfig::new(&path).durability(Durability::Relaxed);
    let storage = RedbStorage::open(config, true).await.unwrap();
    assert!(!storage.capabilities().durable);
    for i in 0..100 {
        must_write(&storage, put(&format!("k.{i}"), b"v")).await;
    }
    // Asked for, and the answer never read.
    {
        let asked = write_one(&storage, put("last", b"v"), 1);
        tokio::pin!(asked);
        assert!(futures_poll_once(asked.as_mut()).await.is_none());
    }
    drop(storage);
    let storage = open(&path).await;
    assert!(storage.capabilities().durable);
    assert!(keys(&storage, NS, 1, 1000).await.len() >= 100);
}

async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

const HEAD: redb::TableDefinition<&[u8], &[u8]> = redb::TableDefinition::new("head");

struct Rows {
    head: u64,
    body: u64,
    expiry: u64,
}

/// How many rows each table has.
fn rows(path: &std::path::Path) -> Rows {
    use redb::{ReadableDatabase, ReadableTableMetadata, TableDefinition};
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_read().unwrap();
    Rows {
        head: transaction.open_table(HEAD).unwrap().len().unwrap(),
        body: transaction.open_table(TableDefinition::<&[u8], &[u8]>::new("body")).unwrap().len().unwrap(),
        expiry: transaction.open_table(TableDefinition::<&[u8], ()>::new("expiry")).unwrap().len().unwrap(),
    }
}
