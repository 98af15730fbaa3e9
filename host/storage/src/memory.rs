//! The core's reference storage, for servers.

use dataknobs_kv_core::MemoryStorage;

/// An empty storage in memory. What it holds ends with it.
pub fn memory() -> MemoryStorage {
    // A generator seeded by the operating system, one for each thread: versions can be neither guessed nor repeated.
    MemoryStorage::new(rand::random::<u128>)
}
