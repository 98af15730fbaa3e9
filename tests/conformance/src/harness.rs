//! What a case gets to work with.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dataknobs_kv_core::storage::{Capabilities, Mutation, Outcome};
use dataknobs_kv_core::store::{
    ChangeResult, Counted, DeleteResult, Expiry, Item, Numeric, Query, SetOptions, SetResult, SwapResult,
};
use dataknobs_kv_core::{
    Clock, Entry, Error, MaybeSend, Precondition, Projection, Result, State, Storage, Store, Timestamp, Value, Version,
};
use futures::future::LocalBoxFuture;

/// What a case may need: an ability of the runner, or something that the backend declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// The storage itself, below the store.
    Raw,
    /// The runner's store over another storage.
    Over,
    /// Several calls at once.
    Concurrent,
    /// To stop and to open the same data again.
    Reopen,
    /// The calls that take many items.
    Batches,
    /// Transactions, in the runner.
    Transact,
    /// To empty a namespace.
    Clear,
    /// Listings cut into pages by the caller.
    Paging,
    /// Listings by metadata.
    Query,
    /// Metadata replaced whole.
    ReplaceMetadata,
    /// Preconditions on changes of metadata and expiry, and on compare-and-swap.
    ChangeGuards,
    /// Conflicts that carry the state in the way.
    Conflicts,
    /// Sliding expiry, in the runner.
    SlidingExpiry,
    /// `Expiry::Keep`, and the expiry of increments and appends.
    KeepExpiry,
    /// Values of every type, as given (content types and custom types included).
    AllTypes,
    /// JSON values that are no object or array, beside the types of their own.
    JsonScalars,
    /// Input that does not reach every runner as it is: control characters, empty keys.
    RawInput,
    /// Keys listed with attributes or values.
    Projections,
    /// A hundred thousand keys without much ado.
    Volume,
    /// Backend: transactions of a thousand parts.
    Atomic,
    /// Backend: single writes only.
    NotAtomic,
    /// Backend: sliding expiry.
    Sliding,
    /// Backend: no sliding expiry.
    NotSliding,
    /// Backend: a largest value that a test can pass.
    BoundedValues,
    /// Backend: a largest metadata that a test can pass.
    BoundedMetadata,
    /// Backend: acknowledged writes survive.
    Durable,
}

impl Need {
    /// What the backend's declaration says about it; none: it is the runner's matter.
    pub fn declared(self, capabilities: &Capabilities) -> Option<bool> {
        const TESTABLE: u64 = 80 << 20;
        Some(match self {
            Need::Atomic => capabilities.max_atomic >= 1000,
            Need::NotAtomic => capabilities.max_atomic == 1,
            Need::Sliding => capabilities.sliding,
            Need::NotSliding => !capabilities.sliding,
            Need::BoundedValues => capabilities.max_value_bytes <= TESTABLE,
            Need::BoundedMetadata => capabilities.max_metadata_bytes <= TESTABLE,
            Need::Durable => capabilities.durable,
            _ => return None,
        })
    }
}

/// A clock that stands still until it is moved.
pub trait TestClock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Timestamp;
    /// Makes it this time.
    fn set(&self, now: Timestamp);
    /// Moves it on by so many milliseconds.
    fn advance(&self, milliseconds: u64) {
        self.set(self.now() + milliseconds);
    }
}

/// The clock for whatever runs in this process.
pub struct HandClock(AtomicU64);

impl HandClock {
    /// When every case begins: in January 2027.
    pub const START: Timestamp = 1_800_000_000_000;
}

impl Default for HandClock {
    fn default() -> Self {
        HandClock(AtomicU64::new(Self::START))
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }
}

impl TestClock for HandClock {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }
    fn set(&self, now: Timestamp) {
        self.0.store(now, Ordering::SeqCst);
    }
}

/// Builds the runner's store over another storage.
pub type Over = Arc<dyn Fn(Arc<dyn Storage>) -> Arc<dyn Store> + Send + Sync>;

/// Opens the data again, all that used it being gone.
pub type Reopen = Box<dyn FnOnce() -> Task<(Arc<dyn Store>, Option<Arc<dyn Storage>>, Option<Reopener>)> + Send>;

/// A [`Reopen`] to be used later.
pub struct Reopener(pub Reopen);

