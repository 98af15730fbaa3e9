//! Counts the calls of a storage, by what they were and how they ended, and how long they took.
//!
//! A call costs two readings of the clock and three atomic additions; nothing is looked up and nothing allocated but what
//! every wrapper allocates (the future that the trait gives back).

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, Projection, Result, State, Storage, Timestamp};
use dataknobs_kv_metrics::{Counter, Families, Histogram, Source};

/// What is called.
#[derive(Clone, Copy)]
enum Operation {
    Get,
    GetMany,
    Write,
    Scan,
    Count,
    Reclaim,
    Clear,
    Namespaces,
}

const OPERATIONS: [&str; 8] = ["get", "get_many", "write", "scan", "count", "reclaim", "clear", "namespaces"];

/// How it ended: well, without an end because the caller gave up, or with an error's code.
const OUTCOMES: [&str; 14] = [
    "ok",
    "cancelled",
    "invalid-argument",
    "too-large",
    "type-mismatch",
    "overflow",
    "unsupported",
    "access-denied",
    "rate-limited",
    "unavailable",
    "outcome-unknown",
    "corrupt",
    "internal",
    "other",
];
const OK: usize = 0;
const CANCELLED: usize = 1;

fn place(error: &Error) -> usize {
    let code = error.code();
    OUTCOMES.iter().position(|outcome| *outcome == code).unwrap_or(OUTCOMES.len() - 1)
}

/// What was counted.
#[derive(Debug, Default)]
pub struct StorageMetrics {
    calls: [[Counter; OUTCOMES.len()]; OPERATIONS.len()],
    times: [Histogram; OPERATIONS.len()],
}

impl StorageMetrics {
    fn begin(&self, operation: Operation) -> Call<'_> {
        Call { metrics: self, operation: operation as usize, begun: Instant::now(), outcome: CANCELLED }
    }
}

impl Source for StorageMetrics {
    fn tell(&self, families: &mut Families<'_>) -> fmt::Result {
        let calls = OPERATIONS.iter().zip(&self.calls).flat_map(|(operation, calls)| {
            let outcome = move |(outcome, count): (&'static &str, &Counter)| {
                ([("operation", *operation), ("outcome", *outcome)], count.get())
            };
            OUTCOMES.iter().zip(calls).map(outcome).filter(|(_, count)| *count > 0)
        });
        families.counters("storage_calls", "Calls of the backend, by how they ended", calls)?;
        let times = OPERATIONS.iter().zip(&self.times).map(|(operation, time)| ([("operation", *operation)], time));
        families.spans("storage_call", "How long calls of the backend took", times)
    }
}

/// A call under way, counted when it is dropped.
struct Call<'a> {
    metrics: &'a StorageMetrics,
    operation: usize,
    begun: Instant,
    outcome: usize,
}

impl Call<'_> {
    fn end<T>(mut self, result: Result<T>) -> Result<T> {
        self.outcome = result.as_ref().map_or_else(place, |_| OK);
        result
    }

    /// A batch has ended as the first of its items that failed.
    fn end_many<T>(mut self, result: Result<Vec<Result<T>>>) -> Result<Vec<Result<T>>> {
        self.outcome = match &result {
            Err(error) => place(error),
            Ok(items) => items.iter().find_map(|item| item.as_ref().err()).map_or(OK, place),
        };
        result
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let Some(calls) = self.metrics.calls.get(self.operation) else { return };
        if let Some(count) = calls.get(self.outcome) {
            count.add(1);
        }
        if let Some(time) = self.metrics.times.get(self.operation) {
            time.add(self.begun.elapsed());
        }
    }
}

/// A storage whose calls are counted.
#[derive(Debug)]
pub struct Metered<S> {
    inner: S,
    metrics: Arc<StorageMetrics>,
}

