//! A time to live for entries that are set without one, by namespace.

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, Projection, Result, State, Storage, Timestamp, key};

/// Tells the core which namespaces have a default time to live; all else is the wrapped storage's.
///
/// It is the core that applies them, where a `set` says nothing about expiry: entries that are there already stay as
/// they are.
#[derive(Debug)]
pub struct DefaultTtls<S> {
    inner: S,
    ttls: Vec<(String, u64)>,
}

impl<S: Storage> DefaultTtls<S> {
    /// `ttls` are namespaces and milliseconds, more than 0; they go before those that the wrapped storage has itself.
    /// `invalid-argument` for an illegal namespace, one that comes twice, or a zero.
    pub fn new(inner: S, ttls: impl IntoIterator<Item = (String, u64)>) -> Result<Self> {
        let mut all: Vec<(String, u64)> = Vec::new();
        for (namespace, ttl) in ttls {
            key::validate_namespace(&namespace)?;
            if ttl == 0 {
                return Err(Error::InvalidArgument(format!("namespace `{namespace}`: a default ttl is more than 0")));
            }
            if all.iter().any(|(other, _)| *other == namespace) {
                return Err(Error::InvalidArgument(format!("namespace `{namespace}` has two default ttls")));
            }
            all.push((namespace, ttl));
        }
        for (namespace, ttl) in inner.default_ttls() {
            if !all.iter().any(|(other, _)| *other == namespace) {
                all.push((namespace, ttl));
            }
        }
        Ok(DefaultTtls { inner, ttls: all })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: Storage> Storage for DefaultTtls<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        self.ttls.clone()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        self.inner.get(namespace, key, now, with_value).await
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        self.inner.get_many(namespace, keys, now, with_value).await
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        self.inner.write(namespace, mutations, atomic, now, on_conflict).await
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
        self.inner.scan(namespace, range, hint, now, limit, want).await
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        self.inner.count(namespace, range, now).await
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        self.inner.reclaim(namespace, now, limit).await
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        self.inner.clear(namespace, limit).await
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.inner.namespaces(after, limit).await
    }

    async fn backoff(&self, namespace: &str, key: &str, attempt: u32) {
        self.inner.backoff(namespace, key, attempt).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[test]
    fn ttls_are_checked_and_nest() {
        let layer = DefaultTtls::new(memory(), [("sessions".into(), 60_000), ("cache".into(), 1)]).unwrap();
        let layer = DefaultTtls::new(layer, [("cache".into(), 5)]).unwrap();
        assert_eq!(layer.default_ttls(), [("cache".into(), 5), ("sessions".into(), 60_000)]);

        for ttls in [vec![("a".into(), 0)], vec![(String::new(), 1)], vec![("a".into(), 1), ("a".into(), 2)]] {
            assert_eq!(DefaultTtls::new(memory(), ttls).unwrap_err().code(), "invalid-argument");
        }
    }
}
