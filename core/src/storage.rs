//! What a backend gives to the core: `wit/storage.wit` in Rust.
//!
//! Whoever implements [`Storage`] owes what is written here, in every function:
//!
//! * **Expiry.** An entry whose `expires_at` is at or before `now` is absent: in results, preconditions, outcomes and
//!   `created_at` alike. Whether its bytes are still stored is the storage's own affair.
//! * **Visibility.** A write that was answered is seen by every later call of any client, and survives what
//!   [`Capabilities::durable`] claims. A reader sees the state before a write or after it, never a mixture.
//! * **Atomicity.** One mutation is all or nothing, value and attributes together; its precondition is checked in the
//!   same atomic step: of any number of rivals with the same precondition one wins.
//! * **Honest answers.** Who repeats a guarded write after a lost answer tells its own earlier success from a conflict,
//!   or answers [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown). `Unavailable` and `RateLimited` promise that
//!   nothing was applied.
//! * **Order** is the byte order of the UTF-8 keys.
//! * **No weakening.** What cannot be done is [`Error::Unsupported`](crate::Error::Unsupported).
//! * **Isolation.** Namespaces never meet, whatever characters their names and keys hold.
//! * **Cancellation.** A dropped future leaves each mutation applied whole or not at all.

use std::sync::Arc;

#[cfg(not(all(feature = "component", target_family = "wasm")))]
use async_trait::async_trait;

use crate::{Attributes, Entry, MaybeSync, Precondition, Projection, Result, State, Timestamp, Version};
#[cfg(all(not(feature = "component"), target_family = "wasm"))]
use crate::{Clock, store};

/// What a storage promises. A claim selects the tests that it must pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Acknowledged writes survive the death of the process and of the backend's.
    pub durable: bool,
    /// Several processes may use the same data at once.
    pub shared: bool,
    /// The largest atomic write, in mutations of any keys of one namespace; 1 where only single mutations are atomic.
    pub max_atomic: u32,
    /// The largest value.
    pub max_value_bytes: u64,
    /// The largest metadata, as the core writes it.
    pub max_metadata_bytes: u64,
    /// `Extend` keeps the version, and so sliding expiry works.
    pub sliding: bool,
    /// `Amend` does not move the value.
    pub cheap_amend: bool,
    /// The backend drops expired entries by itself, some time after `expires_at`.
    pub native_expiry: bool,
    /// A page costs the page (true) or more (false).
    pub indexed_scan: bool,
    /// For what later versions add; names unknown to the reader are skipped. See [`STALE_READS`].
    pub extra: Vec<(String, String)>,
}

impl Capabilities {
    /// Whether what was read may be of the past.
    pub(crate) fn reads_stale(&self) -> bool {
        self.extra.iter().any(|(name, _)| name == STALE_READS)
    }
}

/// Named in [`Capabilities::extra`] where `get` and `get_many` with values may answer what other processes have changed
/// since: for how many milliseconds at most. Writes, preconditions and all else are of the present.
pub const STALE_READS: &str = "stale-reads-ms";

/// What `Amend` writes: these attributes are replaced whole, the others stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Amendment {
    /// See [`Attributes::content_type`].
    pub content_type: Option<String>,
    /// See [`Attributes::metadata`].
    pub metadata: Option<String>,
    /// See [`Attributes::updated_at`].
    pub updated_at: Timestamp,
    /// See [`Attributes::expires_at`].
    pub expires_at: Option<Timestamp>,
    /// See [`Attributes::sliding_ms`].
    pub sliding_ms: Option<u64>,
}

/// What is done to one key.
#[derive(Clone, PartialEq)]
pub enum Change {
    /// Creates or replaces. Over a living entry the stored `created_at` stays.
    Put {
        /// All but version and value.
        attributes: Attributes,
        /// The value's bytes.
        value: Vec<u8>,
    },
    /// Replaces these attributes and keeps the value and what describes it. A new version.
    Amend(Amendment),
    /// Moves `expires_at` to this instant if that is later than the stored one, and changes nothing else: the version
    /// stays. An entry that never expires keeps doing so.
    Extend(Timestamp),
    /// Removes.
    Delete,
    /// Changes nothing: only its precondition counts.
    Check,
}

