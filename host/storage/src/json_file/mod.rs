//! A JSON file: a snapshot that any editor opens, and a journal beside it.
//!
//! All entries are in memory, in the core's reference storage, which answers every read. A write goes into the journal,
//! costs what it changes, and is answered once it is on disk; now and then the journal is folded into a new snapshot.
//!
//! * `config`: what is set; `files`: which files there are, and opening them; `lock`: one user at a time
//! * `format`: how snapshot and journal are written; `load`, `members`: reading a snapshot, also one that a person changed
//!   or another program wrote; `replay`: reading a journal
//! * `writer`: the one thread that writes, and how waiting writes share an `fsync`; `stage`: what one group of them does;
//!   `journal`: appending; `compact`: folding the journal into a new snapshot
//! * `failure`: what went wrong, and where, in the core's words; `diagnose`: what works and is not as it should be

mod compact;
mod config;
mod diagnose;
mod failure;
mod files;
mod format;
mod journal;
mod load;
mod lock;
mod members;
mod replay;
mod stage;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, MemoryStorage, Projection, Result, State, Storage, Timestamp, key};

pub use config::{Compression, JsonFileConfig};

use crate::Durability;
use crate::blocking::blocking;
use writer::Writer;

/// The largest atomic write.
const MAX_ATOMIC: usize = 1000;
/// How many entries a removal of many takes at once, so that other writes come in between.
const STEP: usize = 1000;

/// A store in a JSON file, all of it in memory.
///
/// Dropping it finishes the writes that wait, closes the files and gives up the lock: it can be opened again at once. The
/// drop waits for that.
pub struct JsonFileStorage {
    config: JsonFileConfig,
    memory: MemoryStorage,
    writer: Writer,
}

impl JsonFileStorage {
    /// Opens the file, or with `create` makes a new one where there is none (or an empty one). What can go wrong is said
    /// at [`Location::open`](crate::Location::open).
    ///
    /// All of it is read: some seconds for a gigabyte. Nothing is changed by that, whatever the file is.
    pub async fn open(config: JsonFileConfig, create: bool) -> Result<Self> {
        blocking(move || {
            let opened = files::open(&config, create)?;
            let memory = opened.memory.clone();
            let writer = Writer::start(config.clone(), opened)?;
            Ok(JsonFileStorage { config, memory, writer })
        })
        .await
    }
}

impl fmt::Debug for JsonFileStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonFileStorage").field("config", &self.config).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Storage for JsonFileStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: self.config.durability == Durability::Immediate,
            shared: false,
            max_atomic: MAX_ATOMIC as u32,
            native_expiry: false,
            ..self.memory.capabilities()
        }
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        key::validate_namespace(namespace)?;
        self.memory.get(namespace, key, now, with_value).await
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        key::validate_namespace(namespace)?;
        self.memory.get_many(namespace, keys, now, with_value).await
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
        self.memory.scan(namespace, range, hint, now, limit, want).await
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        key::validate_namespace(namespace)?;
        self.memory.count(namespace, range, now).await
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        namespace.map_or(Ok(()), key::validate_namespace)?;
        let mut reclaimed = Reclaimed { count: 0, more: true };
        while reclaimed.more && reclaimed.count < limit {
            let step = STEP.min(limit.saturating_sub(reclaimed.count) as usize);
            let Reclaimed { count, more } = self.writer.reclaim(namespace.map(str::to_owned), now, step).await?;
            reclaimed = Reclaimed { count: reclaimed.count.saturating_add(count), more };
        }
        Ok(reclaimed)
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        key::validate_namespace(namespace)?;
        let mut left = limit as usize;
        let mut more = true;
        while more && left > 0 {
            let step = left.min(STEP);
            more = self.writer.clear(namespace.to_owned(), step).await?;
            left -= step;
        }
        Ok(more)
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.memory.namespaces(after, limit).await
    }

    async fn backoff(&self, _namespace: &str, _key: &str, _attempt: u32) {
        // The host waits for all its adapters.
    }
}
