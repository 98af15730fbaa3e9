//! A storage that does, for some keys, what a bad one might do.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use dataknobs_kv_core::{
    Capabilities, Error, MemoryStorage, Projection, Result, State, Storage, Timestamp, Value,
    storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed},
    store::Item,
};
use dataknobs_kv_runtime::{CodeCache, ComponentStore, ManualClock, Runtime, RuntimeConfig};
use tokio::sync::Notify;

/// Memory, but for keys that begin with the name of a fault: `panic`, `stall`, `refuse`, `stall-write`, `panic-write`,
/// `refuse-write`, `stall-after-write`.
pub(crate) struct Probe {
    pub(crate) inner: MemoryStorage,
    pub(crate) gets: AtomicUsize,
    pub(crate) writes: AtomicUsize,
    /// How many calls stall at this moment.
    pub(crate) stalled: AtomicUsize,
    /// A call has begun to stall.
    pub(crate) stalls: Notify,
}

struct Stalled<'a>(&'a Probe);

impl Drop for Stalled<'_> {
    fn drop(&mut self) {
        self.0.stalled.fetch_sub(1, SeqCst);
    }
}

impl Probe {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Probe {
            inner: MemoryStorage::new(rand::random),
            gets: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            stalled: AtomicUsize::new(0),
            stalls: Notify::new(),
        })
    }

    async fn stall(&self) {
        self.stalled.fetch_add(1, SeqCst);
        let _stalled = Stalled(self);
        self.stalls.notify_one();
        std::future::pending().await
    }

    async fn fault(&self, key: &str, suffix: &str) -> Result<()> {
        if key.starts_with(&format!("panic{suffix}.")) {
            panic!("this adapter panics");
        } else if key.starts_with(&format!("stall{suffix}.")) {
            self.stall().await;
        } else if key.starts_with(&format!("refuse{suffix}.")) {
            return Err(Error::AccessDenied("this adapter refuses".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Storage for Probe {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        self.gets.fetch_add(1, SeqCst);
        self.fault(key, "").await?;
        // Others get their turn, so that rivals meet.
        tokio::task::yield_now().await;
        self.inner.get(namespace, key, now, with_value).await
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        self.inner.get_many(namespace, keys, now, with_value).await
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        self.writes.fetch_add(1, SeqCst);
        let keys: Vec<String> = mutations.iter().map(|mutation| mutation.key.clone()).collect();
        for key in &keys {
            self.fault(key, "-write").await?;
        }
        tokio::task::yield_now().await;
        let outcomes = self.inner.write(namespace, mutations, atomic, now, on_conflict).await;
        for key in &keys {
            self.fault(key, "-after-write").await?;
        }
        outcomes
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
        self.inner.scan(namespace, range, hint, now, limit, want).await
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        self.inner.count(namespace, range, now).await
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
}

/// Few instances, and nothing of the user's.
pub(crate) fn config() -> RuntimeConfig {
    RuntimeConfig { instances: 4, cache: CodeCache::Folder(cache()), ..RuntimeConfig::default() }
}

/// One folder for all tests of this build: only the first compiles.
fn cache() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("code")
}

pub(crate) fn start(config: RuntimeConfig) -> (Runtime, Arc<Probe>, ComponentStore) {
    let runtime = Runtime::new(config).unwrap();
    let probe = Probe::new();
    let store = runtime.store(Arc::clone(&probe) as Arc<dyn Storage>, Arc::new(ManualClock::new(1_000_000)));
    (runtime, probe, store)
}

pub(crate) fn item(key: &str, value: impl Into<Value>) -> Item {
    Item { key: key.into(), value: value.into(), options: Default::default() }
}