/// One change of one key, and when it may be made.
#[derive(Clone, PartialEq)]
pub struct Mutation {
    /// Which key.
    pub key: String,
    /// What is done.
    pub change: Change,
    /// What must be there.
    pub precondition: Precondition,
}

/// What became of one mutation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// `Put` or `Amend` was applied: the new version.
    Written(Version),
    /// `Check` or `Extend`: the precondition held; the version stays.
    Held,
    /// Removed.
    Deleted,
    /// A delete, amend or extend, without precondition, of a key that is not there. In an atomic write an amend or
    /// extend of such a key counts as a precondition that did not hold, a delete does not.
    Absent,
    /// The precondition did not hold. A state read at or after the refusal, as much of it as asked for (never of the
    /// version that was asked for); none: absent by then, or [`Projection::Key`] asked for.
    Conflict(Option<State>),
    /// In an atomic write: nothing was applied, and this mutation was not what stood in the way, or was not looked at.
    NotApplied,
}

/// Keys `from <= key < to`, and after `after`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first key that may come.
    pub from: Option<String>,
    /// The first key that may no longer come.
    pub to: Option<String>,
    /// Only keys after this one.
    pub after: Option<String>,
}

impl Range {
    /// Whether the key lies in it.
    pub fn contains(&self, key: &str) -> bool {
        self.from.as_deref().is_none_or(|from| from <= key)
            && self.to.as_deref().is_none_or(|to| key < to)
            && self.after.as_deref().is_none_or(|after| after < key)
    }

    /// Its bounds for an ordered map; none where no key can lie in it.
    pub fn bounds(&self) -> Option<(std::ops::Bound<&str>, std::ops::Bound<&str>)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let low = match (self.from.as_deref(), self.after.as_deref()) {
            (Some(from), Some(after)) if from > after => Included(from),
            (_, Some(after)) => Excluded(after),
            (Some(from), None) => Included(from),
            (None, None) => Unbounded,
        };
        let high = self.to.as_deref().map_or(Unbounded, Excluded);
        match (low, high) {
            (Included(l), Excluded(h)) if l >= h => None,
            (Excluded(l), Excluded(h)) if l >= h => None,
            bounds => Some(bounds),
        }
    }
}

/// Only items that surely do not match may be left out; the core looks again. Ignoring it is right, and slower.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// In the core's grammar: [`crate::Pattern`].
    pub pattern: Option<String>,
    /// A JSON object whose fields the metadata must hold.
    pub metadata: Option<String>,
}

/// One page of a scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// In key order.
    pub items: Vec<Entry>,
    /// Where to go on (as `after`; not always a key that exists); none at the end. A page may be short, or empty, before
    /// the end: where values are large (some 8 MiB a page) or matches are rare.
    pub next: Option<String>,
}

/// One page of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// In byte order.
    pub names: Vec<String>,
    /// Where to go on, as `after`; none at the end.
    pub next: Option<String>,
}

/// What a removal of expired entries did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// How many were removed.
    pub count: u32,
    /// Whether more may be left.
    pub more: bool,
}

/// Bulk answers stop at about so many bytes of values; the rest is asked for again.
pub const ANSWER_BYTES: usize = 8 << 20;

/// Looks at a state and says what to write; none: nothing. One type for all, since the loop around it is not small.
#[cfg(not(target_family = "wasm"))]
pub type Decide<'a> = dyn FnMut(Option<State>, Timestamp) -> Result<Option<Change>> + Send + 'a;
/// Looks at a state and says what to write; none: nothing. One type for all, since the loop around it is not small.
#[cfg(target_family = "wasm")]
pub type Decide<'a> = dyn FnMut(Option<State>, Timestamp) -> Result<Option<Change>> + 'a;

