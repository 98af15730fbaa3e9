//! What an adapter owes, straight on the storage.

use crate::Harness;
use dataknobs_kv_core::storage::{Amendment, Change, Hint, Mutation, Outcome, Range};
use dataknobs_kv_core::{Attributes, Precondition, Projection, State, Timestamp, ValueType, Version};

mod atomic;
mod read;
mod scan;
mod upkeep;
mod write;

/// All of them.
pub(super) fn cases() -> impl Iterator<Item = &'static crate::Case> {
    [write::CASES, atomic::CASES, scan::CASES, read::CASES, upkeep::CASES].into_iter().flatten()
}

pub(super) fn attributes(value: &[u8], now: Timestamp) -> Attributes {
    Attributes {
        value_type: ValueType::Bytes,
        content_type: None,
        metadata: None,
        created_at: now,
        updated_at: now,
        expires_at: None,
        sliding_ms: None,
        size: value.len() as u64,
        checksum: crc32c::crc32c(value),
    }
}

pub(super) fn put_if(key: &str, value: &[u8], attributes: Attributes, precondition: Precondition) -> Mutation {
    Mutation { key: key.into(), change: Change::Put { attributes, value: value.into() }, precondition }
}

pub(super) fn put(h: &Harness, key: &str, value: &[u8]) -> Mutation {
    put_if(key, value, attributes(value, h.clock.now()), Precondition::None)
}

pub(super) fn put_until(h: &Harness, key: &str, expires_at: Timestamp) -> Mutation {
    let attributes = Attributes { expires_at: Some(expires_at), ..attributes(b"v", h.clock.now()) };
    put_if(key, b"v", attributes, Precondition::None)
}

pub(super) fn amend(h: &Harness) -> Change {
    Change::Amend(Amendment {
        content_type: None,
        metadata: Some("{\"amended\":true}".into()),
        updated_at: h.clock.now(),
        expires_at: None,
        sliding_ms: None,
    })
}

pub(super) fn plain(key: &str, change: Change) -> Mutation {
    Mutation { key: key.into(), change, precondition: Precondition::None }
}

pub(super) async fn one(h: &Harness, mutation: Mutation) -> Outcome {
    h.write(vec![mutation], false).await.remove(0).expect("an outcome")
}

pub(super) async fn put_version(h: &Harness, mutation: Mutation) -> Version {
    match one(h, mutation).await {
        Outcome::Written(version) => version,
        other => panic!("expected it to be written, got {other:?}"),
    }
}

pub(super) async fn read(h: &Harness, key: &str) -> Option<State> {
    h.storage().get(&h.namespace, key, h.clock.now(), true).await.expect("a read")
}

pub(super) async fn scan(h: &Harness, range: Range, hint: Hint, limit: u32) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), range.after.clone());
    for _ in 0..10_000 {
        let range = Range { after: after.clone(), ..range.clone() };
        let storage = h.storage();
        let page = storage
            .scan(&h.namespace, range, hint.clone(), h.clock.now(), limit, Projection::Key)
            .await
            .expect("a page");
        assert!(page.items.len() <= limit as usize);
        keys.extend(page.items.into_iter().map(|entry| entry.key));
        match page.next {
            Some(next) => {
                assert!(after.as_ref().is_none_or(|before| *before < next), "it goes on forward");
                after = Some(next);
            }
            None => return keys,
        }
    }
    panic!("a scan without end");
}

pub(super) async fn all(h: &Harness) -> Vec<String> {
    scan(h, Range::default(), Hint::default(), 1000).await
}

pub(super) async fn filled(h: &Harness) {
    h.write(KEYS.iter().rev().map(|key| put(h, key, b"v")).collect(), false).await;
}

/// In key order.
pub(super) const KEYS: [&str; 14] =
    ["a", "a!", "a.", "a.b", "a.b.c", "a/", "ab", "b", "b.a", "b\u{e9}", "c", "\u{e9}", "\u{ffff}", "\u{10000}"];