/// What a case gets: a store, a clock and a namespace that nobody else uses.
pub struct Harness {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// Its clock.
    pub clock: Arc<dyn TestClock>,
    /// A fresh one.
    pub namespace: String,
    /// The storage below, with [`Need::Raw`].
    pub storage: Option<Arc<dyn Storage>>,
    /// With [`Need::Over`].
    pub over: Option<Over>,
    /// With [`Need::Reopen`].
    pub reopener: Option<Reopener>,
    /// What the backend declares.
    pub capabilities: Capabilities,
    /// Whether many small calls are dear: cases then try fewer of a kind.
    pub slow: bool,
    /// Whether the runner has [`Need::Batches`].
    pub batches: bool,
}

/// A name that was never used before.
pub fn fresh_namespace() -> String {
    format!("case-{:016x}", rand::random::<u64>())
}

/// The value, to look at in a failure. (`Debug` of a value shows only its length.)
pub fn shown(value: &Value) -> String {
    let (value_type, bytes) = value.clone().encode();
    let text = String::from_utf8_lossy(&bytes);
    let cut: String = text.chars().take(80).collect();
    format!("{value_type} {cut:?} of {} bytes", bytes.len())
}

/// Expects this kind of error.
#[track_caller]
pub fn refused<T: Debug>(result: Result<T>, code: &str) -> Error {
    match result {
        Err(error) if error.code() == code => error,
        other => panic!("expected {code}, got {other:?}"),
    }
}

/// Expects this kind of error, saying what was tried.
#[track_caller]
pub fn refused_for<T: Debug>(result: Result<T>, code: &str, what: &str) -> Error {
    match result {
        Err(error) if error.code() == code => error,
        other => panic!("{what:?}: expected {code}, got {other:?}"),
    }
}

/// Expects equal values.
#[track_caller]
pub fn assert_value(actual: Option<&Value>, expected: &Value, what: &str) {
    match actual {
        // Compared as stored: a number's zero has a sign.
        Some(actual) if actual.clone().encode() == expected.clone().encode() => {}
        other => panic!("{what}: expected {}, got {}", shown(expected), other.map_or("nothing".into(), shown)),
    }
}

/// The version of something that was to be written.
#[track_caller]
pub fn written(result: Result<SetResult>) -> Version {
    match result {
        Ok(SetResult::Written(version)) => version,
        other => panic!("expected it to be written, got {other:?}"),
    }
}

