//! Tries again what surely was not done.
//!
//! `unavailable` and `rate-limited` promise that nothing was applied: reads and writes that end so are sent again, each
//! time after a longer, jittered wait, as long as the budget lasts. `outcome-unknown` is never repeated, nor anything
//! else. In a plain batch only the items that failed so are sent again; an atomic write is sent again whole.
//!
//! The budget bounds when a try may begin, not how long it takes: cutting a write short would make its outcome unknown.

use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, Projection, Result, State, Storage, Timestamp};
use tokio::time::Instant;

/// The first wait is of this length or up to twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// Later ones grow up to this.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// A storage whose passing failures are waited out.
#[derive(Debug)]
pub struct Retrying<S> {
    inner: S,
    budget: Duration,
}

impl<S: Storage> Retrying<S> {
    /// Where none is set.
    pub const DEFAULT_BUDGET: Duration = Duration::from_secs(2);
    /// The longest budget: ten minutes.
    pub const MAX_BUDGET: Duration = Duration::from_secs(600);

    /// No try begins later than `budget` after the first.
    pub fn new(inner: S, budget: Duration) -> Self {
        Retrying { inner, budget: budget.min(Self::MAX_BUDGET) }
    }
}

/// The call, again and again as long as its tries last.
macro_rules! repeat {
    ($self:ident, $call:expr) => {{
        let mut tries = Tries::new($self.budget);
        loop {
            match $call.await {
                Err(error) if tries.again(&error).await => {}
                result => break result,
            }
        }
    }};
}

/// One call's tries.
struct Tries {
    deadline: Instant,
    /// Made when the first try has failed.
    waits: Option<ExponentialBackoff>,
}

impl Tries {
    fn new(budget: Duration) -> Self {
        Tries { deadline: Instant::now() + budget, waits: None }
    }

    /// Whether there is to be another try; then its time has come.
    async fn again(&mut self, error: &Error) -> bool {
        let asked = match error {
            Error::Unavailable(_) => Duration::ZERO,
            Error::RateLimited(wait) => Duration::from_millis(wait.as_deref().copied().unwrap_or(0)),
            _ => return false,
        };
        let waits = self.waits.get_or_insert_with(|| {
            let builder = ExponentialBuilder::new().with_min_delay(FIRST_WAIT).with_max_delay(LONGEST_WAIT);
            builder.without_max_times().with_jitter().build()
        });
        let Some(wait) = waits.next().map(|wait| wait.max(asked)) else { return false };
        let begin = Instant::now() + wait;
        if begin > self.deadline {
            return false;
        }
        tracing::debug!(code = error.code(), wait_ms = wait.as_millis() as u64, "trying again");
        tokio::time::sleep_until(begin).await;
        true
    }
}

/// The error, if it says that nothing was applied and may pass.
fn passing<T>(result: &Result<T>) -> Option<&Error> {
    result.as_ref().err().filter(|error| matches!(error, Error::Unavailable(_) | Error::RateLimited(_)))
}

/// Where they stand, and the first of their errors.
fn failed<T>(results: &[Result<T>]) -> (Vec<usize>, Option<Error>) {
    let places: Vec<usize> =
        results.iter().enumerate().filter(|(_, result)| passing(result).is_some()).map(|(index, _)| index).collect();
    let error = places.first().and_then(|index| passing(results.get(*index)?)).cloned();
    (places, error)
}

/// Puts what came later in the place of what failed.
fn replace<T>(results: &mut [Result<T>], places: &[usize], later: Vec<Result<T>>) {
    for (place, result) in places.iter().zip(later) {
        if let Some(slot) = results.get_mut(*place) {
            *slot = result;
        }
    }
}

