//! What this process has lately seen of documents: it spares the read before a guarded write.
//!
//! A write over a document names the sequence number that the server gave to it. Whoever has just read or written an entry
//! knows it, and what else must be known: version, creation, expiry. What is remembered may be stale; then the guard does
//! not hold, nothing is applied, and the document is read.
//!
//! The server never gives a number twice, until an older snapshot is restored. An index that is deleted and made anew, or
//! restored, is another [`Index`](super::index::Index) with a memory of its own; and nothing is remembered for long.

use std::time::Duration;

use dataknobs_kv_core::Timestamp;
use moka::sync::Cache;

use super::format::{Id, Source};

const ENTRIES: u64 = 65_536;
const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// Names one state of one document, for a guarded write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) seq_no: u64,
    pub(super) primary_term: u64,
}

/// What a guarded write has to know of what is there.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) guard: Guard,
    pub(super) version: String,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
}

impl Head {
    pub(super) fn of(guard: Guard, source: &Source) -> Self {
        let version = source.version().to_owned();
        Head { guard, version, created_at: source.created_at, expires_at: source.expires_at }
    }

    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

pub(super) struct Seen(Cache<Id, Head>);

impl Seen {
    pub(super) fn new() -> Self {
        Seen(Cache::builder().max_capacity(ENTRIES).time_to_live(TIME_TO_LIVE).build())
    }

    pub(super) fn get(&self, id: &Id) -> Option<Head> {
        self.0.get(id)
    }

    pub(super) fn remember(&self, id: &Id, head: Head) {
        self.0.insert(id.clone(), head);
    }

    pub(super) fn forget(&self, id: &Id) {
        self.0.invalidate(id);
    }
}
