//! A key-value store with patterns, metadata, expiry and compare-and-swap that behaves the same on every backend.
//!
//! ```
//! use dataknobs_kv::KvStore;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
//! let store = KvStore::open("memory:").await?; // or "file:data.redb"
//!
//! store.set("app.name", "MyApplication").await?;
//! store.set("app.version", "1.0.0").await?;
//! store.set("app.config.debug", true).await?;
//!
//! assert_eq!(store.get("app.name").await?, Some("MyApplication".into()));
//! assert_eq!(store.get_as::<bool>("app.config.debug").await?, Some(true));
//!
//! assert_eq!(store.keys("app.*").await?, ["app.name", "app.version"]);
//! let all_config = store.get_pattern("app.config.*").await?;
//! assert_eq!(all_config.len(), 1);
//!
//! store.delete("app.config.debug").await?;
//! store.delete_pattern("app.temp.*").await?;
//! # Ok(()) }
//! ```
//!
//! [`KvStore`] is the handle; [`Config`] says how to open one. Calls that take options are builders: awaiting them runs
//! them. What each promises is the same on every backend and written in `docs/contract.md`; what a backend cannot do is
//! refused with [`Error::Unsupported`].
//!
//! | question | where |
//! | --- | --- |
//! | one entry | [`set`](KvStore::set), [`get`](KvStore::get), [`get_as`](KvStore::get_as), [`entry`](KvStore::entry), [`exists`](KvStore::exists), [`delete`](KvStore::delete) |
//! | JSON and own types | [`set_json`](KvStore::set_json), [`get_json`](KvStore::get_json), [`Serializer`], [`set_custom`](KvStore::set_custom), [`get_custom`](KvStore::get_custom) |
//! | patterns | [`keys`](KvStore::keys), [`entries`](KvStore::entries), [`get_pattern`](KvStore::get_pattern), [`delete_pattern`](KvStore::delete_pattern), [`count`](KvStore::count), [`children`](KvStore::children) |
//! | metadata | [`get_metadata`](KvStore::get_metadata), [`set_metadata`](KvStore::set_metadata), [`replace_metadata`](KvStore::replace_metadata) |
//! | expiry | [`ttl`](KvStore::ttl), [`touch`](KvStore::touch), [`persist`](KvStore::persist), [`cleanup_expired`](KvStore::cleanup_expired), [`Config::auto_cleanup`] |
//! | one step | [`compare_and_swap`](KvStore::compare_and_swap), [`increment`](KvStore::increment), [`append`](KvStore::append), [`transact`](KvStore::transact) |
//! | many | [`set_many`](KvStore::set_many), [`get_many`](KvStore::get_many), [`delete_many`](KvStore::delete_many) |
//! | another store | [`migrate`](fn@migrate), [`plan_migration`] |
//! | namespaces | [`namespace`](KvStore::namespace), [`namespaces`](KvStore::namespaces), [`clear`](KvStore::clear), [`drop_namespace`](KvStore::drop_namespace), [`dump`](KvStore::dump) |

mod atomic;
mod batch;
mod change;
mod cleanup;
mod config;
mod list;
mod migrate;
mod open;
mod options;
mod read;
mod serializer;
mod set;
mod store;

pub use atomic::{Append, CompareAndSwap, Delta, Expected, Increment, Transaction};
pub use batch::Batch;
pub use change::{Change, Metadata};
pub use cleanup::{CleanupStats, MIN_CLEANUP_INTERVAL};
pub use config::{Config, DEFAULT_CLEANUP_INTERVAL};
pub use list::{Listing, below};
pub use migrate::{
    CheckpointFile, Counts, Difference, Keeps, MigrateEvent, MigrateOptions, MigrateReport, OnExisting, Problem,
    Verification, can_resume, migrate, plan_migration,
};
pub use open::shared_runtime;
pub use options::Instant;
pub use read::{FromValue, Ttl};
pub use serializer::Serializer;
pub use set::{Delete, Set, json_value};
pub use store::KvStore;

pub use dataknobs_kv_core::key;
pub use dataknobs_kv_core::store::{
    Action, Appended, ChangeResult, Check, Child, Counted, DeleteResult, Expiry, Failure, Item, Numeric, Query,
    SetOptions, SetResult, SwapResult, TransactionResult,
};
pub use dataknobs_kv_core::{
    Attributes, Capabilities, Clock, Core, Entry, Error, LimitExceeded, MemoryStorage, Pattern, Precondition,
    Projection, Result, State, Storage, Store, Timestamp, Value, ValueType, Version,
};
pub use dataknobs_kv_metrics::Metrics;
pub use dataknobs_kv_runtime::{FileClock, ManualClock, Runtime, RuntimeConfig, SystemClock};
pub use dataknobs_kv_storage::{
    CacheConfig, Compression, Diagnose, Durability, Finding, JsonFileConfig, Layers, Location, OpenOptions, RedbConfig,
    Severity,
};
pub use serde_json::json;
