//! What is known, and what is under way: the answers that are kept, the reads that callers share, and the writes that
//! keep a read from being remembered.
//!
//! Two rules keep an old state from being remembered over a newer one. Whoever writes a key takes its answer and its read
//! away before the write is sent and again before it is answered; and while a write of a key is under way, no read of it
//! is remembered. All of it happens under one lock, which is never held while anything waits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataknobs_kv_core::{Result, State, Timestamp};
use futures::FutureExt;
use futures::future::{Shared, WeakShared};
use moka::Equivalent;
use moka::sync::Cache;
use tokio::time::Instant;

use super::CacheConfig;

/// How many bytes of an entry count as one.
const WEIGHT_BYTES: usize = 64 << 10;

/// Which entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    namespace: Box<str>,
    key: Box<str>,
}

impl Name {
    pub(super) fn new(namespace: &str, key: &str) -> Self {
        Name { namespace: namespace.into(), key: key.into() }
    }
}

/// A [`Name`] to look for.
#[derive(Hash)]
struct NameRef<'a> {
    namespace: &'a str,
    key: &'a str,
}

impl Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        *self.namespace == *name.namespace && *self.key == *name.key
    }
}

/// What a read found.
pub(super) struct Seen {
    state: Option<State>,
    /// When the read began: what was written since may be missing.
    begun: Begun,
}

/// When a read began.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    /// By a clock that nobody sets.
    at: Instant,
    /// By the caller's clock.
    now: Timestamp,
    /// How many times whole namespaces had been emptied.
    epoch: u64,
}

impl Seen {
    /// As an answer at `now`, with the value or without.
    fn answer(&self, now: Timestamp, with_value: bool) -> Option<State> {
        let state = self.state.as_ref().filter(|state| !state.attributes.expired(now))?;
        Some(State {
            version: state.version.clone(),
            attributes: state.attributes.clone(),
            value: if with_value { state.value.clone() } else { None },
        })
    }

    fn weight(&self) -> u32 {
        let bytes = self.state.as_ref().map_or(0, |state| {
            let metadata = state.attributes.metadata.as_ref().map_or(0, String::len);
            metadata.saturating_add(state.value.as_ref().map_or(0, Vec::len))
        });
        u32::try_from(bytes / WEIGHT_BYTES).unwrap_or(u32::MAX - 1) + 1
    }
}

/// What a read of some keys came to: for the first of them, or an error for all.
pub(super) type Answers = Arc<Result<Vec<Result<Arc<Seen>>>>>;
type Reading = Pin<Box<dyn Future<Output = Answers> + Send>>;

/// A read under way, and the key's place in it.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) answers: Shared<Reading>,
    place: usize,
}

impl Flight {
    /// What it found for the key, as an answer at `now`; none where it did not come to the key.
    pub(super) async fn land(self, now: Timestamp, with_value: bool) -> Option<Result<Option<State>>> {
        match &*self.answers.await {
            Err(error) => Some(Err(error.clone())),
            Ok(answers) => match answers.get(self.place)? {
                Ok(seen) => Some(Ok(seen.answer(now, with_value))),
                Err(error) => Some(Err(error.clone())),
            },
        }
    }
}

/// What is under way for one key. Kept only while something is.
#[derive(Default)]
struct Slot {
    writers: usize,
    read: Option<Read>,
}

struct Read {
    id: u64,
    /// Whoever waits holds it: what nobody waits for any more is dropped, not polled again later.
    answers: WeakShared<Reading>,
    place: usize,
    with_value: bool,
    begun: Begun,
}

/// See the module's text.
pub(super) struct Table {
    kept: Cache<Name, Arc<Seen>>,
    ttl: Duration,
    slots: Mutex<HashMap<Name, Slot>>,
    reads: AtomicU64,
    /// Moved on before and after a namespace is emptied.
    epoch: AtomicU64,
    /// Namespaces being emptied.
    clearing: AtomicUsize,
    /// Up to when expired entries were removed: by a clock set back they would come to life again here alone.
    reclaimed: AtomicU64,
}

