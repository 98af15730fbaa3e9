//! What was last seen under a name: so that a write need not look first.
//!
//! It may be old. Whoever uses it says so to the store as a condition (`If-Match`, `If-None-Match`), and looks again where
//! that does not hold.

use std::sync::atomic::{AtomicBool, Ordering};

use dataknobs_kv_core::Timestamp;
use moka::future::Cache;

use super::client::Guard;
use super::read::{Found, Look};

/// How many names are remembered: some 300 bytes each.
const NAMES: u64 = 20_000;

/// What is under a name, as far as a write has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// No object.
    Nothing,
    /// What stands for a deleted entry.
    Grave { etag: String },
    /// An entry.
    Entry(Known),
    /// An object that cannot be read.
    Damaged { etag: String, why: &'static str },
}

/// Of an entry, what its successor has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) etag: String,
    pub(super) nonce: String,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
}

impl Known {
    pub(super) fn of(found: &Found) -> Self {
        let attributes = found.attributes();
        Known {
            etag: found.etag.clone(),
            nonce: found.head.nonce.clone(),
            created_at: attributes.created_at,
            expires_at: attributes.expires_at,
        }
    }

    pub(super) fn lives(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

impl Sight {
    pub(super) fn of(look: &Look) -> Self {
        match look {
            Look::Nothing => Sight::Nothing,
            Look::Grave { etag } => Sight::Grave { etag: etag.clone() },
            Look::Entry(found) => Sight::Entry(Known::of(found)),
            Look::Damaged { etag, why } => Sight::Damaged { etag: etag.clone(), why },
        }
    }

    /// The entry, where it lives.
    pub(super) fn living(&self, now: Timestamp) -> Option<&Known> {
        match self {
            Sight::Entry(known) if known.lives(now) => Some(known),
            _ => None,
        }
    }

    /// The condition that nothing has changed since.
    pub(super) fn guard(&self) -> Guard<'_> {
        match self {
            Sight::Nothing => Guard::Missing,
            Sight::Grave { etag } | Sight::Damaged { etag, .. } => Guard::Is(etag),
            Sight::Entry(known) => Guard::Is(&known.etag),
        }
    }

    /// Whether it can never come back once it is gone: then what was sent on this condition may be sent again.
    pub(super) fn is_unique(&self) -> bool {
        matches!(self, Sight::Entry(_))
    }
}

/// The last sights of names.
pub(super) struct Seen {
    sights: Cache<String, Sight>,
    /// Whether the last name that was written without having been seen was free.
    new: AtomicBool,
}

impl Seen {
    pub(super) fn new() -> Self {
        Seen { sights: Cache::new(NAMES), new: AtomicBool::new(false) }
    }

    pub(super) async fn get(&self, object: &str) -> Option<Sight> {
        self.sights.get(object).await
    }

    pub(super) async fn put(&self, object: &str, sight: Sight) {
        self.sights.insert(object.to_owned(), sight).await;
    }

    pub(super) async fn remember(&self, object: &str, look: &Look) {
        self.put(object, Sight::of(look)).await;
    }

    pub(super) async fn forget(&self, object: &str) {
        self.sights.invalidate(object).await;
    }

    /// Whether a name that was not seen is taken to be free: as the last such one was. Wrong guesses cost a request,
    /// right ones save one.
    pub(super) fn guess_new(&self) -> bool {
        self.new.load(Ordering::Relaxed)
    }

    pub(super) fn learn(&self, new: bool) {
        self.new.store(new, Ordering::Relaxed);
    }
}
