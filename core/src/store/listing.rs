//! Walking the entries that a query means: listing, counting, deleting.

use std::sync::Arc;

use super::{
    Core, MAX_ITEMS, MAX_PAGE, Query,
    core::{check_limit, project, unfit},
    cursor::Walk,
};
use crate::{
    Clock, Entry, Error, Pattern, Precondition, Projection, Result, State, Storage, Timestamp, key,
    metadata::{self, Filter},
    storage::{ANSWER_BYTES, Change, Hint, Mutation, Outcome, Page, Range},
};

/// The most entries that one listing looks at, whatever it finds among them.
pub(super) const LOOKED_AT: usize = 10_000;
/// The most pages of the storage that one call takes. They may be empty where matches are rare.
const MAX_SCANS: usize = 16;
/// How often a deletion by metadata looks again at an entry that changes under it.
pub(super) const MAX_LOOKS: usize = 20;

/// A query that is walked, and how far that has come.
pub(super) struct Plan<'a> {
    /// What for.
    kind: &'static str,
    namespace: &'a str,
    pub(super) pattern: Arc<Pattern>,
    filter: Filter,
    hint: Hint,
    pub(super) now: Timestamp,
    /// Where to go on; none at the beginning, and at the end.
    pub(super) after: Option<String>,
    /// How many entries may still be looked at in this call, and how many pages of the storage it may take.
    pub(super) left: usize,
    scans: usize,
}

impl Plan<'_> {
    fn matches(&self, entry: &Entry) -> bool {
        let metadata = || entry.state.as_ref().and_then(|state| state.attributes.metadata.as_deref());
        (self.pattern.is_range() || self.pattern.matches(&entry.key))
            && (self.filter.is_empty() || self.filter.matches(metadata()))
    }

    /// Whether a range of keys says it all.
    pub(super) fn is_exact(&self) -> bool {
        self.pattern.is_range() && self.filter.is_empty()
    }

    /// The words that its cursors are tied to.
    fn words(&self) -> [&str; 4] {
        [self.kind, self.namespace, self.pattern.text(), self.hint.metadata.as_deref().unwrap_or_default()]
    }

    /// The cursor for where to go on.
    pub(super) fn cursor(&self) -> Option<String> {
        self.after.as_ref().map(|after| Walk { words: &self.words() }.cursor(after))
    }

    /// The next of these keys, at most so many, each once; and whether there are more.
    fn next_keys(&self, keys: &[String], most: usize) -> (Vec<String>, bool) {
        let mut next: Vec<String> = Vec::new();
        for key in keys {
            // The keys are in order. Two alternatives may say the same one.
            if self.after.as_ref().is_some_and(|after| key <= after) || next.last() == Some(key) {
                continue;
            }
            if next.len() >= most {
                return (next, true);
            }
            next.push(key.clone());
        }
        (next, false)
    }

    /// Deletions of these. With a metadata query each is guarded by the version that was looked at.
    pub(super) fn deletions(&self, entries: &[Entry]) -> Vec<Mutation> {
        let mut mutations = Vec::with_capacity(entries.len());
        for entry in entries {
            let precondition = match &entry.state {
                Some(state) if !self.filter.is_empty() => Precondition::Version(state.version.clone()),
                _ => Precondition::None,
            };
            mutations.push(Mutation { key: entry.key.clone(), change: Change::Delete, precondition });
        }
        mutations
    }

    /// How many of these were deleted, and what changed since and matches still.
    pub(super) fn deleted(&self, entries: Vec<Entry>, outcomes: Vec<Result<Outcome>>) -> Result<(u64, Vec<Entry>)> {
        let mut count: u64 = 0;
        let mut again = Vec::new();
        for (Entry { key, .. }, outcome) in entries.into_iter().zip(outcomes) {
            match outcome? {
                Outcome::Deleted => count = count.saturating_add(1),
                Outcome::Absent | Outcome::Conflict(None) => {}
                Outcome::Conflict(state) => {
                    let entry = Entry { key, state };
                    if self.matches(&entry) {
                        again.push(entry);
                    }
                }
                outcome => return Err(unfit(&outcome)),
            }
        }
        Ok((count, again))
    }
}

/// What a listing answers.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) entries: Vec<Entry>,
    weight: usize,
}

