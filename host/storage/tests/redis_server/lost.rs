//! Data that Redis drops by itself, or that somebody flushes; clocks that differ.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataknobs_kv_core::Storage;
use dataknobs_kv_core::storage::{Outcome, Range};

use crate::common::*;
use crate::{Bed, Raw};

const ENTRY: &str = "kv:{s598}:e:7:default:a";
const INDEX: &str = "kv:{s598}:i:default";
const EXPIRY: &str = "kv:{s598}:x:default";

/// Until Redis has removed it.
async fn gone(raw: &mut Raw, key: &str) {
    while raw.ask::<i64>(&["EXISTS", key]).await == 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn flushed(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    let old = must_write(&*storage, put("a", b"v")).await;
    raw.run(&["FLUSHALL"]).await;
    let lost = write_one(&*storage, put("a", b"w").if_version(&old), 1).await;
    assert_eq!(lost, Ok(Outcome::Conflict(None)));
    // What is written again, also the very same, is another version.
    let new = must_write(&*storage, put("a", b"v")).await;
    assert_ne!(old, new);
    assert!(matches!(
        write_one(&*storage, put("a", b"w").if_version(&old), 1).await,
        Ok(Outcome::Conflict(Some(state))) if state.version == new
    ));
    assert_eq!(storage.namespaces(None, 10).await.unwrap().names, [NS]);
    // A dump from before brings the old version back, and takes the new one away for good.
    let newer = must_write(&*storage, put("a", b"x")).await;
    raw.run(&["COPY", ENTRY, "backup{s598}"]).await;
    let newest = must_write(&*storage, put("a", b"y")).await;
    raw.run(&["COPY", "backup{s598}", ENTRY, "REPLACE"]).await;
    let lost = write_one(&*storage, put("a", b"z").if_version(&newest), 1).await;
    assert!(matches!(lost, Ok(Outcome::Conflict(Some(state))) if state.version == newer));
}

pub(crate) async fn expired_by_redis(bed: Bed) {
    let storage = bed.open("expiry_margin=0.001").await;
    let mut raw = bed.raw().await;
    must_write(&*storage, put("b", b"v")).await;
    write_one(&*storage, put_expiring("a", b"v", 1000, Some(1001)), 1000).await.unwrap();
    gone(&mut raw, ENTRY).await;
    // By the caller's clock as well, and by one that is behind: it is not there.
    for now in [1001, 1000] {
        assert!(get(&*storage, "a", now).await.is_none());
        assert_eq!(keys(&*storage, NS, now, 10).await, ["b"]);
    }
    assert_eq!(storage.count(NS, Range::default(), 1001).await.unwrap(), Some(1));
    let range = Range { from: Some("a".into()), ..Range::default() };
    assert_eq!(storage.count(NS, range, 1001).await.unwrap(), Some(1));
    assert_eq!(raw.ask::<i64>(&["ZCARD", INDEX]).await, 2);
    let reclaimed = storage.reclaim(Some(NS), 1001, 10).await.unwrap();
    assert!(reclaimed.count == 1 && !reclaimed.more);
    assert_eq!(raw.ask::<i64>(&["ZCARD", INDEX]).await, 1);
    assert_eq!(raw.ask::<i64>(&["ZCARD", EXPIRY]).await, 0);
    assert_eq!(storage.reclaim(Some(NS), 1001, 10).await.unwrap().count, 0);
    // What comes to be again is a creation, and forgets the old expiry.
    write_one(&*storage, put_expiring("a", b"v", 2000, Some(2001)), 2000).await.unwrap();
    gone(&mut raw, ENTRY).await;
    write_one(&*storage, put_expiring("a", b"w", 3000, None), 3000).await.unwrap();
    assert_eq!(get(&*storage, "a", 3000).await.unwrap().attributes.created_at, 3000);
    assert_eq!(storage.reclaim(Some(NS), 9000, 10).await.unwrap().count, 0);
    assert_eq!(keys(&*storage, NS, 9000, 10).await, ["a", "b"]);
    // And so is a delete of it.
    write_one(&*storage, put_expiring("a", b"v", 1000, Some(1001)), 1000).await.unwrap();
    gone(&mut raw, ENTRY).await;
    assert_eq!(write_one(&*storage, delete("a"), 1001).await, Ok(Outcome::Absent));
    assert_eq!(raw.ask::<i64>(&["ZCARD", INDEX]).await, 1);
    assert_eq!(raw.ask::<i64>(&["ZCARD", EXPIRY]).await, 0);
}

/// What an eviction leaves: the indexes know a key whose hash is gone.
pub(crate) async fn evicted(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    for key in ["a", "b"] {
        must_write(&*storage, put(key, b"v")).await;
    }
    raw.run(&["DEL", ENTRY]).await;
    assert_eq!(keys(&*storage, NS, 1, 10).await, ["b"]);
    let page = storage
        .scan(NS, Range::default(), Default::default(), 1, 10, dataknobs_kv_core::Projection::Value)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(write_one(&*storage, delete("a"), 1).await, Ok(Outcome::Absent));
    assert_eq!(raw.ask::<i64>(&["ZCARD", INDEX]).await, 1);
}

pub(crate) async fn evicting_servers(bed: Bed) {
    let mut raw = bed.raw().await;
    assert!(bed.open("").await.capabilities().durable);
    raw.set("maxmemory-policy", "allkeys-lru").await;
    // Without a limit nothing is evicted.
    assert!(bed.open("").await.capabilities().durable);
    raw.set("maxmemory", "100mb").await;
    let storage = bed.open("").await;
    let capabilities = storage.capabilities();
    assert!(!capabilities.durable);
    assert_eq!(capabilities.extra, [("evicts".to_owned(), "allkeys-lru".to_owned())]);
    must_write(&*storage, put("a", b"v")).await;
    raw.run(&["DEL", ENTRY]).await;
    // Nobody knows how many there are without looking.
    assert_eq!(storage.count(NS, Range::default(), 1).await.unwrap(), None);
    assert!(keys(&*storage, NS, 1, 10).await.is_empty());
}

/// The caller's clock may be an hour off: what it calls alive stays, and Redis removes nothing before its time.
pub(crate) async fn clocks_that_differ(bed: Bed) {
    const MINUTE: u64 = 60_000;
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    let real = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    for now in [real - 60 * MINUTE, real, real + 60 * MINUTE] {
        write_one(&*storage, put_expiring("a", b"v", now, Some(now + 30 * MINUTE)), now).await.unwrap();
        assert!(get(&*storage, "a", now + 30 * MINUTE - 1).await.is_some());
        assert!(get(&*storage, "a", now + 30 * MINUTE).await.is_none());
        let left = raw.ask::<u64>(&["PTTL", ENTRY]).await;
        assert!(left > 89 * MINUTE && left <= 90 * MINUTE, "{left}");
        // A slide moves Redis' own expiry with it.
        let extend = dataknobs_kv_core::storage::Mutation {
            key: "a".into(),
            change: dataknobs_kv_core::storage::Change::Extend(now + 50 * MINUTE),
            precondition: Default::default(),
        };
        assert_eq!(write_one(&*storage, extend, now + 10 * MINUTE).await, Ok(Outcome::Held));
        let left = raw.ask::<u64>(&["PTTL", ENTRY]).await;
        assert!(left > 99 * MINUTE && left <= 100 * MINUTE, "{left}");
    }
    // The last millisecond there is, and one that is long over.
    let last = 253_402_300_799_999;
    write_one(&*storage, put_expiring("a", b"v", real, Some(last)), real).await.unwrap();
    assert_eq!(get(&*storage, "a", last - 1).await.unwrap().attributes.expires_at, Some(last));
    assert_eq!(raw.ask::<String>(&["ZSCORE", EXPIRY, "a"]).await, last.to_string());
    write_one(&*storage, put_expiring("a", b"v", real, Some(1)), real).await.unwrap();
    assert!(get(&*storage, "a", real).await.is_none());
    assert!(get(&*storage, "a", 0).await.is_some());
}

pub(crate) async fn what_is_durable(bed: Bed) {
    let mut raw = bed.raw().await;
    let durable = async |options: &str| bed.open(options).await.capabilities().durable;
    assert!(durable("").await);
    assert!(!durable("durability=volatile").await);
    raw.set("appendfsync", "everysec").await;
    assert!(!durable("").await);
    assert!(durable("durability=durable").await);
    raw.set("appendfsync", "always").await;
    assert!(durable("").await);
    raw.set("appendonly", "no").await;
    assert!(!durable("").await);
}
