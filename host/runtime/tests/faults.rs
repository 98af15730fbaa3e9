//! What a storage does wrong, or a caller gives up, ends as an error of that one call; the others go on.

mod probe;

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use dataknobs_kv_core::{Error, Storage, Store, Value, store::SetResult};
use dataknobs_kv_runtime::{ComponentStore, ManualClock, Runtime, RuntimeConfig};
use probe::{Probe, config, item, start};

async fn works(store: &ComponentStore) {
    assert!(matches!(store.set("n", item("fine", "value")).await, Ok(SetResult::Written(_))));
    let state = store.get("n", "fine").await.unwrap().unwrap();
    assert_eq!(state.into_value().unwrap(), Some(Value::Text("value".into())));
}

#[tokio::test]
async fn a_panicking_adapter_is_an_error_of_that_call() {
    let (runtime, _probe, store) = start(config());
    for _ in 0..10 {
        assert!(matches!(store.get("n", "panic.1").await, Err(Error::Internal(_))));
        assert!(matches!(store.set("n", item("panic-write.1", "value")).await, Err(Error::Internal(_))));
    }
    works(&store).await;
    // The guest itself did nothing wrong.
    assert_eq!(runtime.idle_instances(), 1);
}

#[tokio::test]
async fn an_adapters_errors_arrive_as_they_are() {
    let (_runtime, _probe, store) = start(config());
    let denied = Error::AccessDenied("this adapter refuses".into());
    assert_eq!(store.get("n", "refuse.1").await, Err(denied.clone()));
    assert_eq!(store.set("n", item("refuse-write.1", "value")).await, Err(denied));
    works(&store).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline() {
    let (runtime, probe, store) = start(config());
    // Nothing was written: that is sure.
    assert!(matches!(store.get("n", "stall.1").await, Err(Error::Unavailable(_))));
    assert!(matches!(store.increment("n", "stall.1", one(), Default::default()).await, Err(Error::Unavailable(_))));
    // A write had begun, or was made: nobody knows.
    for key in ["stall-write.1", "stall-after-write.1"] {
        assert!(matches!(store.set("n", item(key, "value")).await, Err(Error::OutcomeUnknown(_))));
    }
    assert_eq!(runtime.idle_instances(), 0);
    assert_eq!(probe.stalled.load(SeqCst), 0);
    works(&store).await;
    assert_eq!(runtime.idle_instances(), 1);
}

fn one() -> dataknobs_kv_core::store::Numeric {
    dataknobs_kv_core::store::Numeric::Integer(1)
}

#[tokio::test]
async fn a_cancelled_call_is_gone_and_the_others_go_on() {
    let (runtime, probe, store) = start(config());
    for key in ["stall.1", "stall-write.1"] {
        let stalled = tokio::spawn({
            let store = store.clone();
            async move { store.set("n", item(key, "value")).await.and(store.get("n", key).await) }
        });
        probe.stalls.notified().await;
        works(&store).await;
        assert_eq!(probe.stalled.load(SeqCst), 1);
        let idle = runtime.idle_instances();
        stalled.abort();
        assert!(stalled.await.unwrap_err().is_cancelled());
        assert_eq!(probe.stalled.load(SeqCst), 0);
        assert_eq!(runtime.idle_instances(), idle);
        works(&store).await;
    }
}

#[tokio::test]
async fn who_is_cancelled_leaves_the_queue_of_its_key() {
    let (_runtime, probe, store) = start(config());
    let call = |store: &ComponentStore, key: &'static str| {
        let store = store.clone();
        tokio::spawn(async move { store.increment("n", key, one(), Default::default()).await })
    };
    let first = call(&store, "stall.1");
    probe.stalls.notified().await;
    let second = call(&store, "stall.1");
    tokio::task::yield_now().await;
    // The second waits for its turn, and has not reached the storage.
    assert_eq!(probe.stalled.load(SeqCst), 1);
    first.abort();
    probe.stalls.notified().await;
    assert_eq!(probe.stalled.load(SeqCst), 1);
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    assert_eq!(probe.stalled.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_are_turned_away() {
    let (_runtime, probe, store) = start(RuntimeConfig { instances: 1, waiting: 1, ..config() });
    let call = |key: &'static str| {
        let store = store.clone();
        tokio::spawn(async move { store.get("n", key).await })
    };
    let running = call("stall.1");
    probe.stalls.notified().await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let waiting = call("fine");
    tokio::task::yield_now().await;
    assert_eq!(store.get("n", "fine").await, Err(Error::RateLimited(None)));
    // The first ends at its deadline, and with it the waiting of the second, which has a second left.
    assert!(matches!(running.await.unwrap(), Err(Error::Unavailable(_))));
    assert_eq!(waiting.await.unwrap(), Ok(None));
    works(&store).await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_turn_ends_at_the_deadline_too() {
    let (_runtime, probe, store) = start(RuntimeConfig { call_time: Duration::from_secs(3600), ..config() });
    let running = tokio::spawn({
        let store = store.clone();
        async move { store.increment("n", "stall.1", one(), Default::default()).await }
    });
    probe.stalls.notified().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let waiting = store.increment("n", "stall.1", one(), Default::default());
    let (running, waiting) = tokio::join!(running, waiting);
    assert!(matches!(running.unwrap(), Err(Error::Unavailable(_))));
    // It got its turn when the first gave up, and stalled as well.
    assert!(matches!(waiting, Err(Error::Unavailable(_))));
    assert_eq!(probe.gets.load(SeqCst), 2);
}

#[tokio::test]
async fn the_storage_is_let_go_with_the_last_store() {
    let runtime = Runtime::new(config()).unwrap();
    let probe = Probe::new();
    let storage = Arc::downgrade(&probe);
    let store = runtime.store(probe as Arc<dyn Storage>, Arc::new(ManualClock::new(1)));
    works(&store).await;
    drop(store.clone());
    assert_eq!(runtime.idle_instances(), 1);
    drop(store);
    assert_eq!(runtime.idle_instances(), 0);
    assert!(storage.upgrade().is_none());
}

#[tokio::test]
async fn stores_of_one_runtime_share_its_instances_and_not_their_entries() {
    let runtime = Runtime::new(RuntimeConfig { instances: 1, ..config() }).unwrap();
    let stores: Vec<ComponentStore> =
        (0..3).map(|_| runtime.store(Probe::new() as Arc<dyn Storage>, Arc::new(ManualClock::new(1)))).collect();
    for (index, store) in stores.iter().enumerate() {
        let key = format!("key{index}");
        assert_eq!(store.get("n", "fine").await, Ok(None));
        store.set("n", item(&key, index as i64)).await.unwrap();
    }
    for (index, store) in stores.iter().enumerate() {
        for other in 0..stores.len() {
            assert_eq!(store.get("n", &format!("key{other}")).await.unwrap().is_some(), other == index);
        }
    }
    assert_eq!(runtime.idle_instances(), 1);
}

#[test]
fn without_tokio_there_is_an_error_and_no_panic() {
    let (_runtime, _probe, store) = start(config());
    let mut call = store.get("n", "key");
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let answer = call.as_mut().poll(&mut context);
    assert!(matches!(answer, std::task::Poll::Ready(Err(Error::Unavailable(_)))));
}