impl Answer {
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.entries.len() >= limit || self.weight >= ANSWER_BYTES
    }

    /// Takes entries that match, as many as there is room for. The key of the last one, where that are not all.
    pub(super) fn take(&mut self, found: Vec<Entry>, limit: usize, want: Projection) -> Result<Option<String>> {
        for entry in found {
            if self.is_full(limit) {
                return Ok(self.entries.last().map(|last| last.key.clone()));
            }
            let entry = answered(entry, want)?;
            self.weight = self.weight.saturating_add(weigh(&entry));
            self.entries.push(entry);
        }
        Ok(None)
    }
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    pub(super) fn plan<'a>(
        &self,
        kind: &'static str,
        namespace: &'a str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Plan<'a>> {
        key::validate_namespace(namespace)?;
        let pattern = self.patterns.get(&query.pattern)?;
        let metadata = match &query.metadata {
            Some(wanted) => metadata::canonical(wanted)?,
            None => None,
        };
        let filter = Filter::parse(metadata.as_deref().unwrap_or("{}"))?;
        check_limit(limit)?;
        let hint = Hint { pattern: (!pattern.is_range()).then(|| query.pattern.clone()), metadata };
        let (now, left) = (self.clock.now(), limit as usize);
        let mut plan = Plan { kind, namespace, pattern, filter, hint, now, after: None, left, scans: MAX_SCANS };
        if let Some(cursor) = cursor {
            plan.after = Some(Walk { words: &plan.words() }.position(cursor)?);
        }
        Ok(plan)
    }

    /// Looks at the next entries, at most so many: those that match. None when the walk is at its end or has looked at
    /// enough. `want`: what is to be answered; what the query needs to be decided is read, too.
    pub(super) async fn step(&self, plan: &mut Plan<'_>, ask: usize, want: Projection) -> Result<Option<Vec<Entry>>> {
        if plan.left == 0 || plan.scans == 0 {
            return Ok(None);
        }
        let ask = ask.min(plan.left);
        let need = if plan.filter.is_empty() { want } else { want.max(Projection::Attributes) };
        let page = match plan.pattern.keys() {
            // They are read, and what lies between is not. A listing shows what is there now; where a read of values may
            // not, it is a scan.
            Some(keys) if !(need == Projection::Value && self.known().reads_stale()) => {
                let (keys, more) = plan.next_keys(keys, ask.clamp(1, MAX_ITEMS));
                let with_value = need == Projection::Value;
                let states = self.storage_get_many(plan.namespace, &keys, plan.now, with_value).await?;
                page_of(keys, states, more, need)?
            }
            _ => {
                let range = Range { after: plan.after.take(), ..plan.pattern.range() };
                let ask = u32::try_from(ask).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
                self.storage.scan(plan.namespace, range, plan.hint.clone(), plan.now, ask, need).await?
            }
        };
        plan.left = plan.left.saturating_sub(page.items.len());
        plan.scans = if page.next.is_some() { plan.scans.saturating_sub(1) } else { 0 };
        plan.after = page.next;
        let mut found = page.items;
        found.retain(|entry| plan.matches(entry));
        Ok(Some(found))
    }
}

/// As a scan would answer it: the states of the first of these keys. `more`: whether other keys follow.
fn page_of(keys: Vec<String>, states: Vec<Result<Option<State>>>, more: bool, need: Projection) -> Result<Page> {
    let mut page = Page::default();
    if more || states.len() < keys.len() {
        page.next = states.len().checked_sub(1).and_then(|last| keys.get(last)).cloned();
    }
    for (key, state) in keys.into_iter().zip(states) {
        match state {
            Ok(None) => {}
            Ok(state) => page.items.push(Entry { key, state }),
            // Damaged, but there: as in a scan, its key is listed.
            Err(Error::Corrupt(_)) if need == Projection::Key => page.items.push(Entry { key, state: None }),
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}

/// As much of the entry as is wanted.
fn answered(Entry { key, state }: Entry, want: Projection) -> Result<Entry> {
    if state.is_none() && want != Projection::Key {
        return Err(Error::Internal("the storage left out what was asked for".into()));
    }
    Ok(Entry { state: project(&key, state, want)?, key })
}

/// About how many bytes it takes in an answer.
fn weigh(entry: &Entry) -> usize {
    let state = |state: &State| {
        let metadata = state.attributes.metadata.as_ref().map_or(0, String::len);
        metadata.saturating_add(state.value.as_ref().map_or(0, Vec::len))
    };
    entry.key.len().saturating_add(entry.state.as_ref().map_or(0, state))
}
