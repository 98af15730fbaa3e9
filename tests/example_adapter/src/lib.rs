//! An adapter as a stranger would write it: the worked example of `docs/adapters.md`.
//!
//! Its backend is an append-only log: a text file with a line for each write, which is all or nothing, and everything in
//! memory for reading. That is little, but it is all of it: durable on acknowledgement, atomic over any keys of a namespace,
//! safe at every byte at which the process may die, and it passes the whole suite.
//!
//! * this file: the [`Storage`] itself; `table`: entries in memory, and what a mutation does to them; `log`: the file
//!
//! ```
//! use std::sync::Arc;
//! use dataknobs_kv::{Config, KvStore};
//! use dataknobs_kv_example_adapter::LogStorage;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("data.log");
//! let storage = LogStorage::open(&path).await?;
//! let store = KvStore::open_with(Config::from_storage(Arc::new(storage))).await?;
//! store.set("app.name", "MyApplication").await?;
//! # Ok(()) }
//! ```

mod log;
mod table;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, Projection, Result, State, Storage, Timestamp};

use log::Log;
use table::{Put, Table};

/// The largest atomic write.
const MAX_ATOMIC: u32 = 1000;
/// The largest value.
const MAX_VALUE_BYTES: u64 = 16 << 20;
/// The largest metadata.
const MAX_METADATA_BYTES: u64 = 64 << 10;

/// A store in one log file.
pub struct LogStorage {
    inner: Arc<Inner>,
}

struct Inner {
    /// What readers see: never anything that is not in the log.
    table: RwLock<Table>,
    /// Whoever writes holds it from the look at the table to the change of it.
    log: Mutex<Log>,
}

impl LogStorage {
    /// Opens the log, or begins one where there is none.
    ///
    /// # Errors
    /// `unavailable` for a file in use elsewhere and for what the operating system refuses, `corrupt` for one that is
    /// damaged or was never ours.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        blocking(move || {
            let (log, table) = Log::open(&path)?;
            Ok(LogStorage { inner: Arc::new(Inner { table: RwLock::new(table), log: Mutex::new(log) }) })
        })
        .await
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner)).await
    }
}

impl Inner {
    // Nothing panics while it holds one of these: a poisoned lock is as good as another.
    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes these to the log, and then shows them to readers.
    fn commit(&self, log: &mut Log, puts: Vec<Put>) -> Result<()> {
        if puts.is_empty() {
            return Ok(());
        }
        log.append(&puts)?;
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        puts.into_iter().for_each(|put| table.put(put));
        Ok(())
    }
}

/// Runs what waits for the disk away from the threads that poll futures. Once begun it goes on to its end, also where the
/// caller does not wait for it: a dropped call leaves a write applied whole or not at all.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Internal(format!("a storage task: {error}"))),
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Storage for LogStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            shared: false,
            max_atomic: MAX_ATOMIC,
            max_value_bytes: MAX_VALUE_BYTES,
            max_metadata_bytes: MAX_METADATA_BYTES,
            sliding: true,
            // The log takes the whole entry again.
            cheap_amend: false,
            native_expiry: false,
            indexed_scan: true,
            extra: Vec::new(),
        }
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        Ok(self.inner.table().get(namespace, key, now, with_value))
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        Ok(self.inner.table().get_many(namespace, keys, now, with_value))
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        if atomic && mutations.len() > MAX_ATOMIC as usize {
            return Err(Error::Unsupported(format!("an atomic write has at most {MAX_ATOMIC} mutations")));
        }
        let namespace = namespace.to_owned();
        self.with(move |inner| {
            let mut log = inner.log();
            let (outcomes, puts) = inner.table().decide(&namespace, mutations, atomic, now, on_conflict);
            inner.commit(&mut log, puts)?;
            Ok(outcomes)
        })
        .await
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
        let namespace = namespace.to_owned();
        self.with(move |inner| Ok(inner.table().scan(&namespace, &range, &hint, now, limit, want))).await
    }

    async fn count(&self, _namespace: &str, _range: Range, _now: Timestamp) -> Result<Option<u64>> {
        // Expired entries have no index of their own here: it costs as much as paging.
        Ok(None)
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        let namespace = namespace.map(str::to_owned);
        self.with(move |inner| {
            let mut log = inner.log();
            let (puts, more) = inner.table().expired(namespace.as_deref(), now, limit as usize);
            let count = puts.len() as u32;
            inner.commit(&mut log, puts)?;
            Ok(Reclaimed { count, more })
        })
        .await
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let namespace = namespace.to_owned();
        self.with(move |inner| {
            let mut log = inner.log();
            let (puts, more) = inner.table().all(&namespace, limit as usize);
            inner.commit(&mut log, puts)?;
            Ok(more)
        })
        .await
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        Ok(self.inner.table().namespaces(after, limit as usize))
    }

    async fn backoff(&self, _namespace: &str, _key: &str, _attempt: u32) {
        // The host waits for all its adapters.
    }
}
