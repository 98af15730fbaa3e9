//! Words for tests that speak to a storage directly.
#![allow(dead_code, unreachable_pub)]

pub mod against_memory;
pub mod tls;

use std::path::Path;

use dataknobs_kv_core::storage::{Amendment, Change, Hint, Mutation, Outcome, Range};
use dataknobs_kv_core::{Attributes, Precondition, Projection, Result, State, Storage, Timestamp, ValueType, Version};
use dataknobs_kv_storage::{RedbConfig, RedbStorage};

/// The console sessions of a page: each command behind its `$`, and what it printed.
pub fn sessions(page: &str) -> Vec<(String, String)> {
    let mut sessions = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").expect("the block ends");
        for part in block.split("$ ").skip(1) {
            let (command, output) = part.split_once('\n').expect("an output");
            sessions.push((command.to_owned(), output.to_owned()));
        }
    }
    sessions
}

pub const NS: &str = "default";

pub async fn open(path: &Path) -> RedbStorage {
    RedbStorage::open(RedbConfig::new(path), true).await.unwrap()
}

pub fn attributes(now: Timestamp, expires_at: Option<Timestamp>) -> Attributes {
    Attributes {
        value_type: ValueType::Bytes,
        content_type: None,
        metadata: None,
        created_at: now,
        updated_at: now,
        expires_at,
        sliding_ms: None,
        size: 0,
        checksum: 7,
    }
}

pub fn put(key: &str, value: &[u8]) -> Mutation {
    put_expiring(key, value, 1, None)
}

pub fn put_expiring(key: &str, value: &[u8], now: Timestamp, expires_at: Option<Timestamp>) -> Mutation {
    let mut attributes = attributes(now, expires_at);
    attributes.size = value.len() as u64;
    Mutation {
        key: key.into(),
        change: Change::Put { attributes, value: value.to_vec() },
        precondition: Precondition::None,
    }
}

pub fn delete(key: &str) -> Mutation {
    Mutation { key: key.into(), change: Change::Delete, precondition: Precondition::None }
}

pub fn amend(key: &str, metadata: &str) -> Mutation {
    let amendment = Amendment {
        content_type: None,
        metadata: Some(metadata.into()),
        updated_at: 2,
        expires_at: None,
        sliding_ms: None,
    };
    Mutation { key: key.into(), change: Change::Amend(amendment), precondition: Precondition::None }
}

pub trait With {
    fn if_version(self, version: &Version) -> Self;
    fn if_absent(self) -> Self;
}

impl With for Mutation {
    fn if_version(mut self, version: &Version) -> Self {
        self.precondition = Precondition::Version(version.clone());
        self
    }
    fn if_absent(mut self) -> Self {
        self.precondition = Precondition::Absent;
        self
    }
}

pub async fn write_one(storage: &dyn Storage, mutation: Mutation, now: Timestamp) -> Result<Outcome> {
    storage.write(NS, vec![mutation], false, now, Projection::Value).await?.remove(0)
}

pub async fn must_write(storage: &dyn Storage, mutation: Mutation) -> Version {
    match write_one(storage, mutation, 1).await {
        Ok(Outcome::Written(version)) => version,
        other => panic!("{other:?}"),
    }
}

pub async fn get(storage: &dyn Storage, key: &str, now: Timestamp) -> Option<State> {
    storage.get(NS, key, now, true).await.unwrap()
}

pub async fn value(storage: &dyn Storage, key: &str) -> Option<Vec<u8>> {
    get(storage, key, 1).await.map(|state| state.value.unwrap())
}

/// All keys of a namespace, page by page.
pub async fn keys(storage: &dyn Storage, namespace: &str, now: Timestamp, page: u32) -> Vec<String> {
    let mut range = Range::default();
    let mut keys = Vec::new();
    loop {
        let page = storage.scan(namespace, range.clone(), Hint::default(), now, page, Projection::Key).await.unwrap();
        keys.extend(page.items.into_iter().map(|entry| entry.key));
        match page.next {
            Some(next) => range.after = Some(next),
            None => return keys,
        }
    }
}
