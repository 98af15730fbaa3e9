//! Storage adapters of dataknobs-kv for servers, and one function that opens any of them by its connection string.
//!
//! * [`open`] and [`Location`]: connection strings (`memory:`, `file:data.redb?durability=relaxed`)
//! * [`memory()`]: the core's reference storage, with real randomness
//! * [`redb`]: one crash-safe file, the embedded default
//! * [`postgres`]: a table in PostgreSQL
//! * [`redis`]: Redis and Valkey, one server or a cluster
//! * [`s3`]: an object for each entry in an S3 bucket
//! * [`elasticsearch`]: an index in Elasticsearch or OpenSearch
//! * [`json_file`]: a JSON file that any editor opens, and a journal beside it
//! * [`layer`]: wrappers, each a [`Storage`] itself
//!
//! An adapter is nothing but a [`Storage`]: what it owes is written there, and the conformance suite holds it to that.
//!
//! ```
//! use dataknobs_kv_core::{Storage, storage::Range};
//! use dataknobs_kv_storage::{OpenOptions, open};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> dataknobs_kv_core::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("file:{}/data.redb", folder.path().display());
//! let storage = open(&url, &OpenOptions::default()).await?;
//! assert!(storage.capabilities().durable);
//! assert_eq!(storage.count("default", Range::default(), 0).await?, Some(0));
//!
//! let error = open("mysql://me:secret@host/db", &OpenOptions::default()).await.err().unwrap();
//! assert_eq!(error.to_string(), "unsupported: this build has no adapter for `mysql:`; it opens `memory:` and `file:PATH`");
//! # Ok(())
//! # }
//! ```

mod blocking;
mod diagnose;
#[cfg(feature = "elasticsearch")]
pub mod elasticsearch;
mod files;
mod hint;
pub mod json_file;
pub mod layer;
mod location;
mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod redb;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "s3")]
pub mod s3;
mod sizes;
#[cfg(any(feature = "elasticsearch", feature = "postgres", feature = "redis", feature = "s3"))]
mod tick;
#[cfg(any(feature = "elasticsearch", feature = "redis", feature = "s3"))]
mod tls;

use std::sync::Arc;

use dataknobs_kv_core::{Result, Storage};
use dataknobs_kv_metrics::Metrics;

pub use diagnose::{Diagnose, Finding, Severity};
#[cfg(feature = "elasticsearch")]
pub use elasticsearch::{ElasticsearchConfig, ElasticsearchStorage};
pub use json_file::{Compression, JsonFileConfig, JsonFileStorage};
pub use layer::{CacheConfig, Cached, DefaultTtls, Metered, Retrying, StorageMetrics};
pub use location::{Layers, Location, Settings};
pub use memory::memory;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresStorage, SslMode};
pub use redb::{Durability, RedbConfig, RedbStorage};
#[cfg(feature = "redis")]
pub use redis::{RedisConfig, RedisDurability, RedisStorage};
#[cfg(feature = "s3")]
pub use s3::{ConditionalDelete, S3Config, S3Keys, S3Storage};

/// What a connection string does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Whether data that does not exist yet is created; else its absence is `invalid-argument`. True by default.
    pub create: bool,
    /// Where the calls of the backend and a cache's hits are counted; none: they are not. One store each.
    pub metrics: Option<Metrics>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { create: true, metrics: None }
    }
}

impl OpenOptions {
    /// The same, counting here.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// The same, with [`OpenOptions::create`] as given.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }
}

/// Opens what the connection string names. [`Location`] says which there are; [`Location::open`] says what can go wrong.
pub async fn open(url: &str, options: &OpenOptions) -> Result<Arc<dyn Storage>> {
    Location::parse(url)?.open(options).await
}
