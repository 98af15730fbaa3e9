//! The reference storage: ordered maps in memory. What it answers is what every other storage has to answer.
//!
//! A storage that keeps its entries in memory and writes them down elsewhere builds on it: [`Stored`] entries are shared,
//! so a few can be lent to a second `MemoryStorage` where a write is tried, and all can be taken at one instant.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

#[cfg(not(all(feature = "component", target_family = "wasm")))]
use async_trait::async_trait;

use crate::{
    Attributes, Capabilities, Entry, Error, Pattern, Projection, Result, State, Storage, Timestamp, Version,
    metadata::Filter,
    storage::{ANSWER_BYTES, Change, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed},
};

/// The most entries that one call of `scan` or `count` looks at.
const LOOKED_AT: usize = 20_000;
const MAX_ATOMIC: u32 = 1000;
const MAX_VALUE_BYTES: u64 = 16 << 20;
const MAX_METADATA_BYTES: u64 = 64 << 10;

/// The reference storage. Clones share their entries.
#[derive(Clone)]
pub struct MemoryStorage {
    inner: Arc<Inner>,
}

struct Inner {
    random: Box<dyn Fn() -> u128 + Send + Sync>,
    spaces: RwLock<Spaces>,
}

/// By namespace; one without entries is not kept.
type Spaces = BTreeMap<String, Space>;

/// One namespace. `expiry` holds exactly the entries that expire, by when.
#[derive(Default)]
struct Space {
    entries: BTreeMap<Arc<str>, Arc<Stored>>,
    expiry: BTreeSet<(Timestamp, Arc<str>)>,
}

/// An entry as it is kept, expired or not. It is never changed: a write puts another in its place.
#[derive(Clone, PartialEq)]
pub struct Stored {
    /// Which state.
    pub version: Version,
    /// All but the value.
    pub attributes: Attributes,
    /// The value's bytes, shared with the states that differ in their attributes alone.
    pub value: Arc<Vec<u8>>,
}

/// All entries of a namespace, in key order.
pub type StoredSpace = (String, Vec<(Arc<str>, Arc<Stored>)>);

impl Stored {
    fn state(&self, with_value: bool) -> State {
        State {
            version: self.version.clone(),
            attributes: self.attributes.clone(),
            value: with_value.then(|| self.value.to_vec()),
        }
    }

    /// About what it weighs in an answer.
    fn weight(&self, want: Projection) -> usize {
        let attributes = || self.attributes.metadata.as_ref().map_or(0, String::len).saturating_add(128);
        match want {
            Projection::Key => 0,
            Projection::Attributes => attributes(),
            Projection::Value => attributes().saturating_add(self.value.len()),
        }
    }
}

impl MemoryStorage {
    /// `random` gives 128 fresh random bits at each call: versions are made of them.
    pub fn new(random: impl Fn() -> u128 + Send + Sync + 'static) -> Self {
        MemoryStorage { inner: Arc::new(Inner { random: Box::new(random), spaces: RwLock::default() }) }
    }

    /// What is kept under the key, expired or not.
    pub fn stored(&self, namespace: &str, key: &str) -> Option<Arc<Stored>> {
        self.read().get(namespace)?.entries.get(key).cloned()
    }

    /// All that is kept, at one instant. Takes time and memory for each entry, not for its value.
    pub fn all_stored(&self) -> Vec<StoredSpace> {
        let entries = |space: &Space| space.entries.iter().map(|(key, stored)| (key.clone(), stored.clone())).collect();
        self.read().iter().map(|(namespace, space)| (namespace.clone(), entries(space))).collect()
    }

    /// The first keys of a namespace, expired or not, at most `limit`, and whether there are more.
    pub fn first_stored(&self, namespace: &str, limit: usize) -> (Vec<Arc<str>>, bool) {
        let spaces = self.read();
        let Some(space) = spaces.get(namespace) else { return (Vec::new(), false) };
        (space.entries.keys().take(limit).cloned().collect(), space.entries.len() > limit)
    }

