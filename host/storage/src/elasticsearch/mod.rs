//! A store in Elasticsearch or OpenSearch: a document per entry, found by key in real time and by search.
//!
//! * `config`: what is set; `client`: requests with a deadline; `failure`: answers in the core's words
//! * `index`: the index and its alias; `format`: the documents in it; `store`: what all operations share
//! * `read`: by key; `scan`: listing and counting; `sizes`: how their answers stay bounded
//! * `write`: how a mutation becomes guarded requests; `bulk`: these requests; `seen`: what spares a read before a write
//! * `cleanup`: removal of expired entries and of namespaces; `diagnose`: what works and is not as it should be
//!
//! Both servers answer alike to all that is used here: the document APIs with `if_seq_no`, `_bulk`, `_mget`, `_refresh`,
//! `_count`, and `composite` and `top_hits` aggregations. Scripts are not used: a server may forbid them.

mod bulk;
mod cleanup;
mod client;
mod config;
mod diagnose;
mod failure;
mod format;
mod index;
mod read;
mod scan;
mod seen;
mod sizes;
mod store;
mod write;

use std::fmt;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, Projection, Result, State, Storage, Timestamp, key};

pub use config::ElasticsearchConfig;

use store::Store;

use crate::tick::Tick;

/// The largest value: the text of its document stays below a server's default limits for a request (100 MB) and for
/// one string in it.
const MAX_VALUE_BYTES: usize = 16 << 20;
/// The largest metadata.
const MAX_METADATA_BYTES: usize = 64 << 10;

/// A store in one index of Elasticsearch or OpenSearch.
pub struct ElasticsearchStorage {
    store: Store,
    durable: bool,
    _tick: Tick,
}

impl ElasticsearchStorage {
    /// Opens the index, or with `create` makes one where there is none. What can go wrong is said at
    /// [`Location::open`](crate::Location::open).
    pub async fn open(config: ElasticsearchConfig, create: bool) -> Result<Self> {
        let store = Store::open(config, create).await?;
        Ok(ElasticsearchStorage { durable: store.index().durable, store, _tick: Tick::start() })
    }
}

impl fmt::Debug for ElasticsearchStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticsearchStorage").field("config", &self.store.config).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Storage for ElasticsearchStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: self.durable,
            shared: true,
            max_atomic: 1,
            max_value_bytes: MAX_VALUE_BYTES as u64,
            max_metadata_bytes: MAX_METADATA_BYTES as u64,
            sliding: true,
            // Not over the network; the server writes the whole document anew.
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
        read::get(&self.store, namespace, key, now, with_value).await
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        key::validate_namespace(namespace)?;
        read::get_many(&self.store, namespace, keys, now, with_value).await
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
        if atomic && mutations.len() > 1 {
            return Err(Error::Unsupported("Elasticsearch keeps only single writes atomic".into()));
        }
        Ok(write::write(&self.store, namespace, mutations, now, on_conflict).await)
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
        scan::scan(&self.store, namespace, range, &hint, now, limit, want).await
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        key::validate_namespace(namespace)?;
        scan::count(&self.store, namespace, &range, now).await
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        namespace.map_or(Ok(()), key::validate_namespace)?;
        cleanup::reclaim(&self.store, namespace, now, limit).await
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        key::validate_namespace(namespace)?;
        cleanup::clear(&self.store, namespace, limit).await
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        scan::namespaces(&self.store, after, limit).await
    }

    async fn backoff(&self, _namespace: &str, _key: &str, _attempt: u32) {
        // The host waits for all its adapters.
    }
}
