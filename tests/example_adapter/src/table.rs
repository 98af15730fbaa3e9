//! Entries in memory, and what a mutation does to them.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use dataknobs_kv_core::storage::{ANSWER_BYTES, Change, Hint, Mutation, Names, Outcome, Page, Range};
use dataknobs_kv_core::{Attributes, Entry, Pattern, Projection, State, Timestamp, Version, metadata};

/// The most entries that one page looks at: where matches are rare it ends early, and the core asks again.
const LOOKED_AT: usize = 20_000;

/// What becomes of one key.
pub(crate) struct Put {
    pub(crate) namespace: String,
    pub(crate) key: String,
    /// None: removed.
    pub(crate) state: Option<State>,
}

/// By namespace and key; a namespace without entries is not kept. Keys are ordered by their bytes, as Rust orders texts.
#[derive(Default)]
pub(crate) struct Table {
    spaces: BTreeMap<String, BTreeMap<String, State>>,
}

impl Table {
    pub(crate) fn put(&mut self, Put { namespace, key, state }: Put) {
        match state {
            Some(state) => {
                self.spaces.entry(namespace).or_default().insert(key, state);
            }
            None => {
                if let Some(space) = self.spaces.get_mut(&namespace) {
                    space.remove(&key);
                    if space.is_empty() {
                        self.spaces.remove(&namespace);
                    }
                }
            }
        }
    }

    /// What has expired is absent, everywhere: nobody but the clean-up looks past this.
    fn living(&self, namespace: &str, key: &str, now: Timestamp) -> Option<&State> {
        self.spaces.get(namespace)?.get(key).filter(|state| !state.attributes.expired(now))
    }

    pub(crate) fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Option<State> {
        self.living(namespace, key, now).map(|state| part(state, with_value))
    }

    pub(crate) fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Vec<dataknobs_kv_core::Result<Option<State>>> {
        let mut states = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for key in keys {
            let state = self.get(namespace, key, now, with_value);
            bytes += state.as_ref().map_or(0, weight);
            if bytes > ANSWER_BYTES && !states.is_empty() {
                break;
            }
            states.push(Ok(state));
        }
        states
    }