impl Table {
    pub(super) fn new(config: &CacheConfig) -> Self {
        let kept = Cache::builder()
            .max_capacity(config.entries)
            .weigher(|_, seen: &Arc<Seen>| seen.weight())
            // Frees the room; whether an answer is too old is looked at when it is used.
            .time_to_live(config.ttl)
            .build();
        Table {
            kept,
            ttl: config.ttl,
            slots: Mutex::default(),
            reads: 0.into(),
            epoch: 0.into(),
            clearing: 0.into(),
            reclaimed: 0.into(),
        }
    }

    // Nothing panics while it is held but the allocator.
    fn slots(&self) -> MutexGuard<'_, HashMap<Name, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self, begun: &Begun) -> bool {
        begun.at.elapsed() < self.ttl && begun.epoch == self.epoch.load(SeqCst)
    }

    /// The answer that is kept, if it may be given at `now`.
    pub(super) fn answer(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Option<Option<State>> {
        let seen = self.kept.get(&NameRef { namespace, key }).filter(|seen| self.fresh(&seen.begun))?;
        match &seen.state {
            // It may have expired by then and not by now.
            None => (seen.begun.now <= now).then_some(None),
            Some(state) => {
                // Whoever renewed it elsewhere is asked, once.
                let over = state.attributes.expired(now) || state.attributes.expired(self.reclaimed.load(SeqCst));
                let enough = !with_value || state.value.is_some();
                (!over && enough).then(|| seen.answer(now, with_value))
            }
        }
    }

    /// For each key, which are all different: the answer that is kept, or a read to wait for. What nobody reads yet is
    /// read by what `read` makes of those keys; how many they are.
    pub(super) fn join<F>(
        self: &Arc<Self>,
        namespace: &str,
        keys: &[&str],
        now: Timestamp,
        with_value: bool,
        read: impl FnOnce(Vec<String>) -> F,
    ) -> (Vec<Joined>, usize)
    where
        F: Future<Output = Result<Vec<Result<Option<State>>>>> + Send + 'static,
    {
        let mut slots = self.slots();
        let begun = Begun { at: Instant::now(), now, epoch: self.epoch.load(SeqCst) };
        let mut names = Vec::new();
        let mut joined = Vec::with_capacity(keys.len());
        for key in keys {
            // Looked at again: since the caller did, a read may have ended.
            if let Some(state) = self.answer(namespace, key, now, with_value) {
                joined.push(Ok(Joined::Kept(state)));
                continue;
            }
            let name = Name::new(namespace, key);
            let shared = slots.get(&name).and_then(|slot| self.shared(slot.read.as_ref()?, with_value));
            joined.push(shared.map(Joined::Flight).ok_or(names.len()));
            if let Some(Err(_)) = joined.last() {
                names.push(name);
            }
        }
        let own = names.len();
        let mut answers = None;
        if own > 0 {
            let id = self.reads.fetch_add(1, SeqCst);
            let reading = read(names.iter().map(|name| name.key.to_string()).collect());
            let landing = Landing { table: Arc::clone(self), names: names.clone(), id, begun };
            let future: Reading = Box::pin(async move { landing.land(reading.await) });
            let shared = future.shared();
            for (place, name) in names.into_iter().enumerate() {
                slots.entry(name).or_default().read =
                    shared.downgrade().map(|answers| Read { id, answers, place, with_value, begun });
            }
            answers = Some(shared);
        }
        drop(slots);
        let joined = joined.into_iter().filter_map(|joined| match joined {
            Ok(joined) => Some(joined),
            Err(place) => answers.clone().map(|answers| Joined::Flight(Flight { answers, place })),
        });
        (joined.collect(), own)
    }

    /// The read, if its answer will do.
    fn shared(&self, read: &Read, with_value: bool) -> Option<Flight> {
        if (with_value && !read.with_value) || !self.fresh(&read.begun) {
            return None;
        }
        // Never dropped here, which would take the lock again.
        read.answers.upgrade().map(|answers| Flight { answers, place: read.place })
    }

    /// Before these keys are written. What it gives is dropped when the write was answered, or given up.
    pub(super) fn writing(self: &Arc<Self>, names: Vec<Name>) -> Writing {
        let mut slots = self.slots();
        for name in &names {
            let slot = slots.entry(name.clone()).or_default();
            slot.writers += 1;
            slot.read = None;
            self.kept.invalidate(name);
        }
        drop(slots);
        Writing { table: Arc::clone(self), names }
    }

    /// Forgets what is kept of this key, and what is being read.
    pub(super) fn forget(self: &Arc<Self>, name: Name) {
        drop(self.writing(vec![name]));
    }

    /// Before a namespace is emptied. What it gives is dropped afterwards.
    pub(super) fn clearing(self: &Arc<Self>) -> Clearing {
        self.clearing.fetch_add(1, SeqCst);
        self.epoch.fetch_add(1, SeqCst);
        Clearing(Arc::clone(self))
    }

    /// Expired entries are removed up to this instant.
    pub(super) fn reclaiming(&self, now: Timestamp) {
        self.reclaimed.fetch_max(now, SeqCst);
    }

    /// About how many entries are kept.
    pub(super) fn len(&self) -> u64 {
        self.kept.run_pending_tasks();
        self.kept.entry_count()
    }

    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.slots().len()
    }
}

