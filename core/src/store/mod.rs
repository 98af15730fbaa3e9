//! What the core gives to its callers: `wit/store.wit` in Rust.
//!
//! [`Store`] is spoken at every level: by the core itself, by the component under wasmtime, by the HTTP client. Whoever
//! holds one need not know which.
//!
//! `calls` has every operation of [`Core`], from its checks to its answer. The rules lie in a file for each question:
//! `read`, `write`, `atomic` (compare-and-swap, increment, append), `batch`, `transact`, `metadata` (and expiry), `listing`
//! (and count, delete by pattern), `children`. `draft` checks what is to be written, `modify` is how every
//! read-modify-write is made, `cursor` the form of cursors.

mod atomic;
mod batch;
mod calls;
mod children;
mod core;
mod cursor;
mod draft;
mod listing;
mod metadata;
mod modify;
mod read;
mod transact;
mod types;
mod write;

#[cfg(not(all(feature = "component", target_family = "wasm")))]
use async_trait::async_trait;

use crate::{Capabilities, MaybeSync, Precondition, Projection, Result, State, Value};

pub use self::core::Core;
#[cfg(all(not(feature = "component"), target_family = "wasm"))]
pub(crate) use modify::{Seen, by_guards, seen};
pub use types::*;

/// The store, at any level. `docs/contract.md` says what each promises.
#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
#[cfg_attr(all(not(feature = "component"), target_family = "wasm"), async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
pub trait Store: MaybeSync {
    /// What the storage below can do.
    async fn capabilities(&self) -> Result<Capabilities>;

    /// The entry with its value; none: absent or expired.
    async fn get(&self, namespace: &str, key: &str) -> Result<Option<State>>;

    /// Results for the first keys, in order: all, or fewer (at least one) where values are large; ask again for the
    /// rest.
    async fn get_many(&self, namespace: &str, keys: &[String], with_value: bool) -> Result<Vec<Result<Option<State>>>>;

    /// The entry without its value. Never moves a sliding expiry.
    async fn describe(&self, namespace: &str, key: &str) -> Result<Option<State>>;

    /// Sets one entry.
    async fn set(&self, namespace: &str, item: Item) -> Result<SetResult>;

    /// One result per item, in order; not atomic as a whole. A key that comes twice is `invalid-argument`. The values that
    /// conflicts carry are bounded too, at some 8 MiB together: past that a state comes without its value.
    async fn set_many(&self, namespace: &str, items: Vec<Item>) -> Result<Vec<Result<SetResult>>>;

    /// Removes one entry.
    async fn delete(
        &self,
        namespace: &str,
        key: &str,
        precondition: Precondition,
        on_conflict: Projection,
    ) -> Result<DeleteResult>;

    /// As `set_many`.
    async fn delete_many(&self, namespace: &str, keys: &[String]) -> Result<Vec<Result<DeleteResult>>>;

    /// All or nothing. `unsupported` where the storage cannot. A key comes at most once among the actions, at most once
    /// among the checks.
    async fn transact(&self, namespace: &str, checks: Vec<Check>, actions: Vec<Action>) -> Result<TransactionResult>;

    /// Swaps where the present value (none: absent) equals `old` ([`Value::same`]).
    async fn compare_and_swap(
        &self,
        namespace: &str,
        key: &str,
        old: Option<Value>,
        new: Value,
        options: SetOptions,
    ) -> Result<SwapResult>;

    /// Starts at 0. A number on either side makes a number; past 64 bits or not finite is `overflow`.
    async fn increment(&self, namespace: &str, key: &str, delta: Numeric, expiry: Expiry) -> Result<Counted>;

    /// Text to text, bytes to bytes; to a JSON array one element. Absent: the tail itself (a json tail as `[tail]`).
    async fn append(&self, namespace: &str, key: &str, tail: Value, expiry: Expiry) -> Result<Appended>;

    /// Merges at the top level: a null removes a field.
    async fn update_metadata(
        &self,
        namespace: &str,
        key: &str,
        patch: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult>;

    /// Puts this JSON object in the place of all metadata.
    async fn replace_metadata(
        &self,
        namespace: &str,
        key: &str,
        metadata: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult>;

    /// `Keep` on a sliding entry starts it anew; `Unspecified` is `invalid-argument`.
    async fn set_expiry(
        &self,
        namespace: &str,
        key: &str,
        expiry: Expiry,
        precondition: Precondition,
    ) -> Result<ChangeResult>;

    /// In key order; `limit` (1 to [`MAX_PAGE`]) bounds what is answered. A damaged value is `corrupt`, naming its key, for
    /// a listing with values; other listings go on.
    async fn list_entries(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
        want: Projection,
    ) -> Result<EntryPage>;

    /// Counts matches; `limit` bounds the entries looked at in one call.
    async fn count(&self, namespace: &str, query: &Query, cursor: Option<&str>, limit: u32) -> Result<Progress>;

    /// Removes matches; `limit` bounds the entries looked at in one call. With a metadata query, what is written meanwhile
    /// is looked at again, and left if it no longer matches or changes at each of twenty looks.
    async fn delete_matching(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Progress>;

    /// The next level below `prefix` (none: the top).
    async fn children(
        &self,
        namespace: &str,
        prefix: Option<&str>,
        counts: bool,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ChildPage>;

    /// Removes up to `limit` expired entries, of all namespaces where none is named.
    async fn cleanup_expired(&self, namespace: Option<&str>, limit: u32) -> Result<Cleaned>;

    /// Removes up to `limit` entries of the namespace; whether more may be left.
    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool>;

    /// Namespaces in byte order.
    async fn namespaces(&self, cursor: Option<&str>, limit: u32) -> Result<NamePage>;
}