    /// What each mutation comes to, and what is to be written for that. The table stays as it is.
    ///
    /// A key comes at most once in a call, so no mutation sees what another one does.
    pub(crate) fn decide(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> (Vec<dataknobs_kv_core::Result<Outcome>>, Vec<Put>) {
        if atomic {
            let refusals: Vec<Option<Outcome>> =
                mutations.iter().map(|mutation| self.refusal(namespace, mutation, now, on_conflict)).collect();
            if refusals.iter().any(Option::is_some) {
                let outcomes = refusals.into_iter().map(|refusal| Ok(refusal.unwrap_or(Outcome::NotApplied)));
                return (outcomes.collect(), Vec::new());
            }
        }
        let mut puts = Vec::with_capacity(mutations.len());
        let outcomes = mutations.into_iter().map(|mutation| {
            let refusal = self.refusal(namespace, &mutation, now, on_conflict);
            Ok(refusal.unwrap_or_else(|| self.apply(namespace, mutation, now, &mut puts)))
        });
        (outcomes.collect(), puts)
    }

    /// What stands in the way of the mutation, if anything does.
    fn refusal(
        &self,
        namespace: &str,
        mutation: &Mutation,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Option<Outcome> {
        let current = self.living(namespace, &mutation.key, now);
        if !mutation.precondition.holds(current.map(|state| &state.version)) {
            let carried = current.filter(|_| on_conflict != Projection::Key);
            return Some(Outcome::Conflict(carried.map(|state| part(state, on_conflict == Projection::Value))));
        }
        let needs_one = matches!(mutation.change, Change::Amend(_) | Change::Extend(_));
        (needs_one && current.is_none()).then_some(Outcome::Absent)
    }

    /// What a mutation does where nothing stands in its way.
    fn apply(&self, namespace: &str, mutation: Mutation, now: Timestamp, puts: &mut Vec<Put>) -> Outcome {
        let Mutation { key, change, .. } = mutation;
        let current = self.living(namespace, &key, now);
        // Random, so that a version never comes again: not after delete and create, not from a restored file.
        let fresh = || Version::from_random(rand::random());
        let mut put =
            |state: Option<State>| puts.push(Put { namespace: namespace.to_owned(), key: key.clone(), state });
        match (change, current) {
            (Change::Put { mut attributes, value }, current) => {
                // What has expired is no entry any more: its `created_at` ended with it.
                if let Some(current) = current {
                    attributes.created_at = current.attributes.created_at;
                }
                let version = fresh();
                put(Some(State { version: version.clone(), attributes, value: Some(value) }));
                Outcome::Written(version)
            }
            (Change::Amend(amendment), Some(current)) => {
                let version = fresh();
                let attributes = Attributes {
                    content_type: amendment.content_type,
                    metadata: amendment.metadata,
                    updated_at: amendment.updated_at,
                    expires_at: amendment.expires_at,
                    sliding_ms: amendment.sliding_ms,
                    ..current.attributes.clone()
                };
                put(Some(State { version: version.clone(), attributes, value: current.value.clone() }));
                Outcome::Written(version)
            }
            (Change::Extend(to), Some(current)) => {
                if current.attributes.expires_at.is_some_and(|at| at < to) {
                    // The version stays.
                    let mut state = current.clone();
                    state.attributes.expires_at = Some(to);
                    put(Some(state));
                }
                Outcome::Held
            }
            (Change::Amend(_) | Change::Extend(_), None) => Outcome::Absent,
            (Change::Delete, Some(_)) => {
                put(None);
                Outcome::Deleted
            }
            // What has expired is left to `reclaim`.
            (Change::Delete, None) => Outcome::Absent,
            (Change::Check, _) => Outcome::Held,
        }
    }

    pub(crate) fn scan(
        &self,
        namespace: &str,
        range: &Range,
        hint: &Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Page {
        let mut page = Page::default();
        let (Some(space), Some(bounds)) = (self.spaces.get(namespace), range.bounds()) else { return page };
        // A hint that cannot be read leaves nothing out: the core looks again.
        let pattern = hint.pattern.as_deref().and_then(|pattern| Pattern::parse(pattern).ok());
        let filter = hint.metadata.as_deref().and_then(|fields| metadata::Filter::parse(fields).ok());
        let mut bytes = 0;
        let mut last = None;
        for (looked_at, (key, state)) in space.range::<str, _>(bounds).enumerate() {
            if page.items.len() >= limit as usize || looked_at >= LOOKED_AT {
                page.next = last;
                break;
            }
            let matches = !state.attributes.expired(now)
                && pattern.as_ref().is_none_or(|pattern| pattern.matches(key))
                && filter.as_ref().is_none_or(|filter| filter.matches(state.attributes.metadata.as_deref()));
            if matches {
                let state = (want != Projection::Key).then(|| part(state, want == Projection::Value));
                bytes += state.as_ref().map_or(0, weight);
                if bytes > ANSWER_BYTES && !page.items.is_empty() {
                    page.next = last;
                    break;
                }
                page.items.push(Entry { key: key.clone(), state });
            }
            last = Some(key.clone());
        }
        page
    }

    /// The removal of up to `limit` entries that have expired; whether there are more.
    pub(crate) fn expired(&self, namespace: Option<&str>, now: Timestamp, limit: usize) -> (Vec<Put>, bool) {
        let spaces = self.spaces.iter().filter(|(name, _)| namespace.is_none_or(|only| only == *name));
        let due = spaces.flat_map(|(name, space)| {
            let due = space.iter().filter(|(_, state)| state.attributes.expired(now));
            due.map(move |(key, _)| Put { namespace: name.clone(), key: key.clone(), state: None })
        });
        some(due, limit)
    }

    /// The removal of up to `limit` entries of the namespace; whether there are more.
    pub(crate) fn all(&self, namespace: &str, limit: usize) -> (Vec<Put>, bool) {
        let keys = self.spaces.get(namespace).into_iter().flat_map(BTreeMap::keys);
        some(keys.map(|key| Put { namespace: namespace.to_owned(), key: key.clone(), state: None }), limit)
    }

    pub(crate) fn namespaces(&self, after: Option<&str>, limit: usize) -> Names {
        let mut rows =
            self.spaces.range::<str, _>((after.map_or(Unbounded, Excluded), Unbounded)).map(|(name, _)| name);
        let names: Vec<String> = rows.by_ref().take(limit).cloned().collect();
        let next = rows.next().and_then(|_| names.last().cloned());
        Names { names, next }
    }

    /// Everything, as the log takes it.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &str, &State)> {
        self.spaces
            .iter()
            .flat_map(|(name, space)| space.iter().map(move |(key, state)| (name.as_str(), key.as_str(), state)))
    }
}

/// The first ones; whether there are more.
fn some(mut puts: impl Iterator<Item = Put>, limit: usize) -> (Vec<Put>, bool) {
    let first: Vec<Put> = puts.by_ref().take(limit).collect();
    (first, puts.next().is_some())
}

/// With its value or without.
fn part(state: &State, with_value: bool) -> State {
    let value = if with_value { state.value.clone() } else { None };
    State { version: state.version.clone(), attributes: state.attributes.clone(), value }
}

/// About what it weighs in an answer.
fn weight(state: &State) -> usize {
    128 + state.value.as_ref().map_or(0, Vec::len) + state.attributes.metadata.as_ref().map_or(0, String::len)
}
