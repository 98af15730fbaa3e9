//! One crash-safe file: an embedded store on [redb](https://docs.rs/redb), a copy-on-write B-tree.
//!
//! * `config`: what is set; `file`: opening, refusing, and opening again after a failure
//! * `format`: the tables, and how keys and heads are encoded
//! * `reader`, `scan`: reads, each in one snapshot
//! * `writer`: the one thread that writes, and how waiting writes share a commit; `apply`: what one write does in a
//!   transaction; `cleanup`: removal of expired entries and of namespaces
//! * `failure`: redb's errors in the core's words; `diagnose`: settings under which entries may be lost
//!
//! **Where code runs.** Writes run on the writer's thread. A read of single keys runs right where it is called: its pages
//! are nearly always in redb's cache, so it takes microseconds, less than handing it to another thread and back would;
//! a page that is not there costs one read of the file, about as much as a page fault. redb holds no lock of a reader's
//! while it flushes a commit. Whatever walks over many rows goes to tokio's threads for blocking work.

mod apply;
mod cleanup;
mod config;
mod diagnose;
mod failure;
mod file;
mod format;
mod reader;
mod scan;
mod writer;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, Projection, Result, State, Storage, Timestamp, key};

pub use config::{Durability, RedbConfig};

use crate::blocking::blocking;
use file::StoreFile;
use writer::Writer;

/// The largest atomic write.
const MAX_ATOMIC: usize = 1000;
/// The largest value.
const MAX_VALUE_BYTES: usize = 16 << 20;
/// The largest metadata.
const MAX_METADATA_BYTES: usize = 64 << 10;
/// Reads of up to so many keys run where they are called.
const INLINE_KEYS: usize = 16;

/// A store in one redb file.
///
/// Dropping it finishes the writes that wait, closes the file and gives up its lock: it can be opened again at once. The
/// drop waits for that.
pub struct RedbStorage {
    file: Arc<StoreFile>,
    writer: Writer,
}

impl RedbStorage {
    /// Opens the file, or with `create` makes a new one where there is none (or an empty one). What can go wrong is said
    /// at [`Location::open`](crate::Location::open).
    ///
    /// After a crash the whole file is checked first, which takes some seconds for a gigabyte; the log says so.
    pub async fn open(config: RedbConfig, create: bool) -> Result<Self> {
        blocking(move || {
            let file = Arc::new(StoreFile::open(config, create)?);
            let writer = Writer::start(file.clone())?;
            Ok(RedbStorage { file, writer })
        })
        .await
    }

    /// What it was opened with.
    pub(crate) fn config(&self) -> &RedbConfig {
        self.file.config()
    }

    /// How many transactions have been committed since the file was created: concurrent writes share them.
    pub fn commits(&self) -> u64 {
        self.file.commits()
    }

    /// Runs a walk over many rows.
    async fn walk<T: Send + 'static>(&self, walk: impl FnOnce(&StoreFile) -> Result<T> + Send + 'static) -> Result<T> {
        let file = self.file.clone();
        let result = blocking(move || walk(&file)).await;
        self.heal(result)
    }

    /// After a failed read the writer is asked to look after the file.
    fn heal<T>(&self, result: Result<T>) -> Result<T> {
        if self.file.failed() {
            self.writer.heal();
        }
        result
    }
}

impl fmt::Debug for RedbStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStorage").field("config", self.file.config()).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Storage for RedbStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: self.file.config().durability == Durability::Immediate,
            shared: false,
            max_atomic: MAX_ATOMIC as u32,
            max_value_bytes: MAX_VALUE_BYTES as u64,
            max_metadata_bytes: MAX_METADATA_BYTES as u64,
            sliding: true,
            cheap_amend: true,
            native_expiry: false,
            indexed_scan: true,
            extra: Vec::new(),
        }
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        key::validate_namespace(namespace)?;
        self.heal(reader::get(&self.file, namespace, key, now, with_value))
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        key::validate_namespace(namespace)?;
        if keys.len() <= INLINE_KEYS {
            return self.heal(reader::get_many(&self.file, namespace, keys, now, with_value));
        }
        let (namespace, keys) = (namespace.to_owned(), keys.to_owned());
        self.walk(move |file| reader::get_many(file, &namespace, &keys, now, with_value)).await
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        key::validate_namespace(namespace)?;
        if atomic && mutations.len() > MAX_ATOMIC {
            let length = mutations.len();
            return Err(Error::Unsupported(format!(
                "{length} mutations in one atomic write; {MAX_ATOMIC} are the most"
            )));
        }
        self.writer.write(namespace.to_owned(), mutations, atomic, now, on_conflict).await
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
        key::validate_namespace(namespace)?;
        let namespace = namespace.to_owned();
        self.walk(move |file| scan::scan(file, &namespace, &range, &hint, now, limit, want)).await
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        key::validate_namespace(namespace)?;
        let namespace = namespace.to_owned();
        self.walk(move |file| scan::count(file, &namespace, &range, now)).await
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        namespace.map_or(Ok(()), key::validate_namespace)?;
        let namespace = namespace.map(str::to_owned);
        // The look for them, which may be long, holds up nobody; the writer looks at each again.
        let (rows, more) = self.walk(move |file| cleanup::due(file, namespace.as_deref(), now, limit)).await?;
        let mut count = 0;
        for rows in rows.chunks(cleanup::STEP) {
            count += self.writer.reclaim(rows.to_vec(), now).await?;
        }
        Ok(Reclaimed { count, more })
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        key::validate_namespace(namespace)?;
        let mut left = limit as usize;
        let mut more = true;
        // In steps, so that other writes come in between.
        while more && left > 0 {
            let step = left.min(cleanup::STEP);
            more = self.writer.clear(namespace.to_owned(), step).await?;
            left -= step;
        }
        Ok(more)
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        let after = after.map(str::to_owned);
        self.walk(move |file| scan::namespaces(file, after.as_deref(), limit)).await
    }

    async fn backoff(&self, _namespace: &str, _key: &str, _attempt: u32) {
        // The host waits for all its adapters.
    }
}