/// A backend. The module's text says what an implementor owes.
#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
#[cfg_attr(all(not(feature = "component"), target_family = "wasm"), async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
pub trait Storage: MaybeSync {
    /// Constant while the storage lives.
    fn capabilities(&self) -> Capabilities;

    /// Namespaces whose entries expire after so many milliseconds where a `set` says nothing about expiry: a setting of
    /// the host's, constant while the storage lives.
    fn default_ttls(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// One entry.
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>>;

    /// Results for the first keys, in order: for all, or for fewer (at least one) where values are large, some
    /// [`ANSWER_BYTES`]. One round trip where the backend has a bulk read.
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>>;

    /// One result per mutation, in order; one round trip where the backend has a bulk write. A key comes at most once:
    /// the core sees to it.
    ///
    /// Not atomic: each mutation stands for itself, also in failing. Atomic: all are applied or none is, and then at
    /// least one result says why. More than [`Capabilities::max_atomic`] is `unsupported`. The outer error holds for all
    /// of them.
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>>;

    /// A page of the range in key order, at most `limit` items (1 to 10,000).
    ///
    /// A key that is there from the first page to the last comes exactly once, whatever is written meanwhile. One
    /// damaged entry must not stop a listing of keys.
    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page>;

    /// How many living entries the range holds; none where that costs as much as paging.
    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>>;

    /// Removes up to `limit` entries expired at `now`, each only if still expired in that same atomic step, and what the
    /// backend's own expiry left behind. All namespaces where none is named.
    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed>;

    /// Removes up to `limit` entries of the namespace, expired or not. Whether more may be left; writes made meanwhile
    /// may stay.
    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool>;

    /// Namespaces in byte order, at most `limit`. One that holds only expired or deleted remains may still be named,
    /// until `reclaim` or `clear`.
    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names>;

    /// Waits a little, jittered, longer with each attempt (from 1): between tries of a read-modify-write. Without a body
    /// of its own it does not wait: whoever has timers waits (wasmtime's host does so for all its adapters).
    async fn backoff(&self, _namespace: &str, _key: &str, _attempt: u32) {}

    /// Reads one entry, lets `decide` say what becomes of it and writes that, with nothing between: the new version, or
    /// none where nothing was to be written. It may decide again, where an attempt came to nothing. Without a body of its
    /// own it reads, and writes under a guard, until no rival comes between.
    ///
    /// Only where core and storage live in one module, as in browsers: a decision does not cross into a component.
    #[cfg(all(not(feature = "component"), target_family = "wasm"))]
    async fn update(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        clock: &dyn Clock,
        want: Projection,
        decide: &mut Decide<'_>,
    ) -> Result<Option<Version>> {
        let state = store::seen(self, namespace, key, now, want).await?;
        let first = store::Seen { now, state, stale: self.capabilities().reads_stale() };
        store::by_guards(self, clock, namespace, key, want, first, decide).await
    }
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
#[cfg_attr(all(not(feature = "component"), target_family = "wasm"), async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl<S: Storage + ?Sized + crate::MaybeSend> Storage for Arc<S> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    fn default_ttls(&self) -> Vec<(String, u64)> {
        (**self).default_ttls()
    }
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        (**self).get(namespace, key, now, with_value).await
    }
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        (**self).get_many(namespace, keys, now, with_value).await
    }
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        (**self).write(namespace, mutations, atomic, now, on_conflict).await
    }
    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        (**self).scan(namespace, range, hint, now, limit, want).await
    }
    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        (**self).count(namespace, range, now).await
    }
    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        (**self).reclaim(namespace, now, limit).await
    }
    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        (**self).clear(namespace, limit).await
    }
    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        (**self).namespaces(after, limit).await
    }
    async fn backoff(&self, namespace: &str, key: &str, attempt: u32) {
        (**self).backoff(namespace, key, attempt).await;
    }
    #[cfg(all(not(feature = "component"), target_family = "wasm"))]
    async fn update(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        clock: &dyn Clock,
        want: Projection,
        decide: &mut Decide<'_>,
    ) -> Result<Option<Version>> {
        (**self).update(namespace, key, now, clock, want, decide).await
    }
}
