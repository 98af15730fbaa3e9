//! What a group of writes does, found out beside the entries that readers see.
//!
//! The reference storage knows all rules. A write's outcome depends on nothing but the entries that it names, so these are
//! lent to a second reference storage and the write is made there. What differs afterwards is what goes into the journal;
//! once it is there, readers get it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataknobs_kv_core::memory::Stored;
use dataknobs_kv_core::storage::{Mutation, Outcome};
use dataknobs_kv_core::{Error, MemoryStorage, Projection, Result, Storage, Timestamp};
use futures::FutureExt;

use super::format::{self, Change};

/// One group of writes.
pub(super) struct Stage<'a> {
    base: &'a MemoryStorage,
    staged: MemoryStorage,
    /// What was there before, of all entries that were named, by namespace and key.
    lent: BTreeMap<(String, String), Option<Arc<Stored>>>,
}

/// What a group changes: what is kept from now on, none where nothing is.
pub(super) type Changes = Vec<(String, String, Option<Arc<Stored>>)>;

impl<'a> Stage<'a> {
    pub(super) fn new(base: &'a MemoryStorage) -> Self {
        Stage { base, staged: MemoryStorage::new(rand::random::<u128>), lent: BTreeMap::new() }
    }

    fn lend(&mut self, namespace: &str, key: &str) {
        self.lent.entry((namespace.to_owned(), key.to_owned())).or_insert_with(|| {
            let stored = self.base.stored(namespace, key);
            self.staged.place([(namespace, key, stored.clone())]);
            stored
        });
    }

    /// Makes a write, after those made before.
    pub(super) fn write(
        &mut self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        for mutation in &mutations {
            self.lend(namespace, &mutation.key);
        }
        let write = self.staged.write(namespace, mutations, atomic, now, on_conflict);
        write.now_or_never().unwrap_or_else(|| Err(Error::Internal("memory made a write wait".into())))
    }

    pub(super) fn remove(&mut self, namespace: &str, key: &str) {
        self.lend(namespace, key);
        self.staged.place([(namespace, key, None)]);
    }

    /// What differs, and the same as it is written into the journal; both are empty where nothing does.
    pub(super) fn finish(self) -> (Changes, String) {
        let (mut changes, mut text) = (Vec::new(), String::new());
        for ((namespace, key), before) in self.lent {
            let after = self.staged.stored(&namespace, &key);
            let change = match (&before, &after) {
                (None, None) => continue,
                (Some(before), Some(after)) if Arc::ptr_eq(before, after) => continue,
                (Some(before), Some(after)) if Arc::ptr_eq(&before.value, &after.value) => Change::Amend(after),
                (_, Some(after)) => Change::Set(after),
                (Some(_), None) => Change::Delete,
            };
            format::write_change(&mut text, &namespace, &key, &change);
            changes.push((namespace, key, after));
        }
        (changes, text)
    }
}

/// Shows a group to the readers, all at once.
pub(super) fn show(memory: &MemoryStorage, changes: &Changes) {
    let changes = changes.iter();
    memory.place(changes.map(|(namespace, key, stored)| (namespace.as_str(), key.as_str(), stored.clone())));
}
