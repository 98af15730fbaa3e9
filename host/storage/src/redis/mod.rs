//! Redis 7 and Valkey, one server or a cluster: a hash for each entry, which `redis-cli` shows as it is.
//!
//! * `config`: what is set
//! * `format`: the names of keys, the fields of a hash, and what lies in which slot
//! * `scripts` and the Lua files beside it: what happens in one step on the server
//! * `link`: a connection, its end and its renewal; `servers`: which server gets a request, `MOVED` and `ASK`
//! * `open`: what is asked of the servers before a store is used
//! * `read`, `write`, `scan`, `cleanup`: the operations
//! * `diagnose`: settings of the servers under which entries may be lost
//! * `failure`: Redis' errors in the core's words, by what is known of the request's fate

mod cleanup;
mod config;
mod diagnose;
mod failure;
mod format;
mod link;
mod open;
mod read;
mod scan;
mod scripts;
mod servers;
mod write;

use std::collections::HashSet;
use std::fmt;
use std::sync::RwLock;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Projection, Result, State, Storage, Timestamp, key};

pub use config::{RedisConfig, RedisDurability};

use link::Deadline;
use open::Promises;
use servers::Servers;

use crate::tick::Tick;

/// The largest atomic write: about 20 ms in which the server does nothing else.
const MAX_ATOMIC: usize = 1000;
/// The largest value.
const MAX_VALUE_BYTES: usize = 16 << 20;
/// The largest metadata.
const MAX_METADATA_BYTES: usize = 64 << 10;

/// A store in Redis. Any number of processes may use it at once.
pub struct RedisStorage {
    config: RedisConfig,
    names: format::Names,
    servers: Servers,
    promises: Promises,
    /// Namespaces that are in the register, in a cluster.
    registered: RwLock<HashSet<String>>,
    _tick: Tick,
}

impl RedisStorage {
    /// Connects, and with `create` makes a store where there is none. What can go wrong is said at
    /// [`Location::open`](crate::Location::open).
    pub async fn open(config: RedisConfig, create: bool) -> Result<Self> {
        let deadline = Deadline::after(config.timeout);
        let servers = Servers::new(config.clone())?;
        let names = format::Names { prefix: config.prefix.clone(), shards: config.shards };
        let promises = open::look(&servers, &config, deadline).await?;
        open::settle(&servers, &names, create, deadline).await?;
        Ok(RedisStorage { config, names, servers, promises, registered: RwLock::default(), _tick: Tick::start() })
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.config.timeout)
    }

    fn max_atomic(&self) -> usize {
        if self.names.shards == 1 { MAX_ATOMIC } else { 1 }
    }
}

impl fmt::Debug for RedisStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStorage").field("config", &self.config).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Storage for RedisStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: self.promises.durable,
            shared: true,
            max_atomic: self.max_atomic() as u32,
            max_value_bytes: MAX_VALUE_BYTES as u64,
            max_metadata_bytes: MAX_METADATA_BYTES as u64,
            sliding: true,
            cheap_amend: true,
            native_expiry: true,
            indexed_scan: true,
            extra: self.promises.evicts.iter().map(|policy| ("evicts".to_owned(), policy.clone())).collect(),
        }
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        key::validate_namespace(namespace)?;
        self.get_one(namespace, key, now, with_value).await
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        key::validate_namespace(namespace)?;
        self.get_some(namespace, keys, now, with_value).await
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
        self.write_all(namespace, mutations, atomic, now, on_conflict).await
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
        self.page(namespace, &range, &hint, now, limit, want).await
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        key::validate_namespace(namespace)?;
        self.count_range(namespace, &range, now).await
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        namespace.map_or(Ok(()), key::validate_namespace)?;
        self.reclaim_in(namespace, now, limit).await
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        key::validate_namespace(namespace)?;
        self.clear_some(namespace, limit).await
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.names_after(after, limit).await
    }

    async fn backoff(&self, _namespace: &str, _key: &str, _attempt: u32) {
        // The host waits for all its adapters.
    }
}