fn picked<T: Clone>(items: &[T], places: &[usize]) -> Vec<T> {
    places.iter().filter_map(|place| items.get(*place)).cloned().collect()
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: Storage> Storage for Retrying<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        self.inner.default_ttls()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        repeat!(self, self.inner.get(namespace, key, now, with_value))
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let mut tries = Tries::new(self.budget);
        let mut results = loop {
            match self.inner.get_many(namespace, keys, now, with_value).await {
                Err(error) if tries.again(&error).await => {}
                results => break results?,
            }
        };
        loop {
            let (places, error) = failed(&results);
            let Some(error) = error else { return Ok(results) };
            if !tries.again(&error).await {
                return Ok(results);
            }
            if let Ok(later) = self.inner.get_many(namespace, &picked(keys, &places), now, with_value).await {
                replace(&mut results, &places, later);
            }
        }
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let mut tries = Tries::new(self.budget);
        let send = |mutations| self.inner.write(namespace, mutations, atomic, now, on_conflict);
        let mut results = loop {
            match send(mutations.clone()).await {
                Err(error) if tries.again(&error).await => {}
                Ok(results) if atomic => match failed(&results).1 {
                    Some(error) if tries.again(&error).await => {}
                    _ => return Ok(results),
                },
                results => break results?,
            }
        };
        loop {
            let (places, error) = failed(&results);
            let Some(error) = error else { return Ok(results) };
            if !tries.again(&error).await {
                return Ok(results);
            }
            let later = match send(picked(&mutations, &places)).await {
                Ok(later) => later,
                // Of these alone: what the others came to is known.
                Err(error) => places.iter().map(|_| Err(error.clone())).collect(),
            };
            replace(&mut results, &places, later);
        }
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
        repeat!(self, self.inner.scan(namespace, range.clone(), hint.clone(), now, limit, want))
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        repeat!(self, self.inner.count(namespace, range.clone(), now))
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        repeat!(self, self.inner.reclaim(namespace, now, limit))
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        repeat!(self, self.inner.clear(namespace, limit))
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        repeat!(self, self.inner.namespaces(after, limit))
    }

    async fn backoff(&self, namespace: &str, key: &str, attempt: u32) {
        self.inner.backoff(namespace, key, attempt).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use dataknobs_kv_conformance::storage_by_wrap;
    use dataknobs_kv_conformance::wrap::Wrap;
    use dataknobs_kv_core::storage::Change;
    use dataknobs_kv_core::{MemoryStorage, Precondition};

    use super::*;
    use crate::memory;

    const BUDGET: Duration = Duration::from_secs(2);

    /// Fails with these, one call after the other, before anything is applied; counts the calls, and what they hold.
    struct Script {
        memory: MemoryStorage,
        errors: Mutex<VecDeque<Error>>,
        calls: Mutex<Vec<usize>>,
        /// Fails this item of a write, or the last of a read.
        item: bool,
    }

    impl Script {
        fn new(item: bool, errors: impl IntoIterator<Item = Error>) -> Retrying<Self> {
            let errors = Mutex::new(errors.into_iter().collect());
            Retrying::new(Script { memory: memory(), errors, calls: Mutex::default(), item }, BUDGET)
        }
        fn next(&self, items: usize) -> Option<Error> {
            self.calls.lock().unwrap().push(items);
            self.errors.lock().unwrap().pop_front()
        }
    }

    #[async_trait]
    impl Wrap for Script {
        fn inner(&self) -> &dyn Storage {
            &self.memory
        }
        async fn get_many(
            &self,
            namespace: &str,
            keys: &[String],
            now: Timestamp,
            with_value: bool,
        ) -> Result<Vec<Result<Option<State>>>> {
            let mut states = self.memory.get_many(namespace, keys, now, with_value).await?;
            match self.next(keys.len()) {
                Some(error) if self.item => *states.last_mut().unwrap() = Err(error),
                Some(error) => return Err(error),
                None => {}
            }
            Ok(states)
        }
        async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
            match self.next(1) {
                Some(error) => Err(error),
                None => self.memory.get(namespace, key, now, with_value).await,
            }
        }
        async fn write(
            &self,
            namespace: &str,
            mut mutations: Vec<Mutation>,
            atomic: bool,
            now: Timestamp,
            on_conflict: Projection,
        ) -> Result<Vec<Result<Outcome>>> {
            let error = match self.next(mutations.len()) {
                None => return self.memory.write(namespace, mutations, atomic, now, on_conflict).await,
                Some(error) if !self.item => return Err(error),
                Some(error) => error,
            };
            if atomic {
                let mut outcomes: Vec<_> = mutations.iter().map(|_| Ok(Outcome::NotApplied)).collect();
                outcomes[0] = Err(error);
                return Ok(outcomes);
            }
            mutations.pop();
            let mut outcomes = self.memory.write(namespace, mutations, false, now, on_conflict).await?;
            outcomes.push(Err(error));
            Ok(outcomes)
        }
    }

    storage_by_wrap!(Script);

    fn away() -> Error {
        Error::Unavailable("away".into())
    }

    /// Of keys that are not there: the outcome tells that it was applied.
    fn deletes(count: usize) -> Vec<Mutation> {
        let delete = |at| Mutation { key: format!("k{at}"), change: Change::Delete, precondition: Precondition::None };
        (0..count).map(delete).collect()
    }

    async fn write(storage: &Retrying<Script>, count: usize, atomic: bool) -> Result<Vec<Result<Outcome>>> {
        storage.write("n", deletes(count), atomic, 1, Projection::Key).await
    }

    fn calls(storage: &Retrying<Script>) -> Vec<usize> {
        storage.inner.calls.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn what_surely_was_not_done_is_done_again() {
        let storage = Script::new(false, [away(), Error::RateLimited(Some(Box::new(700))), away()]);
        let begun = Instant::now();
        assert_eq!(storage.get("n", "k", 1, true).await, Ok(None));
        assert_eq!(calls(&storage), [1, 1, 1, 1]);
        assert!(begun.elapsed() >= Duration::from_millis(700), "it waits as long as it was told");
        let storage = Script::new(false, [away(), away()]);
        assert_eq!(write(&storage, 2, false).await, Ok(vec![Ok(Outcome::Absent), Ok(Outcome::Absent)]));
        assert_eq!(calls(&storage), [2, 2, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_failed_is_sent_again_and_an_atomic_write_whole() {
        let storage = Script::new(true, [away(), away()]);
        assert_eq!(write(&storage, 3, false).await, Ok(vec![Ok(Outcome::Absent); 3]));
        assert_eq!(calls(&storage), [3, 1, 1]);
        let storage = Script::new(true, [away()]);
        assert_eq!(write(&storage, 3, true).await, Ok(vec![Ok(Outcome::Absent); 3]));
        assert_eq!(calls(&storage), [3, 3]);
        let storage = Script::new(true, [away()]);
        let keys = ["a".to_owned(), "b".to_owned()];
        assert_eq!(storage.get_many("n", &keys, 1, true).await, Ok(vec![Ok(None), Ok(None)]));
        assert_eq!(calls(&storage), [2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_done_is_not_done_again() {
        let others = [
            Error::OutcomeUnknown(String::new()),
            Error::AccessDenied(String::new()),
            Error::Corrupt(String::new()),
            Error::Internal(String::new()),
            Error::Unsupported(String::new()),
        ];
        for error in others {
            for item in [false, true] {
                for atomic in [false, true] {
                    let storage = Script::new(item, [error.clone()]);
                    let result = write(&storage, 2, atomic).await;
                    let failed = result.as_ref().map_or(true, |outcomes| outcomes.iter().any(Result::is_err));
                    assert!(failed, "{result:?}");
                    assert_eq!(calls(&storage), [2], "{error}");
                }
            }
            let storage = Script::new(false, [error.clone()]);
            assert_eq!(storage.get("n", "k", 1, true).await, Err(error));
            assert_eq!(calls(&storage), [1]);
        }
        // Items that were applied stay told, whatever comes of the others.
        let storage = Script::new(true, [away(), Error::OutcomeUnknown("sent".into())]);
        let outcomes = write(&storage, 2, false).await.unwrap();
        assert_eq!(outcomes, [Ok(Outcome::Absent), Err(Error::OutcomeUnknown("sent".into()))]);
        assert_eq!(calls(&storage), [2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_is_kept_with_ever_longer_waits() {
        let storage = Script::new(false, std::iter::repeat_n(away(), 1000));
        let begun = Instant::now();
        assert_eq!(storage.get("n", "k", 1, true).await, Err(away()));
        assert!(begun.elapsed() <= BUDGET, "{:?}", begun.elapsed());
        let tries = calls(&storage).len();
        assert!((6..=12).contains(&tries), "{tries}");
        // Told to wait longer than that, it says so at once.
        let storage = Script::new(false, [Error::RateLimited(Some(Box::new(5000)))]);
        assert_eq!(storage.get("n", "k", 1, true).await, Err(Error::RateLimited(Some(Box::new(5000)))));
        assert_eq!(calls(&storage), [1]);
    }
}
