//! Runs the core component under wasmtime, over any storage.
//!
//! A [`Runtime`] holds the engine, the compiled component and the pool of its instances; there is one for each process.
//! [`Runtime::store`] links the component to a storage and a clock and gives a [`Store`](dataknobs_kv_core::Store):
//!
//! ```
//! use std::sync::Arc;
//!
//! use dataknobs_kv_core::{MemoryStorage, Store, store::{Expiry, Numeric}};
//! use dataknobs_kv_runtime::{Runtime, RuntimeConfig, SystemClock};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> dataknobs_kv_core::Result<()> {
//! let runtime = Runtime::new(RuntimeConfig::default())?;
//! let storage = Arc::new(MemoryStorage::new(rand::random));
//! let store = runtime.store(storage, Arc::new(SystemClock));
//!
//! store.increment("default", "visits", Numeric::Integer(1), Expiry::Unspecified).await?;
//! let visits = store.increment("default", "visits", Numeric::Integer(1), Expiry::Unspecified).await?;
//! assert_eq!(visits.value, Numeric::Integer(2));
//! # Ok(())
//! # }
//! ```
//!
//! How a call travels, from the caller to the storage and back:
//!
//! * [`ComponentStore`]: counts the bytes of the request, and sets the call's deadline
//! * `queue`: who reads, changes and writes one key waits for its turn; `tally`: increments that wait are made as one
//! * `pool`: an instance for the call, in which nothing else runs; kept after a clean call, else thrown away
//! * `engine`: the guest runs on a fiber, its memory and its computing time bounded
//! * `link`: its imports are the adapter's futures; while they wait the fiber sleeps and the thread does other work
//!
//! Whatever goes wrong inside ends as an [`Error`](dataknobs_kv_core::Error) of that one call.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod bindings;
mod cache;
mod clock;
mod config;
mod convert;
mod deadline;
mod engine;
mod link;
mod pool;
mod queue;
mod store;
mod tally;

use std::{fmt, sync::Arc};

use dataknobs_kv_core::{Clock, Result, Storage};

pub use clock::{FileClock, ManualClock, SystemClock};
pub use config::{CodeCache, RuntimeConfig};
pub use store::ComponentStore;

/// The component itself, as the build made it: the core's rules, for any host that gives it a storage and a clock.
pub const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/component.wasm"));

/// The engine, the compiled component and the pool of its instances. Cheap to clone; one is enough for a process.
#[derive(Clone)]
pub struct Runtime {
    pool: Arc<pool::Pool>,
}

impl Runtime {
    /// Loads the component: compiled before, in well under a millisecond; else it is compiled, which takes about a tenth of
    /// a second of the calling thread.
    ///
    /// `invalid-argument` where a setting is out of its range.
    pub fn new(config: RuntimeConfig) -> Result<Self> {
        Ok(Runtime { pool: Arc::new(pool::Pool::new(config, COMPONENT)?) })
    }

    /// The component over this storage, with this clock.
    ///
    /// Clone what comes back rather than calling this twice for one storage: clones know of each other's turns at a key.
    /// When the last clone is gone, so is all that the runtime holds of the storage.
    pub fn store(&self, storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) -> ComponentStore {
        ComponentStore::new(Arc::clone(&self.pool), storage, clock)
    }

    /// How many instances are kept for the next calls at this moment.
    pub fn idle_instances(&self) -> usize {
        self.pool.idle_instances()
    }

    /// What it was made with.
    pub fn config(&self) -> &RuntimeConfig {
        &self.pool.config
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("config", self.config()).finish_non_exhaustive()
    }
}
