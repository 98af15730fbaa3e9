//! Storages that change one thing about another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Capabilities, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed, Storage};
use dataknobs_kv_core::{Error, MaybeSync, Projection, Result, State, Timestamp};

use crate::harness::TestClock;

/// All of [`Storage`], forwarded; whoever implements it says what is different.
#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
pub trait Wrap: MaybeSync {
    /// What is wrapped.
    fn inner(&self) -> &dyn Storage;

    /// See [`Storage::capabilities`].
    fn capabilities(&self) -> Capabilities {
        self.inner().capabilities()
    }
    /// See [`Storage::default_ttls`].
    fn default_ttls(&self) -> Vec<(String, u64)> {
        self.inner().default_ttls()
    }
    /// See [`Storage::get`].
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        self.inner().get(namespace, key, now, with_value).await
    }
    /// See [`Storage::get_many`].
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        self.inner().get_many(namespace, keys, now, with_value).await
    }
    /// See [`Storage::write`].
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        self.inner().write(namespace, mutations, atomic, now, on_conflict).await
    }
    /// See [`Storage::scan`].
    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        self.inner().scan(namespace, range, hint, now, limit, want).await
    }
    /// See [`Storage::count`].
    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        self.inner().count(namespace, range, now).await
    }
    /// See [`Storage::reclaim`].
    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        self.inner().reclaim(namespace, now, limit).await
    }
    /// See [`Storage::clear`].
    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        self.inner().clear(namespace, limit).await
    }
    /// See [`Storage::namespaces`].
    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.inner().namespaces(after, limit).await
    }
}

/// Makes each [`Wrap`] a [`Storage`]. Where it is used, the types of [`Storage`]'s functions are in scope.
#[macro_export]
macro_rules! storage_by_wrap {
    ($($name:ty),+ $(,)?) => {$(
        #[cfg_attr(target_family = "wasm", async_trait::async_trait(?Send))]
        #[cfg_attr(not(target_family = "wasm"), async_trait::async_trait)]
        impl dataknobs_kv_core::Storage for $name {
            fn capabilities(&self) -> Capabilities {
                Wrap::capabilities(self)
            }
            fn default_ttls(&self) -> Vec<(String, u64)> {
                Wrap::default_ttls(self)
            }
            async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
                Wrap::get(self, namespace, key, now, with_value).await
            }
            async fn get_many(
                &self,
                namespace: &str,
                keys: &[String],
                now: Timestamp,
                with_value: bool,
            ) -> Result<Vec<Result<Option<State>>>> {
                Wrap::get_many(self, namespace, keys, now, with_value).await
            }
            async fn write(
                &self,
                namespace: &str,
                mutations: Vec<Mutation>,
                atomic: bool,
                now: Timestamp,
                on_conflict: Projection,
            ) -> Result<Vec<Result<Outcome>>> {
                Wrap::write(self, namespace, mutations, atomic, now, on_conflict).await
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
                Wrap::scan(self, namespace, range, hint, now, limit, want).await
            }
            async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
                Wrap::count(self, namespace, range, now).await
            }
            async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
                Wrap::reclaim(self, namespace, now, limit).await
            }
            async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
                Wrap::clear(self, namespace, limit).await
            }
            async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
                Wrap::namespaces(self, after, limit).await
            }
        }
    )+};
}

/// Gives one namespace a default time to live.
pub struct DefaultTtl {
    /// Underneath.
    pub storage: Arc<dyn Storage>,
    /// Which namespace.
    pub namespace: String,
    /// In milliseconds.
    pub span: u64,
}

impl Wrap for DefaultTtl {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    fn default_ttls(&self) -> Vec<(String, u64)> {
        vec![(self.namespace.clone(), self.span)]
    }
}

/// Can do little: single writes, no sliding, small values; and refuses the rest.
pub struct Limited {
    /// Underneath.
    pub storage: Arc<dyn Storage>,
}

impl Limited {
    /// The largest value.
    pub const VALUE: u64 = 4 << 20;
    /// The largest metadata.
    pub const METADATA: u64 = 64 << 10;
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Wrap for Limited {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_atomic: 1,
            sliding: false,
            max_value_bytes: Self::VALUE,
            max_metadata_bytes: Self::METADATA,
            ..self.storage.capabilities()
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
        if atomic && mutations.len() > 1 {
            return Err(Error::Unsupported("single writes only".into()));
        }
        self.storage.write(namespace, mutations, atomic, now, on_conflict).await
    }
    async fn count(&self, _namespace: &str, _range: Range, _now: Timestamp) -> Result<Option<u64>> {
        Ok(None)
    }
    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        _hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        // Short pages, and sometimes empty ones, before the end: all of it is allowed.
        let mut page = self.storage.scan(namespace, range, Hint::default(), now, limit.min(3), want).await?;
        if page.items.len() == 3 && page.items[0].key.len() % 2 == 0 {
            let last = page.items.pop();
            page.next = page.items.last().map(|entry| entry.key.clone());
            drop(last);
        }
        Ok(page)
    }
}

