//! Walking the entries that a query means: listing, counting, deleting.

use std::sync::Arc;

use super::{
    Core, EntryPage, MAX_ITEMS, MAX_PAGE, Progress, Query,
    core::{check_limit, project, unfit},
    cursor::Walk,
};
use crate::{
    Clock, Entry, Error, Pattern, Precondition, Projection, Result, State, Storage, Timestamp, key,
    metadata::{self, Filter},
    storage::{ANSWER_BYTES, Change, Hint, Mutation, Outcome, Page, Range},
};

/// The most entries that one listing looks at, whatever it finds among them.
const LOOKED_AT: usize = 10_000;
/// The most pages of the storage that one call takes. They may be empty where matches are rare.
const MAX_SCANS: usize = 16;
/// How often a deletion by metadata looks again at an entry that changes under it.
const MAX_LOOKS: usize = 20;

/// A query that is walked, and how far that has come.
struct Plan<'a> {
    /// What for.
    kind: &'static str,
    namespace: &'a str,
    pattern: Arc<Pattern>,
    filter: Filter,
    hint: Hint,
    now: Timestamp,
    /// Where to go on; none at the beginning, and at the end.
    after: Option<String>,
    /// How many entries may still be looked at in this call, and how many pages of the storage it may take.
    left: usize,
    scans: usize,
}

impl Plan<'_> {
    fn matches(&self, entry: &Entry) -> bool {
        let metadata = || entry.state.as_ref().and_then(|state| state.attributes.metadata.as_deref());
        (self.pattern.is_range() || self.pattern.matches(&entry.key))
            && (self.filter.is_empty() || self.filter.matches(metadata()))
    }

    /// Whether a range of keys says it all.
    fn is_exact(&self) -> bool {
        self.pattern.is_range() && self.filter.is_empty()
    }

    /// The words that its cursors are tied to.
    fn words(&self) -> [&str; 4] {
        [self.kind, self.namespace, self.pattern.text(), self.hint.metadata.as_deref().unwrap_or_default()]
    }

    /// The cursor for where to go on.
    fn cursor(&self) -> Option<String> {
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
    fn deletions(&self, entries: &[Entry]) -> Vec<Mutation> {
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
    fn deleted(&self, entries: Vec<Entry>, outcomes: Vec<Result<Outcome>>) -> Result<(u64, Vec<Entry>)> {
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
struct Answer {
    entries: Vec<Entry>,
    weight: usize,
}

impl Answer {
    fn is_full(&self, limit: usize) -> bool {
        self.entries.len() >= limit || self.weight >= ANSWER_BYTES
    }

    /// Takes entries that match, as many as there is room for. The key of the last one, where that are not all.
    fn take(&mut self, found: Vec<Entry>, limit: usize, want: Projection) -> Result<Option<String>> {
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
    /// One damaged value stops a listing with values, as `corrupt` naming its key; a listing without values goes on.
    pub(crate) async fn list_entries(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
        want: Projection,
    ) -> Result<EntryPage> {
        let mut plan = self.plan("list", namespace, query, cursor, limit)?;
        let limit = limit as usize;
        let mut answer = Answer::default();
        plan.left = LOOKED_AT;
        while !answer.is_full(limit) {
            let (looked_at, found) = (LOOKED_AT.saturating_sub(plan.left), answer.entries.len());
            let mut ask = limit.saturating_sub(found);
            // Where few of the last ones matched, look at more at a time.
            if found < looked_at && !plan.is_exact() {
                ask = ask.max(looked_at);
            }
            let Some(found) = self.step(&mut plan, ask, want).await? else { break };
            if let Some(last) = answer.take(found, limit, want)? {
                plan.after = Some(last);
            }
        }
        Ok(EntryPage { cursor: plan.cursor(), entries: answer.entries })
    }

    pub(crate) async fn count(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Progress> {
        let mut plan = self.plan("count", namespace, query, cursor, limit)?;
        if plan.after.is_none()
            && plan.is_exact()
            && plan.pattern.exact().is_none()
            && let Some(count) = self.storage.count(namespace, plan.pattern.range(), plan.now).await?
        {
            return Ok(Progress { count, cursor: None });
        }
        let mut count: u64 = 0;
        while let Some(found) = self.step(&mut plan, MAX_PAGE as usize, Projection::Key).await? {
            count = count.saturating_add(found.len() as u64);
        }
        Ok(Progress { count, cursor: plan.cursor() })
    }

    /// With a metadata query, what changed meanwhile is looked at again, and left only if it no longer matches or keeps
    /// changing at every look.
    pub(crate) async fn delete_matching(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Progress> {
        let mut plan = self.plan("delete", namespace, query, cursor, limit)?;
        let mut count: u64 = 0;
        while let Some(mut found) = self.step(&mut plan, MAX_ITEMS, Projection::Key).await? {
            for _ in 0..MAX_LOOKS {
                if found.is_empty() {
                    break;
                }
                let mutations = plan.deletions(&found);
                let outcomes = self.write(namespace, mutations, false, plan.now, Projection::Attributes).await?;
                let (deleted, again) = plan.deleted(found, outcomes)?;
                count = count.saturating_add(deleted);
                found = again;
            }
        }
        Ok(Progress { count, cursor: plan.cursor() })
    }

    fn plan<'a>(
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
    async fn step(&self, plan: &mut Plan<'_>, ask: usize, want: Projection) -> Result<Option<Vec<Entry>>> {
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
