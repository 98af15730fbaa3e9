//! A clock that is moved by hand, and a storage that is awkward within what it owes.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use dataknobs_kv_core::{
    Capabilities, Clock, Core, MemoryStorage, Precondition, Projection, Result, State, Storage, Store, Timestamp,
    Value, Version,
    storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed},
    store::{Item, SetOptions, SetResult},
};

pub(crate) const NS: &str = "n";

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    futures::FutureExt::now_or_never(future).expect("nothing here waits")
}

#[derive(Clone, Default)]
pub(crate) struct Hand(Arc<AtomicU64>);

impl Hand {
    pub(crate) fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn memory() -> MemoryStorage {
    let count = AtomicU64::new(1);
    MemoryStorage::new(move || u128::from(count.fetch_add(1, Ordering::SeqCst)) << 64 | 7)
}

type Rival = Box<dyn FnMut(&MemoryStorage) + Send>;

/// All that a storage may do: pages of a few items or none, batches in parts, no counts; and rivals that come right
/// before a write.
#[derive(Clone)]
pub(crate) struct Awkward {
    pub(crate) inner: MemoryStorage,
    pub(crate) page: u32,
    pub(crate) max_atomic: u32,
    pub(crate) sliding: bool,
    pub(crate) ttls: Vec<(String, u64)>,
    pub(crate) rivals: Arc<Mutex<VecDeque<Rival>>>,
    pub(crate) scans: Arc<AtomicU32>,
    pub(crate) reads: Arc<AtomicU32>,
    pub(crate) writes: Arc<AtomicU32>,
    pub(crate) waits: Arc<AtomicU32>,
}

impl Awkward {
    pub(crate) fn new(page: u32) -> Self {
        Awkward {
            inner: memory(),
            page,
            max_atomic: 1000,
            sliding: true,
            ttls: Vec::new(),
            rivals: Arc::default(),
            scans: Arc::default(),
            reads: Arc::default(),
            writes: Arc::default(),
            waits: Arc::default(),
        }
    }

    /// Each comes before one write.
    pub(crate) fn rival(&self, rival: impl FnMut(&MemoryStorage) + Send + 'static) {
        self.rivals.lock().unwrap().push_back(Box::new(rival));
    }
}

#[async_trait]
impl Storage for Awkward {
    fn capabilities(&self) -> Capabilities {
        Capabilities { max_atomic: self.max_atomic, sliding: self.sliding, ..self.inner.capabilities() }
    }
    fn default_ttls(&self) -> Vec<(String, u64)> {
        self.ttls.clone()
    }
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.get(namespace, key, now, with_value).await
    }
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let part = keys.len().min(self.page as usize);
        self.inner.get_many(namespace, &keys[..part], now, with_value).await
    }
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let mut keys: Vec<_> = mutations.iter().map(|mutation| mutation.key.clone()).collect();
        keys.sort();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "a key comes at most once");
        self.writes.fetch_add(1, Ordering::SeqCst);
        if let Some(mut rival) = self.rivals.lock().unwrap().pop_front() {
            rival(&self.inner);
        }
        self.inner.write(namespace, mutations, atomic, now, on_conflict).await
    }
    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        _hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        assert!((1..=10_000).contains(&limit));
        let scan = self.scans.fetch_add(1, Ordering::SeqCst);
        let mut page = self.inner.scan(namespace, range, Hint::default(), now, limit.min(self.page), want).await?;
        // Every third page is cut short, where it is not the last.
        if scan % 3 == 2 && page.next.is_some() && page.items.len() > 1 {
            page.next = page.items.first().map(|entry| entry.key.clone());
            page.items.truncate(1);
        }
        Ok(page)
    }
    async fn count(&self, _: &str, _: Range, _: Timestamp) -> Result<Option<u64>> {
        Ok(None)
    }
    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        self.inner.reclaim(namespace, now, limit).await
    }
    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        self.inner.clear(namespace, limit).await
    }
    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.inner.namespaces(after, limit).await
    }
    async fn backoff(&self, _: &str, _: &str, _: u32) {
        self.waits.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn core<S: Storage>(storage: S) -> (Core<S, Hand>, Hand) {
    let clock = Hand::default();
    clock.advance(1_000_000);
    (Core::new(storage, clock.clone()), clock)
}

pub(crate) fn item(key: &str, value: impl Into<Value>) -> Item {
    Item { key: key.into(), value: value.into(), options: SetOptions::default() }
}

pub(crate) fn put(store: &impl Store, key: &str, value: impl Into<Value>) -> Version {
    put_item(store, item(key, value))
}

pub(crate) fn put_item(store: &impl Store, item: Item) -> Version {
    match run(store.set(NS, item)).unwrap() {
        SetResult::Written(version) => version,
        conflict => panic!("{conflict:?}"),
    }
}

pub(crate) fn value(store: &impl Store, key: &str) -> Option<Value> {
    run(store.get(NS, key)).unwrap().map(|state| state.into_value().unwrap().unwrap())
}

/// Puts a text beside the core's back.
pub(crate) fn sneak(storage: &MemoryStorage, key: &str, text: &str) {
    let (core, _) = core(storage.clone());
    put(&core, key, text);
}

pub(crate) fn sneak_delete(storage: &MemoryStorage, key: &str) {
    let (core, _) = core(storage.clone());
    run(core.delete(NS, key, Precondition::None, Projection::Key)).unwrap();
}
