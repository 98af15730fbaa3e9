//! How fast a redb file takes, lists, reads and removes entries, without the component above it.
//!
//! `cargo run --release -p dataknobs-kv-storage --example redb_speed [ENTRIES] [FILE.redb]`

use std::time::{Duration, Instant};

use dataknobs_kv_core::storage::{Change, Hint, Mutation, Range};
use dataknobs_kv_core::{Attributes, Precondition, Projection, Result, Storage, ValueType};
use dataknobs_kv_storage::{RedbConfig, RedbStorage};

const NAMESPACE: &str = "default";
const BATCH: usize = 1000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let entries: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let file = arguments.next();
    let path = file.clone().map_or_else(
        || std::env::temp_dir().join(format!("redb-speed-{}.redb", std::process::id())),
        std::path::PathBuf::from,
    );
    let storage = RedbStorage::open(RedbConfig::new(&path), true).await?;

    let started = Instant::now();
    for first in (0..entries).step_by(BATCH) {
        let batch = (first..entries.min(first + BATCH)).map(|i| put(&key(i), Some(1_000_000))).collect();
        storage.write(NAMESPACE, batch, false, 1, Projection::Key).await?;
    }
    report("import in order", entries, started.elapsed());
    println!("{:>24} {:.0} bytes an entry on disk", "", size(&path) as f64 / entries as f64);

    let started = Instant::now();
    for first in (0..entries / 4).step_by(BATCH) {
        let batch = (first..first + BATCH).map(|i| put(&key(i * 7919 % entries), None)).collect();
        storage.write(NAMESPACE, batch, false, 1, Projection::Key).await?;
    }
    report("replace at random", entries / 4, started.elapsed());

    let started = Instant::now();
    for i in 0..100_000 {
        assert!(storage.get(NAMESPACE, &key(i * 7919 % entries), 1, true).await?.is_some());
    }
    report("get at random", 100_000, started.elapsed());

    let started = Instant::now();
    for i in 0..200 {
        storage.write(NAMESPACE, vec![put(&key(i * 4999 % entries), None)], false, 1, Projection::Key).await?;
    }
    report("durable put, one by one", 200, started.elapsed());

    for want in [Projection::Key, Projection::Attributes, Projection::Value] {
        let mut times: Vec<_> = Vec::new();
        for i in 0..50 {
            let prefix = key(i * entries / 50 / 1000 * 1000);
            let prefix = prefix.rsplit_once('.').map_or("", |(prefix, _)| prefix);
            let range = Range { from: Some(format!("{prefix}.")), to: Some(format!("{prefix}/")), after: None };
            let started = Instant::now();
            let page = storage.scan(NAMESPACE, range, Hint::default(), 1, 1000, want).await?;
            times.push(started.elapsed());
            assert!(page.items.len() >= 999 && page.next.is_none());
        }
        times.sort();
        println!("{:>24} median {:?}, worst {:?}", format!("page of 1000, {want:?}"), times[25], times[49]);
    }
    let hint = Hint { pattern: Some("**.nothing".into()), metadata: None };
    let started = Instant::now();
    let page = storage.scan(NAMESPACE, Range::default(), hint, 1, 1000, Projection::Key).await?;
    println!("{:>24} {:?}", "page without a match", started.elapsed());
    assert!(page.items.is_empty() && page.next.is_some());

    let started = Instant::now();
    drop(storage);
    println!("{:>24} {:?}", "close", started.elapsed());
    let copy = path.with_extension("copy.redb");
    let started = Instant::now();
    let storage = RedbStorage::open(RedbConfig::new(&path), false).await?;
    println!("{:>24} {:?}", "open", started.elapsed());
    // What a crash leaves: a copy of the file while it is open.
    storage.write(NAMESPACE, vec![put("x", None)], false, 1, Projection::Key).await?;
    let _ = std::fs::copy(&path, &copy);
    let started = Instant::now();
    drop(RedbStorage::open(RedbConfig::new(&copy), false).await?);
    println!("{:>24} {:?}", "open after a crash", started.elapsed());
    let _ = std::fs::remove_file(&copy);

    let started = Instant::now();
    let reclaimed = storage.reclaim(None, 1_000_000, 10_000).await?;
    report("reclaim", reclaimed.count as usize, started.elapsed());
    let started = Instant::now();
    storage.clear(NAMESPACE, 100_000).await?;
    report("clear", 100_000, started.elapsed());
    drop(storage);
    if file.is_none() {
        let _ = std::fs::remove_file(&path);
    }
    Ok(())
}

fn key(i: usize) -> String {
    format!("tenant.{:03}.item.{:06}", i / 1000, i % 1000)
}

fn put(key: &str, expires_at: Option<u64>) -> Mutation {
    let attributes = Attributes {
        value_type: ValueType::Bytes,
        content_type: None,
        metadata: None,
        created_at: 1,
        updated_at: 1,
        // One in ten expires.
        expires_at: expires_at.filter(|_| key.ends_with('7')),
        sliding_ms: None,
        size: 100,
        checksum: 0,
    };
    let change = Change::Put { attributes, value: vec![b'v'; 100] };
    Mutation { key: key.into(), change, precondition: Precondition::None }
}

fn size(path: &std::path::Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn report(what: &str, count: usize, took: Duration) {
    let each = took.as_secs_f64() / count as f64;
    println!("{what:>24} {count} in {took:.2?}: {:.0} a second, {:.1} µs each", 1.0 / each, each * 1e6);
}