    /// Namespaces and keys of what is kept and has expired, at most `limit`, and whether there are more.
    pub fn expired(&self, namespace: Option<&str>, now: Timestamp, limit: usize) -> (Vec<(String, Arc<str>)>, bool) {
        let spaces = self.read();
        let mut due = spaces
            .iter()
            .filter(|(name, _)| namespace.is_none_or(|namespace| namespace == name.as_str()))
            .flat_map(|(name, space)| {
                let due = space.expiry.iter().take_while(|(at, _)| *at <= now);
                due.map(move |(_, key)| (name.clone(), key.clone()))
            });
        (due.by_ref().take(limit).collect(), due.next().is_some())
    }

    /// Keeps these entries, and removes those that are none, whatever is there: all at once.
    pub fn place<'a>(&self, entries: impl IntoIterator<Item = (&'a str, &'a str, Option<Arc<Stored>>)>) {
        let mut spaces = self.change();
        for (namespace, key, stored) in entries {
            match (stored, spaces.get_mut(namespace)) {
                (Some(stored), Some(space)) => space.insert(key.into(), stored),
                (Some(stored), None) => spaces.entry(namespace.to_owned()).or_default().insert(key.into(), stored),
                (None, Some(space)) => {
                    space.remove(key);
                    if space.entries.is_empty() {
                        spaces.remove(namespace);
                    }
                }
                (None, None) => {}
            }
        }
    }

    // A poisoned lock is taken all the same: the one foreign function, `random`, is called before anything changes.
    fn read(&self) -> RwLockReadGuard<'_, Spaces> {
        self.inner.spaces.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Spaces> {
        self.inner.spaces.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn version(&self) -> Version {
        Version::from_random((self.inner.random)())
    }
}

impl std::fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStorage").finish_non_exhaustive()
    }
}

impl Space {
    fn living(&self, key: &str, now: Timestamp) -> Option<&Stored> {
        self.entries.get(key).filter(|record| !record.attributes.expired(now)).map(Arc::as_ref)
    }

    /// What stands in the way of the mutation, if anything does.
    fn refusal(&self, mutation: &Mutation, now: Timestamp, on_conflict: Projection) -> Option<Outcome> {
        let current = self.living(&mutation.key, now);
        if !mutation.precondition.holds(current.map(|record| &record.version)) {
            let state = match on_conflict {
                Projection::Key => None,
                _ => current.map(|record| record.state(on_conflict == Projection::Value)),
            };
            return Some(Outcome::Conflict(state));
        }
        let needs_entry = matches!(mutation.change, Change::Amend(_) | Change::Extend(_));
        (needs_entry && current.is_none()).then_some(Outcome::Absent)
    }

    /// Applies what nothing stands in the way of. `version` is the new one of a put or amend.
    fn apply(&mut self, key: String, change: Change, now: Timestamp, version: Option<Version>) -> Result<Outcome> {
        let missing = || Error::Internal("a write without its version or entry".into());
        match change {
            Change::Put { mut attributes, value } => {
                let version = version.ok_or_else(missing)?;
                let there = self.entries.get_mut(key.as_str());
                if let Some(there) = &there
                    && !there.attributes.expired(now)
                {
                    attributes.created_at = there.attributes.created_at;
                }
                let record = Arc::new(Stored { version: version.clone(), attributes, value: Arc::new(value) });
                match there {
                    Some(there) if there.attributes.expires_at == record.attributes.expires_at => *there = record,
                    _ => self.insert(key.into(), record),
                }
                Ok(Outcome::Written(version))
            }
            Change::Amend(amendment) => {
                let version = version.ok_or_else(missing)?;
                let (key, record) = self.entries.remove_entry(key.as_str()).ok_or_else(missing)?;
                self.forget(&key, record.attributes.expires_at);
                let record = Arc::unwrap_or_clone(record);
                let attributes = Attributes {
                    content_type: amendment.content_type,
                    metadata: amendment.metadata,
                    updated_at: amendment.updated_at,
                    expires_at: amendment.expires_at,
                    sliding_ms: amendment.sliding_ms,
                    ..record.attributes
                };
                self.insert(key, Arc::new(Stored { version: version.clone(), attributes, value: record.value }));
                Ok(Outcome::Written(version))
            }
            Change::Extend(to) => {
                let (key, mut record) = self.entries.remove_entry(key.as_str()).ok_or_else(missing)?;
                if let Some(at) = record.attributes.expires_at.filter(|at| *at < to) {
                    self.forget(&key, Some(at));
                    Arc::make_mut(&mut record).attributes.expires_at = Some(to);
                }
                self.insert(key, record);
                Ok(Outcome::Held)
            }
            Change::Delete => {
                let lived = self.living(&key, now).is_some();
                self.remove(&key);
                Ok(if lived { Outcome::Deleted } else { Outcome::Absent })
            }
            Change::Check => Ok(Outcome::Held),
        }
    }

