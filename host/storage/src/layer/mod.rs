//! Wrappers: each is a [`Storage`](dataknobs_kv_core::Storage) over another one.
//!
//! A wrapper passes on every function, also those that the trait gives a body to: one that is forgotten would silently
//! answer in the wrapped storage's place. The compiler cannot demand that, so each wrapper's implementation denies
//! `clippy::missing_trait_methods`.

mod cache;
mod default_ttl;
mod metered;
mod retry;

pub use cache::{CacheConfig, CacheStats, Cached};
pub use default_ttl::DefaultTtls;
pub use metered::{Metered, StorageMetrics};
pub use retry::Retrying;
