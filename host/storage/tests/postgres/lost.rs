//! Connections that break, and servers that say nothing more: the truth, or `outcome-unknown`, within the deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dataknobs_kv_core::storage::{Change, Mutation, Outcome};
use dataknobs_kv_core::{Precondition, Projection, Storage};
use dataknobs_kv_storage::PostgresStorage;

use super::common::*;
use super::proxy::{Fault, Proxy};
use super::{Place, count};

crate::tests! {
    reads_go_on, a_lost_answer_of_a_put_is_found_out, a_lost_request_of_a_put_stays_unknown,
    a_lost_answer_of_a_batch_is_found_out, a_lost_answer_of_a_delete_stays_unknown, a_guarded_write_is_never_a_conflict_with_itself,
    nothing_hangs, a_dropped_call_leaves_its_connection_behind,
}

async fn behind(place: &Place) -> (Proxy, PostgresStorage) {
    let proxy = Proxy::start(&place.config()).await;
    let mut config = proxy.config.clone();
    config.timeout = Duration::from_secs(5);
    let storage = PostgresStorage::open(config, true).await.unwrap();
    must_write(&storage, put("there", b"v")).await;
    (proxy, storage)
}

async fn reads_go_on(place: Arc<Place>) {
    let (proxy, storage) = behind(&place).await;
    for fault in [Fault::CutRequest, Fault::CutAnswer] {
        proxy.set(fault);
        assert_eq!(value(&storage, "there").await.as_deref(), Some(b"v".as_slice()));
        assert!(proxy.clear(), "{fault:?} came");
    }
    proxy.set(Fault::CutAnswer);
    assert_eq!(keys(&storage, NS, 1, 10).await, ["there"]);
    assert!(proxy.clear());
}