    fn insert(&mut self, key: Arc<str>, record: Arc<Stored>) {
        let expires_at = record.attributes.expires_at;
        if let Some(at) = expires_at {
            self.expiry.insert((at, key.clone()));
        }
        if let Some(old) = self.entries.insert(key.clone(), record)
            && old.attributes.expires_at != expires_at
        {
            self.forget(&key, old.attributes.expires_at);
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, old)) = self.entries.remove_entry(key) {
            self.forget(&key, old.attributes.expires_at);
        }
    }

    fn forget(&mut self, key: &Arc<str>, expires_at: Option<Timestamp>) {
        if let Some(at) = expires_at {
            self.expiry.remove(&(at, key.clone()));
        }
    }

    /// Removes up to `limit` expired entries.
    fn reclaim(&mut self, now: Timestamp, limit: u32) -> u32 {
        let mut count: u32 = 0;
        while count < limit && self.has_expired(now) {
            if let Some((_, key)) = self.expiry.pop_first() {
                self.entries.remove(&key);
                count = count.saturating_add(1);
            }
        }
        count
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expiry.first().is_some_and(|(at, _)| *at <= now)
    }
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
#[cfg_attr(all(not(feature = "component"), target_family = "wasm"), async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Storage for MemoryStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: false,
            shared: false,
            max_atomic: MAX_ATOMIC,
            max_value_bytes: MAX_VALUE_BYTES,
            max_metadata_bytes: MAX_METADATA_BYTES,
            sliding: true,
            cheap_amend: true,
            native_expiry: false,
            indexed_scan: true,
            extra: Vec::new(),
        }
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        let spaces = self.read();
        Ok(spaces.get(namespace).and_then(|space| space.living(key, now)).map(|record| record.state(with_value)))
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let want = if with_value { Projection::Value } else { Projection::Attributes };
        let spaces = self.read();
        let space = spaces.get(namespace);
        let mut weight: usize = 0;
        let mut states = Vec::with_capacity(keys.len());
        for key in keys {
            let record = space.and_then(|space| space.living(key, now));
            weight = weight.saturating_add(record.map_or(0, |record| record.weight(want)));
            if weight > ANSWER_BYTES && !states.is_empty() {
                break;
            }
            states.push(Ok(record.map(|record| record.state(with_value))));
        }
        Ok(states)
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        if atomic && mutations.len() > MAX_ATOMIC as usize {
            return Err(Error::Unsupported(format!("an atomic write has at most {MAX_ATOMIC} mutations")));
        }
        let versions: Vec<Option<Version>> = mutations
            .iter()
            .map(|mutation| matches!(mutation.change, Change::Put { .. } | Change::Amend(_)).then(|| self.version()))
            .collect();
        let mut spaces = self.change();
        // Created here, and taken away again below if nothing came to be in it.
        let space = match spaces.get_mut(namespace) {
            Some(space) => space,
            None => spaces.entry(namespace.to_owned()).or_default(),
        };
        let mut outcomes = Vec::with_capacity(mutations.len());
        if atomic {
            let refusals: Vec<_> = mutations.iter().map(|mutation| space.refusal(mutation, now, on_conflict)).collect();
            if refusals.iter().any(Option::is_some) {
                outcomes.extend(refusals.into_iter().map(|refusal| Ok(refusal.unwrap_or(Outcome::NotApplied))));
            }
        }
        if outcomes.is_empty() {
            for (mutation, version) in mutations.into_iter().zip(versions) {
                outcomes.push(match space.refusal(&mutation, now, on_conflict) {
                    Some(refusal) => Ok(refusal),
                    None => space.apply(mutation.key, mutation.change, now, version),
                });
            }
        }
        if space.entries.is_empty() {
            spaces.remove(namespace);
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
        // A hint that cannot be read is ignored: the core looks again.
        let pattern = hint.pattern.and_then(|pattern| Pattern::parse(&pattern).ok());
        let filter = hint.metadata.and_then(|metadata| Filter::parse(&metadata).ok());
        let spaces = self.read();
        let (Some(space), Some(bounds)) = (spaces.get(namespace), range.bounds()) else {
            return Ok(Page::default());
        };
        let mut page = Page::default();
        let mut weight: usize = 0;
        let mut last: Option<&str> = None;
        for (index, (key, record)) in space.entries.range::<str, _>(bounds).enumerate() {
            let matches = !record.attributes.expired(now)
                && pattern.as_ref().is_none_or(|pattern| pattern.matches(key))
                && filter.as_ref().is_none_or(|filter| filter.matches(record.attributes.metadata.as_deref()));
            if matches {
                weight = weight.saturating_add(key.len()).saturating_add(record.weight(want));
            }
            let heavy = weight > ANSWER_BYTES && !page.items.is_empty();
            if heavy || page.items.len() >= limit as usize || index >= LOOKED_AT {
                page.next = last.map(str::to_owned);
                break;
            }
            if matches {
                let state = (want != Projection::Key).then(|| record.state(want == Projection::Value));
                page.items.push(Entry { key: key.as_ref().into(), state });
            }
            last = Some(key);
        }
        Ok(page)
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        let spaces = self.read();
        let (Some(space), Some(bounds)) = (spaces.get(namespace), range.bounds()) else {
            return Ok(Some(0));
        };
        if bounds == (Unbounded, Unbounded) {
            let expired = space.expiry.iter().take_while(|(at, _)| *at <= now).take(LOOKED_AT).count();
            let living = space.entries.len().saturating_sub(expired);
            return Ok((expired < LOOKED_AT).then_some(living as u64));
        }
        let mut rows = space.entries.range::<str, _>(bounds);
        let living = rows.by_ref().take(LOOKED_AT).filter(|(_, record)| !record.attributes.expired(now)).count();
        Ok(rows.next().is_none().then_some(living as u64))
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        let mut spaces = self.change();
        let mut reclaimed = Reclaimed::default();
        let mut in_space = |space: &mut Space| {
            reclaimed.count = reclaimed.count.saturating_add(space.reclaim(now, limit.saturating_sub(reclaimed.count)));
            reclaimed.more |= space.has_expired(now);
            !space.entries.is_empty()
        };
        match namespace {
            None => spaces.retain(|_, space| in_space(space)),
            Some(namespace) => {
                if spaces.get_mut(namespace).is_some_and(|space| !in_space(space)) {
                    spaces.remove(namespace);
                }
            }
        }
        Ok(reclaimed)
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let mut spaces = self.change();
        let Some(space) = spaces.get_mut(namespace) else { return Ok(false) };
        for _ in 0..limit {
            let Some((key, old)) = space.entries.pop_first() else { break };
            space.forget(&key, old.attributes.expires_at);
        }
        let more = !space.entries.is_empty();
        if !more {
            spaces.remove(namespace);
        }
        Ok(more)
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        let spaces = self.read();
        let low = after.map_or(Unbounded, Excluded);
        let mut rows = spaces.range::<str, _>((low, Unbounded)).map(|(name, _)| name);
        let names: Vec<String> = rows.by_ref().take(limit as usize).cloned().collect();
        let next = rows.next().and_then(|_| names.last().cloned());
        Ok(Names { names, next })
    }
}
