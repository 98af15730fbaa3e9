//! Time: remaining ttl, defaults, automatic cleanup. The clock stands still until it is moved.

use std::sync::Arc;
use std::time::Duration;

use dataknobs_kv::{Config, Expiry, KvStore, ManualClock, SystemClock, Ttl, json};

const START: u64 = 1_893_456_000_000;

fn hour() -> Duration {
    Duration::from_secs(3600)
}

async fn open(config: Config) -> (KvStore, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(START));
    (KvStore::open_with(config.clock(clock.clone())).await.unwrap(), clock)
}

fn memory() -> Config {
    Config::from_url("memory:").unwrap()
}

#[tokio::test]
async fn ttl_touch_persist() {
    let (store, clock) = open(memory()).await;
    store.set("a", 1).ttl(hour()).await.unwrap();
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Remaining(hour()));
    clock.advance(1500);
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Remaining(hour() - Duration::from_millis(1500)));
    store.touch("a", hour()).await.unwrap();
    store.set("a", 2).keep_expiry().await.unwrap();
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Remaining(hour()));
    store.set("a", 2).await.unwrap();
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Never);
    store.set("a", 2).expires_at(START + 10_000).await.unwrap();
    store.persist("a").await.unwrap();
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Never);
    store.set("a", 2).metadata(json!({"ttl": 2.5})).await.unwrap();
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Remaining(Duration::from_millis(2500)));
    clock.advance(2500);
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Absent);
    assert_eq!(store.get("a").await.unwrap(), None);
    store.increment("n", 1).ttl(hour()).await.unwrap();
    store.increment("n", 1).await.unwrap();
    assert_eq!(store.ttl("n").await.unwrap(), Ttl::Remaining(hour()));
    store.set("s", 1).sliding(hour()).await.unwrap();
    clock.advance(3_000_000);
    store.get("s").await.unwrap();
    assert_eq!(store.ttl("s").await.unwrap(), Ttl::Remaining(hour()));
    assert_eq!(store.cleanup_expired().await.unwrap(), 1);
}

#[tokio::test]
async fn setters_cannot_fail_but_the_call_does() {
    let (store, _) = open(memory()).await;
    for result in [
        store.set("a", 1).ttl(Duration::ZERO).await,
        store.set("a", 1).ttl(Duration::MAX).await,
        store.set("a", 1).expires_at(START).await,
        store.set("a", 1).expires_at(SystemTimeBefore1970::get()).await,
        store.set("a", 1).metadata(json!([])).await,
        store.set_json("a", &std::collections::BTreeMap::from([((1, 2), 3)])).await,
    ] {
        assert_eq!(result.unwrap_err().code(), "invalid-argument");
    }
    assert_eq!(store.set_expiry("a", Expiry::Unspecified).await.unwrap_err().code(), "invalid-argument");
    // Less than a millisecond is still more than nothing.
    store.set("a", 1).ttl(Duration::from_nanos(1)).await.unwrap();
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Remaining(Duration::from_millis(1)));
}

struct SystemTimeBefore1970;

impl SystemTimeBefore1970 {
    fn get() -> std::time::SystemTime {
        std::time::UNIX_EPOCH - Duration::from_secs(1)
    }
}

#[tokio::test]
async fn default_ttl_by_namespace() {
    let (store, _) = open(memory().namespace("cache").unwrap().default_ttl("cache", hour()).unwrap()).await;
    store.set("a", 1).await.unwrap();
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Remaining(hour()));
    store.set("a", 1).never_expires().await.unwrap();
    assert_eq!(store.ttl("a").await.unwrap(), Ttl::Never);
    let other = store.namespace("other").unwrap();
    other.set("a", 1).await.unwrap();
    assert_eq!(other.ttl("a").await.unwrap(), Ttl::Never);
}

