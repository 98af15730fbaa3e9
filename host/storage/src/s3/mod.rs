//! A store in an S3 bucket: an object for each entry.
//!
//! * `config`: what is set, and where the store is; `credentials`: where keys come from
//! * `client`: requests, signed, bounded in number and time; `xml`: what the store answers; `failure`: its errors in the
//!   core's words
//! * `probe`: what the store can be trusted with, and opening
//! * `names`: object names; `format`: what is in an object
//! * `read`, `write`, `scan`, `cleanup`: what each says; `seen`: what spares a write its look
//! * `diagnose`: what works and is not as it should be
//!
//! The version of an entry is its object's ETag, which is one of its kind because every body begins with a fresh nonce.

mod cleanup;
mod client;
mod config;
mod credentials;
mod diagnose;
mod failure;
mod format;
mod names;
mod probe;
mod read;
mod scan;
mod seen;
mod write;
mod xml;

use std::fmt;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, Projection, Result, State, Storage, Timestamp, key};
use futures::StreamExt;

pub use config::{ConditionalDelete, S3Config, S3Keys};

use client::{Body, Client};
use names::{ENTRIES, EXPIRIES};
use probe::Abilities;
use read::Want;
use seen::Seen;

use crate::tick::Tick;

/// A store in an S3 bucket, under a prefix.
pub struct S3Storage {
    config: S3Config,
    client: Client,
    abilities: Abilities,
    /// What all names begin with.
    root: String,
    seen: Seen,
    grave: Body,
    mark_body: Body,
    _tick: Tick,
}

impl S3Storage {
    /// Opens the store, or with `create` begins one where there is none. The bucket must be there.
    ///
    /// The store's abilities are tried with a few requests: one that does not obey conditions on PUT is `unsupported`,
    /// one that does not on DELETE gets graves. What else can go wrong is said at
    /// [`Location::open`](crate::Location::open).
    pub async fn open(config: S3Config, create: bool) -> Result<Self> {
        let client = Client::new(&config)?;
        let abilities = probe::open(&client, &config, create).await?;
        Ok(S3Storage {
            client,
            abilities,
            root: config.root(),
            seen: Seen::new(),
            grave: write::grave(),
            mark_body: Body::new("expires\n"),
            config,
            _tick: Tick::start(),
        })
    }

    /// The object of an entry.
    fn entry(&self, namespace: &str, name: &str) -> String {
        format!("{}{ENTRIES}{}{name}", self.root, names::folder(namespace))
    }

    /// The object that marks the expiry of an entry.
    fn mark(&self, namespace: &str, at: Timestamp, nonce: &str, name: &str) -> String {
        format!("{}{EXPIRIES}{}{}", self.root, names::folder(namespace), names::mark(at, nonce, name))
    }
}

impl fmt::Debug for S3Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Storage").field("config", &self.config).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Storage for S3Storage {
    fn capabilities(&self) -> Capabilities {
        let deletes = if self.abilities.conditional_delete { "conditional" } else { "graves" };
        Capabilities {
            durable: true,
            shared: true,
            max_atomic: 1,
            max_value_bytes: format::MAX_VALUE_BYTES as u64,
            max_metadata_bytes: format::MAX_METADATA_BYTES as u64,
            sliding: false,
            cheap_amend: false,
            native_expiry: false,
            indexed_scan: true,
            extra: vec![("deletes".into(), deletes.into())],
        }
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        key::validate_namespace(namespace)?;
        let want = if with_value { Want::Value } else { Want::Head };
        self.read_one(namespace, key, now, want).await
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        key::validate_namespace(namespace)?;
        self.read_many(namespace, keys, now, with_value).await
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
            return Err(Error::Unsupported("S3 keeps only single writes atomic".into()));
        }
        let writes = mutations.into_iter().map(|mutation| self.mutate(namespace, mutation, now, on_conflict));
        Ok(futures::stream::iter(writes).buffered(self.client.concurrency()).collect().await)
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
        self.page(namespace, &range, &hint, now, limit.max(1) as usize, want).await
    }

    async fn count(&self, namespace: &str, _range: Range, _now: Timestamp) -> Result<Option<u64>> {
        key::validate_namespace(namespace)?;
        // A count lists as paging does.
        Ok(None)
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        match namespace {
            None => self.reclaim_all(now, limit).await,
            Some(namespace) => {
                key::validate_namespace(namespace)?;
                self.reclaim_in(namespace, now, limit).await
            }
        }
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        key::validate_namespace(namespace)?;
        self.clear_up_to(namespace, limit as usize).await
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.namespaces_after(after, limit.max(1) as usize).await
    }

    async fn backoff(&self, _namespace: &str, _key: &str, _attempt: u32) {
        // The host waits for all its adapters.
    }
}
