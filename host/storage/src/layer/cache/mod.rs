//! A cache in memory in front of a storage.
//!
//! * `get` and `get_many` with values are answered from it, and read through it: also that a key is absent is remembered,
//!   and callers that miss the same key together share one read. All else goes past it.
//! * What this cache wrote is seen at once, also by reads that began before. Whether an entry has expired is decided by the
//!   caller's time at every answer.
//! * What others write (another process, or another cache over the same storage) is seen after [`CacheConfig::ttl`] at the
//!   latest. Capabilities say so under [`STALE_READS`], and then the core asks the storage before it refuses something on
//!   account of what it read; guarded writes are decided by the storage in any case.
//!
//! `table` keeps the answers and sees to it that none is older than a write; `config` holds the settings.

mod config;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{
    ANSWER_BYTES, Change, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed, STALE_READS,
};
use dataknobs_kv_core::{Capabilities, Projection, Result, State, Storage, Timestamp};
use dataknobs_kv_metrics::{Counter, Families, Source};

use self::table::{Joined, Name, Table};

pub use self::config::CacheConfig;

/// A storage behind a cache. The module's text says what is cached, and what is promised.
pub struct Cached {
    inner: Arc<dyn Storage>,
    table: Arc<Table>,
    config: CacheConfig,
    hits: Counter,
    misses: Counter,
    reads: Counter,
}

/// What a cache has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Keys answered from memory.
    pub hits: u64,
    /// Keys that were not.
    pub misses: u64,
    /// Of those, keys that the storage was asked for; the others waited for the same answer.
    pub reads: u64,
    /// About how many entries are kept.
    pub entries: u64,
}

impl Cached {
    /// A cache over this storage, empty at first.
    pub fn new(inner: Arc<dyn Storage>, config: CacheConfig) -> Self {
        let table = Arc::new(Table::new(&config));
        Cached { inner, table, config, hits: Counter::default(), misses: Counter::default(), reads: Counter::default() }
    }

    /// What it has done so far.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.get(),
            misses: self.misses.get(),
            reads: self.reads.get(),
            entries: self.table.len(),
        }
    }

    /// Joins or starts the reads of these keys.
    fn join(&self, namespace: &str, keys: &[&str], now: Timestamp, with_value: bool) -> Vec<Joined> {
        let (inner, space) = (Arc::clone(&self.inner), namespace.to_owned());
        let read = |keys: Vec<String>| async move {
            match keys.as_slice() {
                [key] => Ok(vec![Ok(inner.get(&space, key, now, with_value).await?)]),
                keys => inner.get_many(&space, keys, now, with_value).await,
            }
        };
        let (joined, own) = self.table.join(namespace, keys, now, with_value, read);
        self.reads.add(own as u64);
        joined
    }
}

impl Source for Cached {
    fn tell(&self, families: &mut Families<'_>) -> std::fmt::Result {
        let CacheStats { hits, misses, reads, entries } = self.stats();
        families.counter("cache_hits", "Keys answered from the cache", hits)?;
        families.counter("cache_misses", "Keys that the cache had no answer for", misses)?;
        families.counter("cache_reads", "Of those, keys that the backend was asked for", reads)?;
        families.gauge("cache_entries", "Entries in the cache, absent ones among them", entries)
    }
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").field("config", &self.config).finish_non_exhaustive()
    }
}

/// About what it weighs in an answer.
fn weight(state: Option<&State>) -> usize {
    state.map_or(0, |state| {
        let metadata = state.attributes.metadata.as_ref().map_or(0, String::len);
        state.value.as_ref().map_or(0, Vec::len).saturating_add(metadata).saturating_add(128)
    })
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Storage for Cached {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        if capabilities.shared {
            capabilities.extra.push((STALE_READS.into(), self.config.ttl.as_millis().to_string()));
        }
        capabilities
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        self.inner.default_ttls()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        if let Some(state) = self.table.answer(namespace, key, now, with_value) {
            self.hits.add(1);
            return Ok(state);
        }
        self.misses.add(1);
        loop {
            match self.join(namespace, &[key], now, with_value).pop() {
                Some(Joined::Kept(state)) => return Ok(state),
                Some(Joined::Flight(flight)) => {
                    if let Some(result) = flight.land(now, with_value).await {
                        return result;
                    }
                    // Part of a larger read that did not come to this key.
                }
                None => return self.inner.get(namespace, key, now, with_value).await,
            }
        }
    }

    /// Without values it goes past the cache: it is then asked before something is written.
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        if !with_value {
            return self.inner.get_many(namespace, keys, now, with_value).await;
        }
        // None: not there yet.
        let mut found: HashMap<&str, Option<Result<Option<State>>>> = HashMap::with_capacity(keys.len());
        let mut missing = Vec::new();
        let mut asked = keys;
        let mut bytes: usize = 0;
        for (index, key) in keys.iter().enumerate() {
            if bytes > ANSWER_BYTES {
                // What lies in memory fills the answer: the rest is not even asked for.
                asked = keys.get(..index).unwrap_or(keys);
                break;
            }
            let Entry::Vacant(place) = found.entry(key) else { continue };
            let state = self.table.answer(namespace, key, now, true);
            if state.is_none() {
                missing.push(key.as_str());
            }
            bytes = bytes.saturating_add(state.as_ref().map_or(0, |state| weight(state.as_ref())));
            place.insert(state.map(Ok));
        }
        self.hits.add((found.len() - missing.len()) as u64);
        self.misses.add(missing.len() as u64);
        let mut waiting = Vec::new();
        for (key, joined) in missing.iter().zip(self.join(namespace, &missing, now, true)) {
            match joined {
                Joined::Kept(state) => _ = found.insert(key, Some(Ok(state))),
                Joined::Flight(flight) => waiting.push(async { (*key, flight.land(now, true).await) }),
            }
        }
        for (key, result) in futures::future::join_all(waiting).await {
            found.insert(key, result);
        }
        // For the first keys, up to one that is not there yet or would be too much.
        let mut answers = Vec::with_capacity(keys.len());
        let mut bytes: usize = 0;
        for key in asked {
            let Some(Some(result)) = found.get(key.as_str()) else { break };
            bytes = bytes.saturating_add(result.as_ref().map_or(0, |state| weight(state.as_ref())));
            if bytes > ANSWER_BYTES && !answers.is_empty() {
                break;
            }
            answers.push(result.clone());
        }
        match (answers.is_empty(), asked.first()) {
            (true, Some(first)) => Ok(vec![self.get(namespace, first, now, true).await]),
            _ => Ok(answers),
        }
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let mut written = Vec::new();
        let mut checked = Vec::new();
        for (index, mutation) in mutations.iter().enumerate() {
            let name = Name::new(namespace, &mutation.key);
            match mutation.change {
                Change::Check => checked.push((index, name)),
                _ => written.push(name),
            }
        }
        let writing = self.table.writing(written);
        let outcomes = self.inner.write(namespace, mutations, atomic, now, on_conflict).await;
        drop(writing);
        for (index, name) in checked {
            let held = outcomes.as_ref().ok().and_then(|outcomes| outcomes.get(index));
            if !matches!(held, Some(Ok(Outcome::Held | Outcome::NotApplied))) {
                self.table.forget(name);
            }
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
        self.table.reclaiming(now);
        self.inner.reclaim(namespace, now, limit).await
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let _clearing = self.table.clearing();
        self.inner.clear(namespace, limit).await
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.inner.namespaces(after, limit).await
    }

    async fn backoff(&self, namespace: &str, key: &str, attempt: u32) {
        self.inner.backoff(namespace, key, attempt).await;
    }
}
