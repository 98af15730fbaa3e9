//! The runner over the core itself, in this process, on a storage in memory or any other.

use std::sync::Arc;

use dataknobs_kv_core::{Core, MemoryStorage, Storage, Store};

use crate::harness::{HandClock, Harness, Over, fresh_namespace};

/// A memory of its own, with real randomness.
pub fn memory() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new(rand::random::<u128>))
}

/// A harness of the core over this storage.
pub fn harness(storage: Arc<dyn Storage>) -> Harness {
    let clock = Arc::new(HandClock::default());
    let of_store = clock.clone();
    let over: Over = Arc::new(move |storage| Arc::new(Core::new(storage, of_store.clone())) as Arc<dyn Store>);
    Harness {
        store: over(storage.clone()),
        clock,
        namespace: fresh_namespace(),
        capabilities: storage.capabilities(),
        storage: Some(storage),
        over: Some(over),
        reopener: None,
        slow: false,
        batches: true,
    }
}
