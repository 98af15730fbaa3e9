//! Storages that lie, one lie at a time: the suite must notice each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dataknobs_kv_core::storage::{
    ANSWER_BYTES, Capabilities, Change, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed, Storage,
};
use dataknobs_kv_core::{Entry, Precondition, Projection, Result, State, Timestamp, Version};

use crate::storage_by_wrap;
use crate::wrap::Wrap;

mod lies;

pub use lies::Lie;

/// A storage with one lie.
pub struct Faulty {
    storage: Arc<dyn Storage>,
    lie: Lie,
    count: AtomicU32,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// How often each key was written since it came to be.
    counts: HashMap<(String, String), u32>,
    /// The first expiry of each key.
    expiries: HashMap<(String, String), Timestamp>,
    /// Keys that were looked for in vain.
    misses: std::collections::HashSet<(String, String)>,
    /// What a cache holds.
    cache: HashMap<(String, String), State>,
    /// The last key written in a namespace.
    last: HashMap<String, String>,
}

fn id(namespace: &str, key: &str) -> (String, String) {
    (namespace.to_owned(), key.to_owned())
}

/// A stand-in for something made from the value alone.
fn digest(bytes: &[u8]) -> Version {
    Version::from_random(u128::from(crc32c::crc32c(bytes)) << 64 | bytes.len() as u128)
}

impl Faulty {
    /// Over this storage.
    pub fn new(storage: Arc<dyn Storage>, lie: Lie) -> Self {
        Faulty { storage, lie, count: 0.into(), memory: Mutex::default() }
    }