/// Tokio's time stands still too, and jumps when all tasks wait.
#[tokio::test(start_paused = true)]
async fn automatic_cleanup() {
    let (store, clock) = open(memory().auto_cleanup(Duration::from_secs(60)).unwrap()).await;
    let others = store.namespace("others").unwrap();
    store.set("a", 1).ttl(hour()).await.unwrap();
    others.set("b", 1).ttl(hour()).await.unwrap();
    store.set("kept", 1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let stats = store.cleanup_stats().unwrap();
    assert_eq!((stats.rounds, stats.removed, stats.failures), (1, 0, 0));
    clock.advance(3_600_000);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let stats = store.cleanup_stats().unwrap();
    assert_eq!((stats.rounds, stats.removed), (2, 2));
    assert_eq!(store.cleanup_expired_everywhere().await.unwrap(), 0);
    let other_handle = store.clone();
    tokio::time::timeout(Duration::from_secs(600), store.close()).await.expect("the task ends when it is told");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(other_handle.cleanup_stats().unwrap().rounds, 2, "stopped for all clones");
}

#[tokio::test(start_paused = true)]
async fn cleanup_ends_with_the_store() {
    let (store, _) = open(memory().auto_cleanup(Duration::from_secs(60)).unwrap()).await;
    let alive = Arc::downgrade(store.store());
    drop(store);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(alive.upgrade().is_none(), "the task would keep the file locked");
}

#[tokio::test]
async fn intervals_have_a_least() {
    assert_eq!(memory().auto_cleanup(Duration::from_millis(99)).unwrap_err().code(), "invalid-argument");
    let store = KvStore::open("memory:").await.unwrap();
    assert_eq!(store.cleanup_stats(), None);
    let _: &dyn dataknobs_kv::Clock = &SystemClock;
    assert!(store.clock().now() > START - 1_000_000_000_000);
}

/// What one round leaves does not wait for the next interval.
#[tokio::test(start_paused = true)]
async fn a_backlog_is_worked_off() {
    let second = Duration::from_secs(1);
    let (store, clock) = open(memory().default_ttl("default", second).unwrap().auto_cleanup(hour()).unwrap()).await;
    store.set_many((0..25_000).map(|at| (format!("k{at}"), 1))).await.unwrap().all().unwrap();
    clock.advance(1000);
    while store.cleanup_stats().unwrap().removed == 0 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(store.cleanup_stats().unwrap().removed, 10_000, "a round is bounded");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(store.cleanup_stats().unwrap().removed, 25_000);
}

/// Several stores, as of several processes, clean one backend: each entry is removed once and counted once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_clean_one_backend() {
    let storage: Arc<dyn dataknobs_kv::Storage> = Arc::new(dataknobs_kv::MemoryStorage::new(fresh));
    let clock = Arc::new(ManualClock::new(START));
    let mut stores = Vec::new();
    let metrics: Vec<_> = (0..4).map(|_| dataknobs_kv::Metrics::new()).collect();
    for metrics in &metrics {
        let config = Config::from_storage(storage.clone()).clock(clock.clone()).metrics(metrics.clone());
        let config = config.default_ttl("default", Duration::from_secs(1)).unwrap();
        let config = config.auto_cleanup(dataknobs_kv::MIN_CLEANUP_INTERVAL).unwrap();
        stores.push(KvStore::open_with(config).await.unwrap());
    }
    let first = &stores[0];
    first.set_many((0..30_000).map(|at| (format!("k{at}"), 1))).await.unwrap().all().unwrap();
    first.set("kept", 1).never_expires().await.unwrap();
    clock.advance(1000);
    let removed = || stores.iter().map(|store| store.cleanup_stats().unwrap().removed).sum::<u64>();
    while removed() < 30_000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let rounds = |store: &KvStore| store.cleanup_stats().unwrap().rounds;
    let before: Vec<u64> = stores.iter().map(rounds).collect();
    while stores.iter().zip(&before).any(|(store, before)| rounds(store) < before + 2) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(removed(), 30_000, "none twice");
    assert!(stores.iter().all(|store| store.cleanup_stats().unwrap().failures == 0));
    assert_eq!(first.get("kept").await.unwrap(), Some(1.into()));
    let told = |metrics: &dataknobs_kv::Metrics| {
        let text = metrics.text();
        let line = text.lines().find(|line| line.starts_with("dataknobs_kv_cleanup_removed_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(metrics.iter().map(told).sum::<u64>(), 30_000);
}

fn fresh() -> u128 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into()
}