async fn a_lost_answer_of_a_put_is_found_out(place: Arc<Place>) {
    let (proxy, storage) = behind(&place).await;
    for mutation in [put("a", b"1"), put("b", b"1").if_absent(), amend("there", r#"{"m":1}"#)] {
        let key = mutation.key.clone();
        // Prepared by one that changes another key: the fault shall hit the write, not its preparation.
        warm(&storage, &mutation).await;
        proxy.set(Fault::CutAnswer);
        let outcome = write_one(&storage, mutation, 1).await;
        assert!(proxy.clear());
        let there = get(&storage, &key, 1).await.unwrap().version;
        assert_eq!(outcome, Ok(Outcome::Written(there)), "{key}");
    }
}

async fn warm(storage: &PostgresStorage, mutation: &Mutation) {
    must_write(storage, put("warm", b"v")).await;
    if mutation.precondition == Precondition::Absent {
        write_one(storage, delete("warm"), 1).await.unwrap().clone_into(&mut Outcome::Held);
    }
    let mut other = mutation.clone();
    other.key = "warm".into();
    write_one(storage, other, 1).await.unwrap();
}

async fn a_lost_request_of_a_put_stays_unknown(place: Arc<Place>) {
    let (proxy, storage) = behind(&place).await;
    must_write(&storage, put("warm", b"v")).await;
    proxy.set(Fault::CutRequest);
    let error = write_one(&storage, put("a", b"1"), 1).await.unwrap_err();
    assert_eq!(error.code(), "outcome-unknown", "{error}");
    assert_eq!(get(&storage, "a", 1).await, None);
    must_write(&storage, put("a", b"1")).await;
}

async fn a_lost_answer_of_a_batch_is_found_out(place: Arc<Place>) {
    let (proxy, storage) = behind(&place).await;
    let batch = |round: usize, mixed: bool| -> Vec<Mutation> {
        let mut batch: Vec<_> = (0..10).map(|at| put(&format!("{round}-{at}"), b"v")).collect();
        if mixed {
            batch.push(delete("gone"));
            batch.push(put("there", b"w").if_absent());
        }
        batch
    };
    for (round, (mixed, atomic)) in [(false, false), (false, true), (true, false)].into_iter().enumerate() {
        storage.write(NS, batch(100 + round, mixed), atomic, 1, Projection::Value).await.unwrap();
        proxy.set(Fault::CutAnswer);
        let results = storage.write(NS, batch(round, mixed), atomic, 1, Projection::Value).await.unwrap();
        assert!(proxy.clear());
        for (at, result) in results.iter().enumerate().take(10) {
            let there = get(&storage, &format!("{round}-{at}"), 1).await.unwrap().version;
            assert_eq!(result, &Ok(Outcome::Written(there)));
        }
        // What a version does not prove stays unknown.
        for result in &results[10..] {
            assert_eq!(result.as_ref().unwrap_err().code(), "outcome-unknown");
        }
    }
}

async fn a_lost_answer_of_a_delete_stays_unknown(place: Arc<Place>) {
    let (proxy, storage) = behind(&place).await;
    write_one(&storage, delete("warm"), 1).await.unwrap();
    proxy.set(Fault::CutAnswer);
    let error = write_one(&storage, delete("there"), 1).await.unwrap_err();
    assert_eq!(error.code(), "outcome-unknown", "{error}");
    assert_eq!(get(&storage, "there", 1).await, None);
}

async fn a_guarded_write_is_never_a_conflict_with_itself(place: Arc<Place>) {
    let (proxy, storage) = behind(&place).await;
    let mut version = must_write(&storage, put("a", b"0")).await;
    for round in 0..20 {
        if round > 0 {
            proxy.set(Fault::CutAnswer);
        }
        let outcome = write_one(&storage, put("a", &[round]).if_version(&version), 1).await;
        match outcome {
            Ok(Outcome::Written(new)) => version = new,
            // The cut hit a statement that was just being prepared on a new connection: then it was tried again.
            other => panic!("{other:?}"),
        }
        assert_eq!(value(&storage, "a").await, Some(vec![round]));
    }
}

async fn nothing_hangs(place: Arc<Place>) {
    let (proxy, storage) = behind(&place).await;
    let mut config = proxy.config.clone();
    (config.timeout, config.pool_size) = (Duration::from_millis(700), 2);
    let storage_short = PostgresStorage::open(config.clone(), true).await.unwrap();
    // Two connections, with all prepared on both.
    futures::join!(must_write(&storage_short, put("warm", b"v")), must_write(&storage_short, put("warmer", b"v")));
    futures::join!(get(&storage_short, "there", 1), get(&storage_short, "there", 1));
    proxy.set(Fault::Stall);
    let begun = Instant::now();
    let read = storage_short.get(NS, "there", 1, true);
    let write = write_one(&storage_short, put("a", b"1"), 1);
    let (read, write) = futures::join!(read, write);
    assert_eq!(read.unwrap_err().code(), "unavailable");
    assert_eq!(write.unwrap_err().code(), "outcome-unknown");
    // No one may be left waiting; how much longer it took is the machine's affair.
    assert!(begun.elapsed() < Duration::from_secs(30));
    proxy.set(Fault::None);
    // Both connections were given up, new ones come by themselves.
    assert!(get(&storage_short, "there", 1).await.is_some());
    assert_eq!(value(&storage_short, "a").await, Some(vec![b'1']), "the server had done it");
    proxy.set(Fault::Silent);
    config.connect_timeout = Duration::from_millis(300);
    let error = PostgresStorage::open(config, true).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error}");
    proxy.set(Fault::None);
    drop(storage);
}

async fn a_dropped_call_leaves_its_connection_behind(place: Arc<Place>) {
    let (proxy, _) = behind(&place).await;
    let mut config = proxy.config.clone();
    config.pool_size = 1;
    let storage = PostgresStorage::open(config, true).await.unwrap();
    for at in 0..50 {
        let call = write_one(&storage, put(&format!("dropped{at:02}"), b"v"), 1);
        // Polled once, which sends it, and dropped.
        let mut call = Box::pin(call);
        let _ = futures::poll!(&mut call);
        drop(call);
        // The only connection must not have been handed on with an answer still to come.
        assert_eq!(value(&storage, "there").await.as_deref(), Some(b"v".as_slice()));
    }
    let one = Mutation { key: "there".into(), change: Change::Delete, precondition: Precondition::None };
    assert_eq!(write_one(&storage, one, 1).await, Ok(Outcome::Deleted));
    // Each was applied whole or not at all.
    assert!(count(&storage).await <= 50);
}
