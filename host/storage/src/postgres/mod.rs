//! A table in PostgreSQL.
//!
//! * `config`: what is set; `tls`: encryption
//! * `link`: connections, deadlines, what is tried again; `failure`: PostgreSQL's errors in the core's words
//! * `schema`: the table, made and known again; `sql`: the statements, and the function for mixed batches
//! * `diagnose`: settings of the server under which entries may be lost
//! * `format`: how entries lie in rows
//! * `read`, `scan`, `hint`: reads; `write`, `settle`: writes, and what became of one whose answer was lost; `cleanup`
//!
//! Each call is one statement, and so one round trip and one transaction, but for two: what lost a race may have to look
//! again for what is there now, and long removals go in steps.

mod cleanup;
mod config;
mod diagnose;
mod failure;
mod format;
mod hint;
mod link;
mod read;
mod scan;
mod schema;
mod settle;
mod sql;
mod tls;
mod write;

use std::fmt;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, Projection, Result, State, Storage, Timestamp, key};

pub use config::{PostgresConfig, SslMode};

use link::Link;
use sql::Statements;

use crate::tick::Tick;

/// The largest atomic write.
const MAX_ATOMIC: usize = 1000;
/// The largest value.
const MAX_VALUE_BYTES: usize = 16 << 20;
/// The largest metadata.
const MAX_METADATA_BYTES: usize = 64 << 10;
/// How much the states may weigh that the conflicts of one write carry.
const MAX_CONFLICT_BYTES: usize = 64 << 20;

/// A store in one table of a PostgreSQL database. Any number of processes may use it at once.
pub struct PostgresStorage {
    config: PostgresConfig,
    link: Link,
    sql: Statements,
    durable: bool,
    _tick: Tick,
}

impl PostgresStorage {
    /// Connects, and finds the table, or with `create` makes it where there is none. What can go wrong is said at
    /// [`Location::open`](crate::Location::open).
    pub async fn open(config: PostgresConfig, create: bool) -> Result<Self> {
        let link = Link::new(&config)?;
        let found = schema::open(&link, &config, create).await?;
        let sql = Statements::new(&found.table, &found.function);
        Ok(PostgresStorage { config, link, sql, durable: found.durable, _tick: Tick::start() })
    }
}

impl fmt::Debug for PostgresStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStorage").field("config", &self.config).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Storage for PostgresStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: self.durable,
            shared: true,
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
        read::get(&self.link, &self.sql, namespace, key, now, with_value, self.link.deadline()).await
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        key::validate_namespace(namespace)?;
        read::get_many(&self.link, &self.sql, namespace, keys, now, with_value).await
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
        let call = write::Call { link: &self.link, sql: &self.sql, namespace, now, want: on_conflict };
        call.write(&mutations, atomic).await
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
        let walk = scan::Walk { link: &self.link, sql: &self.sql, namespace, now };
        walk.scan(&range, &hint, limit, want).await
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        key::validate_namespace(namespace)?;
        let walk = scan::Walk { link: &self.link, sql: &self.sql, namespace, now };
        walk.count(&range).await
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        namespace.map_or(Ok(()), key::validate_namespace)?;
        cleanup::reclaim(&self.link, &self.sql, namespace, now, limit).await
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        key::validate_namespace(namespace)?;
        cleanup::clear(&self.link, &self.sql, namespace, limit).await
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        scan::namespaces(&self.link, &self.sql, after, limit).await
    }

    async fn backoff(&self, _namespace: &str, _key: &str, _attempt: u32) {
        // The host waits for all its adapters.
    }
}