impl<S: Storage> Metered<S> {
    /// Adds to these.
    pub fn new(inner: S, metrics: Arc<StorageMetrics>) -> Self {
        Metered { inner, metrics }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: Storage> Storage for Metered<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        self.inner.default_ttls()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        let call = self.metrics.begin(Operation::Get);
        call.end(self.inner.get(namespace, key, now, with_value).await)
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let call = self.metrics.begin(Operation::GetMany);
        call.end_many(self.inner.get_many(namespace, keys, now, with_value).await)
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let call = self.metrics.begin(Operation::Write);
        call.end_many(self.inner.write(namespace, mutations, atomic, now, on_conflict).await)
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
        let call = self.metrics.begin(Operation::Scan);
        call.end(self.inner.scan(namespace, range, hint, now, limit, want).await)
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        let call = self.metrics.begin(Operation::Count);
        call.end(self.inner.count(namespace, range, now).await)
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        let call = self.metrics.begin(Operation::Reclaim);
        call.end(self.inner.reclaim(namespace, now, limit).await)
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let call = self.metrics.begin(Operation::Clear);
        call.end(self.inner.clear(namespace, limit).await)
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        let call = self.metrics.begin(Operation::Namespaces);
        call.end(self.inner.namespaces(after, limit).await)
    }

    async fn backoff(&self, namespace: &str, key: &str, attempt: u32) {
        self.inner.backoff(namespace, key, attempt).await;
    }
}

#[cfg(test)]
mod tests {
    use dataknobs_kv_conformance::wrap::{Failing, Picky};
    use dataknobs_kv_core::Precondition;
    use dataknobs_kv_core::storage::Change;
    use dataknobs_kv_metrics::Metrics;
    use futures::FutureExt;

    use super::*;
    use crate::memory;

    fn metered(storage: impl Storage) -> (Metered<impl Storage>, Metrics) {
        let (metrics, counted) = (Metrics::new(), Arc::new(StorageMetrics::default()));
        metrics.add(counted.clone());
        (Metered::new(storage, counted), metrics)
    }

    fn delete(key: &str) -> Vec<Mutation> {
        vec![Mutation { key: key.into(), change: Change::Delete, precondition: Precondition::None }]
    }

    #[tokio::test]
    async fn calls_by_operation_and_outcome() {
        let (storage, metrics) = metered(Picky { storage: Arc::new(memory()) });
        for _ in 0..3 {
            storage.get("n", "k", 1, true).await.unwrap();
        }
        storage.write("n", delete("k"), false, 1, Projection::Key).await.unwrap();
        storage.write("n", delete("refuse"), false, 1, Projection::Key).await.unwrap();
        let text = metrics.text();
        for line in [
            "dataknobs_kv_storage_calls_total{operation=\"get\",outcome=\"ok\"} 3",
            "dataknobs_kv_storage_calls_total{operation=\"write\",outcome=\"ok\"} 1",
            "dataknobs_kv_storage_calls_total{operation=\"write\",outcome=\"unavailable\"} 1",
            "dataknobs_kv_storage_call_seconds_count{operation=\"get\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
        assert!(!text.contains("cancelled"), "{text}");
    }

    #[tokio::test]
    async fn every_error_has_its_own_outcome() {
        use Error::{
            AccessDenied, Corrupt, Internal, InvalidArgument, OutcomeUnknown, Overflow, RateLimited, TypeMismatch,
            Unavailable, Unsupported,
        };
        let text = String::new;
        for error in [
            InvalidArgument(text()),
            Error::too_large("x", 1, 2),
            TypeMismatch(text()),
            Overflow(text()),
            Unsupported(text()),
            AccessDenied(text()),
            RateLimited(None),
            Unavailable(text()),
            OutcomeUnknown(text()),
            Corrupt(text()),
            Internal(text()),
        ] {
            let (storage, metrics) = metered(Failing { storage: Arc::new(memory()), error: error.clone() });
            assert!(storage.get("n", "k", 1, true).await.is_err());
            let code = error.code();
            let line = format!("dataknobs_kv_storage_calls_total{{operation=\"get\",outcome=\"{code}\"}} 1\n");
            assert!(metrics.text().contains(&line), "{line}");
        }
    }

    #[tokio::test]
    async fn a_call_that_was_given_up_is_counted_as_such() {
        let (storage, metrics) = metered(memory());
        // Made and never polled, it was no call.
        drop(storage.get("n", "k", 1, true));
        assert!(!metrics.text().contains("outcome="));
        let waiting = Metered::new(memory(), storage.metrics.clone());
        let call = async {
            let _call = waiting.metrics.begin(Operation::Get);
            std::future::pending::<()>().await;
        };
        assert!(call.now_or_never().is_none());
        assert!(metrics.text().contains("operation=\"get\",outcome=\"cancelled\"} 1"));
    }
}