/// A key of a call.
pub(super) enum Joined {
    /// Its answer was kept.
    Kept(Option<State>),
    /// It is being read.
    Flight(Flight),
}

/// A read that is to be remembered when it ends, and whose traces go away however it ends.
struct Landing {
    table: Arc<Table>,
    names: Vec<Name>,
    id: u64,
    begun: Begun,
}

impl Landing {
    fn land(mut self, result: Result<Vec<Result<Option<State>>>>) -> Answers {
        let begun = self.begun;
        let seen = |state| Arc::new(Seen { state, begun });
        let answers = result.map(|states| {
            let states = states.into_iter().take(self.names.len());
            states.map(|state| state.map(seen)).collect::<Vec<Result<Arc<Seen>>>>()
        });
        let found = answers.as_deref().unwrap_or_default();
        self.end(|place| found.get(place).and_then(|seen| seen.as_ref().ok()).cloned());
        Arc::new(answers)
    }

    /// Takes the reads away, and remembers what they found of keys that nobody writes or wrote.
    fn end(&mut self, found: impl Fn(usize) -> Option<Arc<Seen>>) {
        let mut slots = self.table.slots();
        let table = &self.table;
        for (place, name) in std::mem::take(&mut self.names).into_iter().enumerate() {
            let Entry::Occupied(mut slot) = slots.entry(name) else { continue };
            if slot.get().read.as_ref().is_none_or(|read| read.id != self.id) {
                continue;
            }
            slot.get_mut().read = None;
            let undisturbed = slot.get().writers == 0 && table.clearing.load(SeqCst) == 0 && table.fresh(&self.begun);
            if let Some(seen) = found(place).filter(|_| undisturbed) {
                table.kept.insert(slot.key().clone(), seen);
            }
            if slot.get().writers == 0 {
                slot.remove();
            }
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.names.is_empty() {
            self.end(|_| None);
        }
    }
}

/// A write under way.
pub(super) struct Writing {
    table: Arc<Table>,
    names: Vec<Name>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut slots = self.table.slots();
        for name in std::mem::take(&mut self.names) {
            self.table.kept.invalidate(&name);
            let Entry::Occupied(mut slot) = slots.entry(name) else { continue };
            slot.get_mut().writers = slot.get().writers.saturating_sub(1);
            slot.get_mut().read = None;
            if slot.get().writers == 0 {
                slot.remove();
            }
        }
    }
}

/// A namespace being emptied.
pub(super) struct Clearing(Arc<Table>);

impl Drop for Clearing {
    fn drop(&mut self) {
        self.0.epoch.fetch_add(1, SeqCst);
        self.0.clearing.fetch_sub(1, SeqCst);
        self.0.kept.invalidate_all();
    }
}
