//! What a write costs in a JSON file: its own size, however large the file. A program of its own, since the system counts
//! what a whole process writes.

#![cfg(target_os = "linux")]

mod common;

use std::fs;

use common::*;
use dataknobs_kv_core::storage::Mutation;
use dataknobs_kv_core::{Projection, Storage};
use dataknobs_kv_storage::{Durability, JsonFileConfig, JsonFileStorage};

/// Bytes that this process has given to the system to write so far.
fn written() -> u64 {
    let counts = fs::read_to_string("/proc/self/io").unwrap();
    counts.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

async fn filled(storage: &JsonFileStorage, entries: usize) {
    for first in (0..entries).step_by(1000) {
        let batch: Vec<Mutation> = (first..first + 1000).map(|i| put(&format!("key.{i:06}"), &[b'x'; 100])).collect();
        storage.write(NS, batch, false, 1, Projection::Key).await.unwrap();
    }
}

/// Bytes written for each of so many sets, one by one, until the store is closed.
async fn cost(entries: usize, sets: usize) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let config = JsonFileConfig::new(folder.path().join("data.json")).durability(Durability::Relaxed);
    let storage = JsonFileStorage::open(config, true).await.unwrap();
    filled(&storage, entries).await;
    drop(storage);
    let config = JsonFileConfig::new(folder.path().join("data.json")).durability(Durability::Relaxed);
    let storage = JsonFileStorage::open(config, true).await.unwrap();
    let before = written();
    must_write(&storage, put("key.000000", &[b'y'; 100])).await;
    let first = written() - before;
    for i in 1..sets {
        must_write(&storage, put(&format!("key.{:06}", i * 7919 % entries), &[b'y'; 100])).await;
    }
    drop(storage);
    (first, (written() - before) / sets as u64)
}

#[tokio::test]
async fn a_set_costs_its_own_size_and_not_the_files() {
    for (entries, sets) in [(1000, 20_000), (20_000, 20_000), (50_000, 50_000)] {
        let (first, each) = cost(entries, sets).await;
        println!("{entries} entries: {first} bytes for the first set, {each} for each of {sets}");
        // A line of the journal is some 400 bytes here, and a journal begins with some 100.
        assert!(first < 1000, "{first} bytes for one set among {entries}");
        // The journal is folded in when it is as large as the snapshot: that doubles it.
        assert!(each < 1500, "{each} bytes for each set among {entries}");
    }
}