    fn is(&self, lie: Lie) -> bool {
        self.lie == lie
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn caches(&self) -> bool {
        use Lie::{CacheFilledLate, CacheIgnoresClear, CacheIgnoresWrites, CacheOutlivesExpiry};
        matches!(self.lie, CacheFilledLate | CacheIgnoresClear | CacheIgnoresWrites | CacheOutlivesExpiry)
    }

    /// What a cache does before a write, and after it.
    fn uncache(&self, namespace: &str, mutations: &[Mutation]) {
        if self.caches() && !self.is(Lie::CacheIgnoresWrites) {
            let mut memory = self.memory();
            for mutation in mutations {
                memory.cache.remove(&id(namespace, &mutation.key));
            }
        }
    }

    fn key(&self, key: &str) -> String {
        match self.lie {
            Lie::FoldsCase => key.to_lowercase(),
            Lie::Normalises => key.replace('\u{e9}', "e\u{301}"),
            _ => key.to_owned(),
        }
    }

    fn namespace<'a>(&self, namespace: &'a str) -> &'a str {
        match namespace.split_once('.') {
            Some((first, _)) if self.is(Lie::NamespaceEndsAtDot) => first,
            _ => namespace,
        }
    }

    fn seen_at(&self, now: Timestamp) -> Timestamp {
        match self.lie {
            Lie::ShowsExpired => 0,
            Lie::ExpiresLate => now.saturating_sub(1),
            _ => now,
        }
    }

    /// The state as it is told outside; none where it is denied.
    async fn told(&self, namespace: &str, key: &str, state: Option<State>) -> Option<State> {
        let mut state = state?;
        match self.lie {
            Lie::MovesCreated => state.attributes.created_at = state.attributes.updated_at,
            Lie::DropsEmpty if state.attributes.size == 0 => return None,
            Lie::VersionFromValue => {
                let full = self.storage.get(namespace, key, 0, true).await.ok()??;
                state.version = digest(&full.value?);
            }
            Lie::VersionCounts => {
                let count = self.memory().counts.get(&id(namespace, key)).copied().unwrap_or(0);
                state.version = Version::from_random(u128::from(count));
            }
            _ => {}
        }
        if let Some(value) = &mut state.value {
            match self.lie {
                Lie::CutsAt64K => value.truncate(64 << 10),
                Lie::CutsAtZero => value.truncate(value.iter().position(|byte| *byte == 0).unwrap_or(value.len())),
                _ => {}
            }
        }
        Some(state)
    }

    /// The mutation as it reaches the storage.
    async fn bent(&self, namespace: &str, mut mutation: Mutation, now: Timestamp) -> Mutation {
        mutation.key = self.key(&mutation.key);
        let key = mutation.key.clone();
        match (self.lie, &mutation.precondition, &mutation.change) {
            (Lie::IgnoresAbsent, Precondition::Absent, Change::Put { .. })
            | (Lie::IgnoresVersion, Precondition::Version(_), Change::Put { .. } | Change::Amend(_))
            | (Lie::IgnoresDeleteGuard, _, Change::Delete) => mutation.precondition = Precondition::None,
            (Lie::IgnoresChecks, _, Change::Check) => mutation.precondition = Precondition::None,
            (Lie::VersionFromValue | Lie::VersionCounts, Precondition::Version(asked), _) => {
                // Their own name for a version stands for the storage's.
                if let Ok(Some(real)) = self.storage.get(namespace, &key, now, false).await
                    && let Some(told) = self.told(namespace, &key, Some(real.clone())).await
                    && told.version == *asked
                {
                    mutation.precondition = Precondition::Version(real.version);
                }
            }
            _ => {}
        }
        match &mut mutation.change {
            Change::Put { attributes, .. } => {
                match (self.lie, attributes.expires_at) {
                    (Lie::ForgetsExpiry, _) => attributes.expires_at = None,
                    (Lie::RoundsExpiry, Some(at)) => attributes.expires_at = Some(at.div_ceil(1000) * 1000),
                    (Lie::CutsLongExpiry, Some(at)) if at - now > i32::MAX as u64 => {
                        attributes.expires_at = Some(now + 1)
                    }
                    (Lie::LosesContentType, _) => attributes.content_type = None,
                    (Lie::KeepsCreatedOfExpired, _) => {
                        if let Ok(Some(old)) = self.storage.get(namespace, &key, 0, false).await {
                            attributes.created_at = old.attributes.created_at;
                        }
                    }
                    _ => {}
                }
                if let Some(at) = attributes.expires_at {
                    self.memory().expiries.entry(id(namespace, &key)).or_insert(at);
                }
            }
            Change::Amend(amendment) => match self.lie {
                Lie::AmendLosesMetadata => amendment.metadata = None,
                Lie::AmendKeepsExpiry => {
                    if let Ok(Some(old)) = self.storage.get(namespace, &key, now, false).await {
                        amendment.expires_at = old.attributes.expires_at;
                    }
                }
                _ => {}
            },
            Change::Extend(to) if matches!(self.lie, Lie::ExtendChangesVersion | Lie::ExtendMovesBack) => {
                if let Ok(Some(State { mut attributes, value: Some(value), .. })) =
                    self.storage.get(namespace, &key, now, true).await
                    && let Some(at) = attributes.expires_at
                {
                    attributes.expires_at = Some(if self.is(Lie::ExtendMovesBack) { *to } else { at.max(*to) });
                    mutation.change = Change::Put { attributes, value };
                }
            }
            _ => {}
        }
        mutation
    }

    /// The outcome as it is told outside.
    async fn outcome(&self, namespace: &str, asked: &Mutation, outcome: Outcome, now: Timestamp) -> Outcome {
        let key = self.key(&asked.key);
        let place = id(namespace, &key);
        match outcome {
            Outcome::Conflict(_) if self.is(Lie::ConflictIsEmpty) => Outcome::Conflict(None),
            Outcome::Conflict(_) if self.is(Lie::TakesLossForSuccess) => match asked.change {
                Change::Delete => Outcome::Deleted,
                Change::Check => Outcome::Held,
                _ => Outcome::Written(Version::from_random(rand::random())),
            },
            Outcome::Conflict(state) => {
                let mut state = self.told(namespace, &key, state).await;
                if let (Lie::ConflictCarriesAsked, Some(state), Precondition::Version(version)) =
                    (self.lie, &mut state, &asked.precondition)
                {
                    state.version = version.clone();
                }
                Outcome::Conflict(state)
            }
            Outcome::Written(version) => {
                {
                    let mut memory = self.memory();
                    *memory.counts.entry(place.clone()).or_default() += 1;
                    memory.last.insert(namespace.to_owned(), key.clone());
                }
                match (self.lie, &asked.change) {
                    (Lie::AmendKeepsVersion, Change::Amend(_)) => Outcome::Written(Version::from_random(5)),
                    (Lie::ExtendChangesVersion | Lie::ExtendMovesBack, Change::Extend(_)) => Outcome::Held,
                    (Lie::VersionFromValue | Lie::VersionCounts, _) => {
                        let state = self.storage.get(namespace, &key, now, true).await.ok().flatten();
                        let told = self.told(namespace, &key, state).await;
                        Outcome::Written(told.map_or(version, |state| state.version))
                    }
                    _ => Outcome::Written(version),
                }
            }
            Outcome::Deleted => {
                self.memory().counts.remove(&place);
                Outcome::Deleted
            }
            Outcome::Absent if self.is(Lie::DeletesNothing) && asked.change == Change::Delete => Outcome::Deleted,
            other => other,
        }
    }

    async fn write_one(
        &self,
        namespace: &str,
        mutation: Mutation,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Outcome> {
        self.storage.write(namespace, vec![mutation], false, now, on_conflict).await?.remove(0)
    }
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Wrap for Faulty {
    fn inner(&self) -> &dyn Storage {
        &*self.storage
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        let (namespace, key) = (self.namespace(namespace), self.key(key));
        if self.is(Lie::RemembersMisses) && self.memory().misses.contains(&id(namespace, &key)) {
            return Ok(None);
        }
        let cached = self.caches().then(|| self.memory().cache.get(&id(namespace, &key)).cloned()).flatten();
        if let Some(state) = cached.filter(|_| with_value) {
            return Ok(Some(state).filter(|state| self.is(Lie::CacheOutlivesExpiry) || !state.attributes.expired(now)));
        }
        let state = self.storage.get(namespace, &key, self.seen_at(now), with_value).await?;
        if state.is_none() {
            self.memory().misses.insert(id(namespace, &key));
        }
        if let Some(state) = state.clone().filter(|_| with_value && self.caches()) {
            if self.is(Lie::CacheFilledLate) {
                pause().await;
            }
            self.memory().cache.insert(id(namespace, &key), state);
        }
        Ok(self.told(namespace, &key, state).await)
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let mut keys = keys.to_vec();
        if self.is(Lie::ManySorted) {
            keys.sort();
        }
        let (mut results, mut bytes) = (Vec::new(), 0);
        for key in keys {
            let result = Wrap::get(self, namespace, &key, now, with_value).await;
            bytes += result.as_ref().ok().and_then(|state| Some(state.as_ref()?.value.as_ref()?.len())).unwrap_or(0);
            results.push(result);
            if bytes >= ANSWER_BYTES {
                break;
            }
        }
        if self.is(Lie::ManyDropsAbsent) {
            results.retain(|result| *result != Ok(None));
        }
        Ok(results)
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let namespace = self.namespace(namespace);
        let mut bent = Vec::new();
        for mutation in &mutations {
            bent.push(self.bent(namespace, mutation.clone(), now).await);
        }
        self.uncache(namespace, &mutations);
        let mut outcomes = Vec::new();
        if atomic {
            outcomes = self.storage.write(namespace, bent.clone(), true, now, on_conflict).await?;
            let applied =
                |outcome: &Result<Outcome>| !matches!(outcome, Ok(Outcome::Conflict(_) | Outcome::NotApplied));
            if self.is(Lie::HalfOfAtomic) && !outcomes.iter().all(applied) {
                for mutation in bent {
                    if !mutation.precondition.holds(None)
                        && self.storage.get(namespace, &mutation.key, now, false).await?.is_none()
                    {
                        break;
                    }
                    if let Outcome::Conflict(_) = self.write_one(namespace, mutation, now, on_conflict).await? {
                        break;
                    }
                }
            }
        } else {
            let mut stopped = false;
            for mutation in bent {
                if stopped {
                    outcomes.push(Ok(Outcome::NotApplied));
                    continue;
                }
                let lost = self.is(Lie::LosesWrites)
                    && matches!(mutation.change, Change::Put { .. })
                    && self.count.fetch_add(1, Ordering::SeqCst) % 10 == 9;
                if lost {
                    outcomes.push(Ok(Outcome::Written(Version::from_random(rand::random()))));
                    continue;
                }
                let outcome = match (self.lie, &mutation.change) {
                    (Lie::ChecksThenWrites, _) if mutation.precondition != Precondition::None => {
                        let current = self.storage.get(namespace, &mutation.key, now, true).await?;
                        if mutation.precondition.holds(current.as_ref().map(|state| &state.version)) {
                            pause().await;
                            let unguarded = Mutation { precondition: Precondition::None, ..mutation };
                            self.write_one(namespace, unguarded, now, on_conflict).await
                        } else {
                            self.write_one(namespace, mutation, now, on_conflict).await
                        }
                    }
                    (Lie::TearsWrites, Change::Put { attributes, .. }) => {
                        // The attributes first, with the value of before.
                        let before = self.storage.get(namespace, &mutation.key, now, true).await?;
                        if let Some(value) = before.and_then(|state| state.value) {
                            let torn = Mutation {
                                key: mutation.key.clone(),
                                change: Change::Put { attributes: attributes.clone(), value },
                                precondition: mutation.precondition.clone(),
                            };
                            match self.write_one(namespace, torn, now, on_conflict).await? {
                                Outcome::Written(_) => {
                                    pause().await;
                                    let rest = Mutation { precondition: Precondition::None, ..mutation };
                                    self.write_one(namespace, rest, now, on_conflict).await
                                }
                                other => Ok(other),
                            }
                        } else {
                            self.write_one(namespace, mutation, now, on_conflict).await
                        }
                    }
                    _ => self.write_one(namespace, mutation, now, on_conflict).await,
                };
                stopped = self.is(Lie::BatchStopsAtLoss) && matches!(outcome, Ok(Outcome::Conflict(_)));
                outcomes.push(outcome);
            }
        }
        self.uncache(namespace, &mutations);
        let mut told = Vec::new();
        for (asked, outcome) in mutations.iter().zip(outcomes) {
            told.push(match outcome {
                Ok(outcome) => Ok(self.outcome(namespace, asked, outcome, now).await),
                Err(error) => Err(error),
            });
        }
        Ok(told)
    }

    async fn scan(
        &self,
        namespace: &str,
        mut range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        let namespace = self.namespace(namespace);
        let now = self.seen_at(now);
        let mut skip = 0;
        if self.is(Lie::PagesByOffset)
            && let Some(number) = range.after.as_ref().and_then(|after| after.rsplit_once('\u{1}'))
        {
            skip = number.1.parse().unwrap_or(0);
            range.after = None;
        }
        let cut_escapes =
            self.is(Lie::HintMissesEscapes) && hint.pattern.as_ref().is_some_and(|p| p.contains(['?', '[']));
        let mut page = if self.is(Lie::PagesByOffset) {
            let all = self.storage.scan(namespace, range, hint, now, 10_000, want).await?;
            let last = all.items.get(skip + limit as usize - 1).map(|entry| entry.key.clone());
            let more = all.items.len() > skip + limit as usize;
            let items: Vec<Entry> = all.items.into_iter().skip(skip).take(limit as usize).collect();
            let next = last.filter(|_| more).map(|key| format!("{key}\u{1}{}", skip + limit as usize));
            Page { items, next }
        } else {
            self.storage.scan(namespace, range, hint, now, limit, want).await?
        };
        match self.lie {
            Lie::DropsKeyOfPage if page.next.is_some() => drop(page.items.pop()),
            Lie::RepeatsKeyOverPages if page.next.is_some() && page.items.len() > 2 => {
                page.next = Some(page.items[page.items.len() - 2].key.clone());
            }
            Lie::OrdersByUtf16 => page.items.sort_by_key(|entry| entry.key.encode_utf16().collect::<Vec<_>>()),
            Lie::OrdersWithoutCase => page.items.sort_by_key(|entry| entry.key.to_lowercase()),
            Lie::ListsLate => {
                let last = self.memory().last.get(namespace).cloned();
                page.items.retain(|entry| Some(&entry.key) != last.as_ref());
            }
            _ if cut_escapes => page.items.retain(|entry| !entry.key.contains('\\')),
            _ => {}
        }
        let mut items = Vec::new();
        for entry in page.items {
            let asked = entry.state.is_some();
            let state = self.told(namespace, &entry.key, entry.state).await;
            if !asked || state.is_some() {
                items.push(Entry { key: entry.key, state });
            }
        }
        Ok(Page { items, next: page.next })
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        let now = if self.is(Lie::CountsExpired) { 0 } else { self.seen_at(now) };
        self.storage.count(self.namespace(namespace), range, now).await
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        let namespace = namespace.map(|namespace| self.namespace(namespace));
        if self.is(Lie::ReclaimsElsewhere) {
            return self.storage.reclaim(None, now, limit).await;
        }
        if self.is(Lie::ReclaimsRenewed) {
            let due: Vec<(String, String)> = {
                let memory = self.memory();
                let all = memory.expiries.iter().filter(|(_, at)| **at <= now).map(|(place, _)| place.clone());
                all.filter(|(owner, _)| namespace.is_none_or(|namespace| namespace == owner)).collect()
            };
            let mut count = 0;
            for (owner, key) in due {
                self.memory().expiries.remove(&id(&owner, &key));
                let delete = Mutation { key, change: Change::Delete, precondition: Precondition::None };
                if self.write_one(&owner, delete, 0, Projection::Key).await? == Outcome::Deleted {
                    count += 1;
                }
            }
            return Ok(Reclaimed { count, more: false });
        }
        self.storage.reclaim(namespace, now, limit).await
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let namespace = self.namespace(namespace);
        if self.is(Lie::ClearsByPrefix) {
            for name in self.storage.namespaces(None, 10_000).await?.names {
                if name.starts_with(namespace) && name != namespace {
                    self.storage.clear(&name, limit).await?;
                }
            }
        }
        let more = self.storage.clear(namespace, limit).await;
        if !self.is(Lie::CacheIgnoresClear) {
            self.memory().cache.clear();
        }
        more
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        let mut names = self.storage.namespaces(after, limit).await?;
        if self.is(Lie::HidesNamespaces) {
            names.names.retain(|name| name.is_ascii());
        }
        Ok(names)
    }
}

/// Lets others go first.
async fn pause() {
    #[cfg(not(target_family = "wasm"))]
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

storage_by_wrap!(Faulty);