/// Answers every call with an error.
pub struct Failing {
    /// Underneath, for what it can do.
    pub storage: Arc<dyn Storage>,
    /// Which error.
    pub error: Error,
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Wrap for Failing {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    async fn get(&self, _: &str, _: &str, _: Timestamp, _: bool) -> Result<Option<State>> {
        Err(self.error.clone())
    }
    async fn get_many(&self, _: &str, _: &[String], _: Timestamp, _: bool) -> Result<Vec<Result<Option<State>>>> {
        Err(self.error.clone())
    }
    async fn write(
        &self,
        _: &str,
        _: Vec<Mutation>,
        _: bool,
        _: Timestamp,
        _: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        Err(self.error.clone())
    }
    async fn scan(&self, _: &str, _: Range, _: Hint, _: Timestamp, _: u32, _: Projection) -> Result<Page> {
        Err(self.error.clone())
    }
    async fn count(&self, _: &str, _: Range, _: Timestamp) -> Result<Option<u64>> {
        Err(self.error.clone())
    }
    async fn reclaim(&self, _: Option<&str>, _: Timestamp, _: u32) -> Result<Reclaimed> {
        Err(self.error.clone())
    }
    async fn clear(&self, _: &str, _: u32) -> Result<bool> {
        Err(self.error.clone())
    }
    async fn namespaces(&self, _: Option<&str>, _: u32) -> Result<Names> {
        Err(self.error.clone())
    }
}

/// Fails the writes of keys that contain `refuse`, each for itself.
pub struct Picky {
    /// Underneath.
    pub storage: Arc<dyn Storage>,
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Wrap for Picky {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let refused: Vec<bool> = mutations.iter().map(|mutation| mutation.key.contains("refuse")).collect();
        let good = mutations.into_iter().filter(|mutation| !mutation.key.contains("refuse")).collect();
        let mut results = self.storage.write(namespace, good, atomic, now, on_conflict).await?.into_iter();
        let result = |refused| match refused {
            true => Err(Error::Unavailable("the part of the backend for this key".into())),
            false => results.next().unwrap_or_else(|| Err(Error::Internal("too few results".into()))),
        };
        Ok(refused.into_iter().map(result).collect())
    }
}

/// Lets every guarded write lose, and time pass meanwhile.
pub struct AlwaysLate {
    /// Underneath.
    pub storage: Arc<dyn Storage>,
    /// Moved on with every lost write.
    pub clock: Arc<dyn TestClock>,
    /// How many were lost.
    pub lost: AtomicU32,
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Wrap for AlwaysLate {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        use dataknobs_kv_core::Precondition;
        if mutations.iter().all(|mutation| mutation.precondition == Precondition::None) {
            return self.storage.write(namespace, mutations, atomic, now, on_conflict).await;
        }
        self.lost.fetch_add(1, Ordering::SeqCst);
        self.clock.advance(250);
        let mut outcomes = Vec::new();
        for mutation in mutations {
            // A rival was there first.
            let rival = Mutation { precondition: Precondition::None, ..mutation };
            let key = rival.key.clone();
            self.storage.write(namespace, vec![rival], false, now, on_conflict).await?;
            let state = self.storage.get(namespace, &key, now, on_conflict == Projection::Value).await?;
            outcomes.push(Ok(Outcome::Conflict(state.filter(|_| on_conflict != Projection::Key))));
        }
        Ok(outcomes)
    }
}

/// Gives back other bytes than were written for keys that contain `damaged`.
pub struct Damaging {
    /// Underneath.
    pub storage: Arc<dyn Storage>,
}

impl Damaging {
    fn damage(&self, key: &str, state: Option<State>) -> Option<State> {
        let mut state = state?;
        if key.contains("damaged")
            && let Some(value) = &mut state.value
        {
            *value = vec![0xff; value.len().max(1)];
        }
        Some(state)
    }
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Wrap for Damaging {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        Ok(self.damage(key, self.storage.get(namespace, key, now, with_value).await?))
    }
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let results = self.storage.get_many(namespace, keys, now, with_value).await?;
        Ok(results.into_iter().zip(keys).map(|(result, key)| Ok(self.damage(key, result?))).collect())
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
        let mut page = self.storage.scan(namespace, range, hint, now, limit, want).await?;
        for entry in &mut page.items {
            entry.state = self.damage(&entry.key, entry.state.take());
        }
        Ok(page)
    }
}