/// The state in the way of something that was to lose.
#[track_caller]
pub fn conflict(result: Result<SetResult>) -> Option<State> {
    match result {
        Ok(SetResult::Conflict(state)) => state,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

/// The version of something that was to be changed.
#[track_caller]
pub fn changed(result: Result<ChangeResult>) -> Version {
    match result {
        Ok(ChangeResult::Written(version)) => version,
        other => panic!("expected it to be changed, got {other:?}"),
    }
}

/// The version of something that was to be swapped.
#[track_caller]
pub fn swapped(result: Result<SwapResult>) -> Version {
    match result {
        Ok(SwapResult::Swapped(version)) => version,
        other => panic!("expected it to be swapped, got {other:?}"),
    }
}

/// What is there instead, where a swap was to be refused.
#[track_caller]
pub fn different(result: Result<SwapResult>) -> Option<State> {
    match result {
        Ok(SwapResult::Different(state)) => state,
        other => panic!("expected it to differ, got {other:?}"),
    }
}

/// Options: only an expiry.
pub fn expiring(expiry: Expiry) -> SetOptions {
    SetOptions { expiry, ..SetOptions::default() }
}

/// Options: only metadata.
pub fn with_metadata(metadata: &str) -> SetOptions {
    SetOptions { metadata: Some(metadata.into()), ..SetOptions::default() }
}

/// Options: only a precondition; conflicts carry all.
pub fn only_if(precondition: Precondition) -> SetOptions {
    SetOptions { precondition, on_conflict: Projection::Value, ..SetOptions::default() }
}

/// An item without options.
pub fn item(key: &str, value: impl Into<Value>) -> Item {
    Item { key: key.into(), value: value.into(), options: SetOptions::default() }
}

/// Equal as JSON.
#[track_caller]
pub fn assert_json(actual: Option<&str>, expected: &str) {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(actual.map(parse), Some(parse(expected)));
}

/// A task for [`together`].
#[cfg(not(target_family = "wasm"))]
pub type Task<T> = futures::future::BoxFuture<'static, T>;
/// A task for [`together`].
#[cfg(target_family = "wasm")]
pub type Task<T> = LocalBoxFuture<'static, T>;

/// Runs the tasks at the same time: on threads where there are any.
pub async fn together<T: MaybeSend + 'static>(tasks: Vec<Task<T>>) -> Vec<T> {
    #[cfg(not(target_family = "wasm"))]
    {
        let handles: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        let mut results = Vec::new();
        for handle in handles {
            results.push(handle.await.expect("a task of the case failed"));
        }
        results
    }
    #[cfg(target_family = "wasm")]
    futures::future::join_all(tasks).await
}

impl Harness {
    /// Sets, and expects it to be written.
    #[track_caller]
    pub fn put<'a>(&'a self, key: &'a str, value: impl Into<Value>) -> LocalBoxFuture<'a, Version> {
        let (value, at) = (value.into(), std::panic::Location::caller());
        Box::pin(async move {
            match self.store.set(&self.namespace, item(key, value)).await {
                Ok(SetResult::Written(version)) => version,
                other => panic!("set of {key:?} at {at}: {other:?}"),
            }
        })
    }

    /// Sets with options.
    pub async fn set(&self, key: &str, value: impl Into<Value>, options: SetOptions) -> Result<SetResult> {
        self.store.set(&self.namespace, Item { key: key.into(), value: value.into(), options }).await
    }

    /// Sets them all, as fast as the runner can.
    pub async fn put_all(&self, items: Vec<Item>) {
        if !self.batches {
            for item in items {
                written(self.store.set(&self.namespace, item).await);
            }
            return;
        }
        for part in items.chunks(1000) {
            let results = self.store.set_many(&self.namespace, part.to_vec()).await.expect("set_many");
            assert_eq!(results.len(), part.len());
            for result in results {
                written(result);
            }
        }
    }

    /// Sets these keys, each to its own name.
    pub async fn put_keys(&self, keys: &[&str]) {
        self.put_all(keys.iter().map(|key| item(key, *key)).collect()).await;
    }

    /// The entry, with its value.
    pub async fn get(&self, key: &str) -> Option<State> {
        self.store.get(&self.namespace, key).await.unwrap_or_else(|e| panic!("get of {key:?}: {e}"))
    }

    /// The entry, which must be there.
    pub async fn entry(&self, key: &str) -> State {
        self.get(key).await.unwrap_or_else(|| panic!("{key:?} is not there"))
    }

    /// The value.
    pub async fn value(&self, key: &str) -> Option<Value> {
        self.get(key).await.map(|state| state.into_value().expect("a sound value").expect("a value"))
    }

    /// Expects this value.
    pub async fn expect(&self, key: &str, value: impl Into<Value>) {
        assert_value(self.value(key).await.as_ref(), &value.into(), key);
    }

    /// Expects nothing.
    pub async fn expect_absent(&self, key: &str) {
        let state = self.get(key).await;
        assert!(state.is_none(), "{key:?} is there: {state:?}");
    }

    /// The entry without its value.
    pub async fn describe(&self, key: &str) -> Option<State> {
        self.store.describe(&self.namespace, key).await.unwrap_or_else(|e| panic!("describe of {key:?}: {e}"))
    }

    /// Deletes without a precondition.
    pub async fn delete(&self, key: &str) -> DeleteResult {
        self.store
            .delete(&self.namespace, key, Precondition::None, Projection::Key)
            .await
            .unwrap_or_else(|e| panic!("delete of {key:?}: {e}"))
    }

    /// Adds.
    pub async fn increment(&self, key: &str, delta: i64) -> Result<Counted> {
        self.store.increment(&self.namespace, key, Numeric::Integer(delta), Expiry::Unspecified).await
    }

    /// Swaps values without further demands.
    pub async fn swap(&self, key: &str, old: Option<Value>, new: impl Into<Value>) -> Result<SwapResult> {
        self.store.compare_and_swap(&self.namespace, key, old, new.into(), SetOptions::default()).await
    }

    /// Gives a new expiry.
    pub async fn set_expiry(&self, key: &str, expiry: Expiry) -> Result<ChangeResult> {
        self.store.set_expiry(&self.namespace, key, expiry, Precondition::None).await
    }

    /// Merges metadata.
    pub async fn update_metadata(&self, key: &str, patch: &str) -> Result<ChangeResult> {
        self.store.update_metadata(&self.namespace, key, patch, Precondition::None).await
    }

    /// Everything that matches, all pages.
    pub async fn list(&self, query: &Query, limit: u32, want: Projection) -> Vec<Entry> {
        let (mut entries, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = self
                .store
                .list_entries(&self.namespace, query, cursor.as_deref(), limit, want)
                .await
                .unwrap_or_else(|e| panic!("listing {:?}: {e}", query.pattern));
            assert!(page.entries.len() <= limit as usize, "a page of {limit} holds {}", page.entries.len());
            entries.extend(page.entries);
            pages += 1;
            assert!(pages < 100_000, "a listing without end");
            match page.cursor {
                Some(next) => cursor = Some(next),
                None => return entries,
            }
        }
    }

    /// The keys that match.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        let entries = self.list(&Query::pattern(pattern), 1000, Projection::Key).await;
        entries.into_iter().map(|entry| entry.key).collect()
    }

    /// How many match, all parts.
    pub async fn count(&self, query: &Query, limit: u32) -> u64 {
        let (mut count, mut cursor, mut calls) = (0, None, 0);
        loop {
            let progress = self
                .store
                .count(&self.namespace, query, cursor.as_deref(), limit)
                .await
                .unwrap_or_else(|e| panic!("counting {:?}: {e}", query.pattern));
            count += progress.count;
            calls += 1;
            assert!(calls < 100_000, "a count without end");
            match progress.cursor {
                Some(next) => cursor = Some(next),
                None => return count,
            }
        }
    }

    /// Removes what matches, all parts; how many.
    pub async fn delete_matching(&self, query: &Query, limit: u32) -> u64 {
        let (mut count, mut cursor, mut calls) = (0, None, 0);
        loop {
            let progress = self
                .store
                .delete_matching(&self.namespace, query, cursor.as_deref(), limit)
                .await
                .unwrap_or_else(|e| panic!("deleting {:?}: {e}", query.pattern));
            count += progress.count;
            calls += 1;
            assert!(calls < 100_000, "a deletion without end");
            match progress.cursor {
                Some(next) => cursor = Some(next),
                None => return count,
            }
        }
    }

    /// The same store and clock with another namespace.
    pub fn beside(&self, namespace: impl Into<String>) -> Harness {
        Harness {
            store: self.store.clone(),
            clock: self.clock.clone(),
            namespace: namespace.into(),
            storage: self.storage.clone(),
            over: self.over.clone(),
            reopener: None,
            capabilities: self.capabilities.clone(),
            slow: self.slow,
            batches: self.batches,
        }
    }

    /// The storage below.
    pub fn storage(&self) -> Arc<dyn Storage> {
        self.storage.clone().expect("the case declares that it needs `Raw`")
    }

    /// The runner's store over what `wrap` makes of the storage below.
    pub fn over(&self, wrap: impl FnOnce(Arc<dyn Storage>) -> Arc<dyn Storage>) -> Harness {
        let over = self.over.as_ref().expect("the case declares that it needs `Over`");
        let storage = wrap(self.storage());
        let mut harness = self.beside(self.namespace.clone());
        harness.capabilities = storage.capabilities();
        harness.store = over(storage.clone());
        harness.storage = Some(storage);
        harness
    }

    /// Lets go of everything, and opens the data again.
    pub async fn reopen(self) -> Harness {
        let Harness { store, clock, namespace, storage, over, reopener, capabilities, slow, batches } = self;
        let Reopener(reopen) = reopener.expect("the case declares that it needs `Reopen`");
        drop((store, storage));
        let (store, storage, reopener) = reopen().await;
        Harness { store, clock, namespace, storage, over, reopener, capabilities, slow, batches }
    }

    /// One write on the storage below, now.
    pub async fn write(&self, mutations: Vec<Mutation>, atomic: bool) -> Vec<Result<Outcome>> {
        let count = mutations.len();
        let results = self
            .storage()
            .write(&self.namespace, mutations, atomic, self.clock.now(), Projection::Value)
            .await
            .expect("a write");
        assert_eq!(results.len(), count, "one result for each mutation");
        results
    }

    /// `full` on a quick runner, `light` on a slow one.
    pub fn many(&self, full: usize, light: usize) -> usize {
        if self.slow { light } else { full }
    }
}
