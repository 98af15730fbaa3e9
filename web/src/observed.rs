//! A storage whose writes are told of.

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Change, Decide, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Projection, Result, State, Storage, Timestamp, Version};

/// Tells `observer` of the namespace and keys that a write changed, and for each whether it is there now. A namespace that
/// was emptied is told of with an empty key.
pub(crate) struct Observed<S, F> {
    storage: S,
    observer: F,
}

impl<S, F> Observed<S, F> {
    pub(crate) fn new(storage: S, observer: F) -> Self {
        Observed { storage, observer }
    }
}

#[async_trait(?Send)]
#[deny(clippy::missing_trait_methods)]
impl<S: Storage, F: Fn(&[(String, String, bool)])> Storage for Observed<S, F> {
    fn capabilities(&self) -> Capabilities {
        self.storage.capabilities()
    }
    fn default_ttls(&self) -> Vec<(String, u64)> {
        self.storage.default_ttls()
    }
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        self.storage.get(namespace, key, now, with_value).await
    }
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        self.storage.get_many(namespace, keys, now, with_value).await
    }
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let keys: Vec<_> = mutations
            .iter()
            .map(|mutation| (mutation.key.clone(), !matches!(mutation.change, Change::Extend(_) | Change::Check)))
            .collect();
        let outcomes = self.storage.write(namespace, mutations, atomic, now, on_conflict).await?;
        let changed: Vec<_> = keys
            .into_iter()
            .zip(&outcomes)
            .filter_map(|((key, changes), outcome)| match outcome {
                Ok(Outcome::Written(_)) if changes => Some((namespace.to_owned(), key, true)),
                Ok(Outcome::Deleted) => Some((namespace.to_owned(), key, false)),
                _ => None,
            })
            .collect();
        if !changed.is_empty() {
            (self.observer)(&changed);
        }
        Ok(outcomes)
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
        self.storage.scan(namespace, range, hint, now, limit, want).await
    }
    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        self.storage.count(namespace, range, now).await
    }
    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        self.storage.reclaim(namespace, now, limit).await
    }
    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let more = self.storage.clear(namespace, limit).await?;
        (self.observer)(&[(namespace.to_owned(), String::new(), false)]);
        Ok(more)
    }
    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.storage.namespaces(after, limit).await
    }
    async fn backoff(&self, namespace: &str, key: &str, attempt: u32) {
        self.storage.backoff(namespace, key, attempt).await;
    }
    async fn update(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        want: Projection,
        decide: &mut Decide<'_>,
    ) -> Option<Result<Option<Version>>> {
        let updated = self.storage.update(namespace, key, now, want, decide).await;
        if let Some(Ok(Some(_))) = &updated {
            (self.observer)(&[(namespace.to_owned(), key.to_owned(), true)]);
        }
        updated
    }
}