/// Fails at random, one time in `one_in`, before anything is applied: whole calls, and single items of plain batches.
pub struct Flaky {
    /// Underneath.
    pub storage: Arc<dyn Storage>,
    /// How rarely.
    pub one_in: u32,
}

impl Flaky {
    fn fails(&self) -> Result<()> {
        match rand::random::<u32>() % (2 * self.one_in) {
            0 => Err(Error::Unavailable("the connection, for a moment".into())),
            1 => Err(Error::RateLimited(Some(Box::new(1)))),
            _ => Ok(()),
        }
    }
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Wrap for Flaky {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        self.fails()?;
        self.storage.get(namespace, key, now, with_value).await
    }
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        self.fails()?;
        let mut states = self.storage.get_many(namespace, keys, now, with_value).await?;
        if let (Err(error), Some(last)) = (self.fails(), states.last_mut()) {
            *last = Err(error);
        }
        Ok(states)
    }
    async fn write(
        &self,
        namespace: &str,
        mut mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        self.fails()?;
        let Err(error) = self.fails() else {
            return self.storage.write(namespace, mutations, atomic, now, on_conflict).await;
        };
        let Some(last) = mutations.pop() else { return Ok(Vec::new()) };
        if atomic {
            drop(last);
            return Ok(mutations.iter().map(|_| Ok(Outcome::NotApplied)).chain([Err(error)]).collect());
        }
        let mut outcomes = self.storage.write(namespace, mutations, false, now, on_conflict).await?;
        outcomes.push(Err(error));
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
        self.fails()?;
        self.storage.scan(namespace, range, hint, now, limit, want).await
    }
    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        self.fails()?;
        self.storage.count(namespace, range, now).await
    }
    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        self.fails()?;
        self.storage.reclaim(namespace, now, limit).await
    }
    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        self.fails()?;
        self.storage.clear(namespace, limit).await
    }
    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.fails()?;
        self.storage.namespaces(after, limit).await
    }
}

/// Counts the calls that reach it.
pub struct Counting {
    /// Underneath.
    pub storage: Arc<dyn Storage>,
    /// Reads of one or many.
    pub reads: AtomicU32,
    /// Writes.
    pub writes: AtomicU32,
    /// Pages.
    pub scans: AtomicU32,
}

impl Counting {
    /// Counts from zero.
    pub fn new(storage: Arc<dyn Storage>) -> Arc<Self> {
        Arc::new(Counting { storage, reads: 0.into(), writes: 0.into(), scans: 0.into() })
    }

    /// Reads, writes and pages since the last time.
    pub fn taken(&self) -> [u32; 3] {
        [&self.reads, &self.writes, &self.scans].map(|count| count.swap(0, Ordering::SeqCst))
    }
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Wrap for Counting {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.storage.get(namespace, key, now, with_value).await
    }
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
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
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.storage.write(namespace, mutations, atomic, now, on_conflict).await
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
        self.scans.fetch_add(1, Ordering::SeqCst);
        self.storage.scan(namespace, range, hint, now, limit, want).await
    }
}

/// Does something before each write, which it may refuse.
pub struct AtWrites {
    storage: Arc<dyn Storage>,
    act: Box<dyn Fn(u32) -> Result<()> + Send + Sync>,
    count: AtomicU32,
}

impl AtWrites {
    /// `act` is told how many writes came before. Its error is the write's, of which nothing is applied.
    pub fn new(storage: Arc<dyn Storage>, act: impl Fn(u32) -> Result<()> + Send + Sync + 'static) -> Self {
        AtWrites { storage, act: Box::new(act), count: AtomicU32::new(0) }
    }
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Wrap for AtWrites {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        (self.act)(self.count.fetch_add(1, Ordering::SeqCst))?;
        self.storage.write(namespace, mutations, atomic, now, on_conflict).await
    }
}

storage_by_wrap!(AtWrites, DefaultTtl, Limited, Failing, Picky, AlwaysLate, Damaging, Flaky, Counting);
