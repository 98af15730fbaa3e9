//! Walking the entries that a query means: listing, counting, deleting.

use std::sync::Arc;

use super::{
    Core, EntryPage, MAX_ITEMS, MAX_PAGE, Progress, Query,
    core::{check_limit, miscounted, project, unfit},
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

/// A query, ready to be walked.
struct Plan<'a> {
    namespace: &'a str,
    pattern: Arc<Pattern>,
    filter: Filter,
    hint: Hint,
}

impl<'a> Plan<'a> {
    fn matches(&self, entry: &Entry) -> bool {
        let metadata = || entry.state.as_ref().and_then(|state| state.attributes.metadata.as_deref());
        (self.pattern.is_range() || self.pattern.matches(&entry.key))
            && (self.filter.is_empty() || self.filter.matches(metadata()))
    }

    /// What must be read to decide the query and to answer it.
    fn need(&self, want: Projection) -> Projection {
        if self.filter.is_empty() { want } else { want.max(Projection::Attributes) }
    }

    /// Whether a range of keys says it all.
    fn is_exact(&self) -> bool {
        self.pattern.is_range() && self.filter.is_empty()
    }

    /// The words that its cursors are tied to.
    fn words<'b>(&'b self, kind: &'b str) -> [&'b str; 4]
    where
        'a: 'b,
    {
        [kind, self.namespace, self.pattern.text(), self.hint.metadata.as_deref().unwrap_or_default()]
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
        let plan = self.plan(namespace, query)?;
        check_limit(limit)?;
        let words = plan.words("list");
        let walk = Walk { words: &words };
        let mut after = cursor.map(|cursor| walk.position(cursor)).transpose()?;
        let now = self.clock.now();
        let limit = limit as usize;
        let mut entries: Vec<Entry> = Vec::new();
        let (mut looked_at, mut weight, mut found): (usize, usize, usize) = (0, 0, 0);
        for _ in 0..MAX_SCANS {
            let room = limit.saturating_sub(entries.len());
            // Where few of the last ones matched, look at more at a time.
            let ask = if found < looked_at && !plan.is_exact() { room.max(looked_at) } else { room };
            let page = self.page(&plan, after.take(), now, ask, plan.need(want)).await?;
            let mut next = page.next;
            for entry in page.items {
                if entries.len() >= limit || weight >= ANSWER_BYTES {
                    next = entries.last().map(|last: &Entry| last.key.clone());
                    break;
                }
                looked_at = looked_at.saturating_add(1);
                if plan.matches(&entry) {
                    found = found.saturating_add(1);
                    let entry = answered(entry, want)?;
                    weight = weight.saturating_add(weigh(&entry));
                    entries.push(entry);
                }
            }
            after = next;
            if after.is_none() || entries.len() >= limit || looked_at >= LOOKED_AT || weight >= ANSWER_BYTES {
                break;
            }
        }
        Ok(EntryPage { entries, cursor: after.map(|after| walk.cursor(&after)) })
    }

    pub(crate) async fn count(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Progress> {
        let plan = self.plan(namespace, query)?;
        check_limit(limit)?;
        let words = plan.words("count");
        let walk = Walk { words: &words };
        let after = cursor.map(|cursor| walk.position(cursor)).transpose()?;
        let now = self.clock.now();
        if after.is_none()
            && plan.is_exact()
            && plan.pattern.exact().is_none()
            && let Some(count) = self.storage.count(namespace, plan.pattern.range(), now).await?
        {
            return Ok(Progress { count, cursor: None });
        }
        let mut steps = Steps::new(after, limit);
        let mut count: u64 = 0;
        while let Some(page) = self.step(&plan, &mut steps, now, MAX_PAGE as usize).await? {
            count = count.saturating_add(page.iter().filter(|entry| plan.matches(entry)).count() as u64);
        }
        Ok(Progress { count, cursor: steps.after.map(|after| walk.cursor(&after)) })
    }

    /// With a metadata query each deletion is guarded by the version that was looked at. What changed meanwhile is looked
    /// at again, and left only if it no longer matches or keeps changing at every look.
    pub(crate) async fn delete_matching(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Progress> {
        let plan = self.plan(namespace, query)?;
        check_limit(limit)?;
        let words = plan.words("delete");
        let walk = Walk { words: &words };
        let after = cursor.map(|cursor| walk.position(cursor)).transpose()?;
        let now = self.clock.now();
        let mut steps = Steps::new(after, limit);
        let mut count: u64 = 0;
        while let Some(page) = self.step(&plan, &mut steps, now, MAX_ITEMS).await? {
            let mut matching: Vec<Entry> = page.into_iter().filter(|entry| plan.matches(entry)).collect();
            for _ in 0..MAX_LOOKS {
                if matching.is_empty() {
                    break;
                }
                let (deleted, again) = self.delete_seen(&plan, matching, now).await?;
                count = count.saturating_add(deleted);
                matching = again;
            }
        }
        Ok(Progress { count, cursor: steps.after.map(|after| walk.cursor(&after)) })
    }

    /// Deletes these. How many were there, and what changed since and matches still.
    async fn delete_seen(&self, plan: &Plan<'_>, seen: Vec<Entry>, now: Timestamp) -> Result<(u64, Vec<Entry>)> {
        let mut count: u64 = 0;
        let mut again = Vec::new();
        let mut seen = seen.into_iter();
        loop {
            let part: Vec<Entry> = seen.by_ref().take(MAX_ITEMS).collect();
            if part.is_empty() {
                return Ok((count, again));
            }
            let mutations: Vec<Mutation> = part
                .iter()
                .map(|entry| {
                    let precondition = match &entry.state {
                        Some(state) if !plan.filter.is_empty() => Precondition::Version(state.version.clone()),
                        _ => Precondition::None,
                    };
                    Mutation { key: entry.key.clone(), change: Change::Delete, precondition }
                })
                .collect();
            let outcomes = self.write(plan.namespace, mutations, false, now, Projection::Attributes).await?;
            for (entry, outcome) in part.into_iter().zip(outcomes) {
                match outcome? {
                    Outcome::Deleted => count = count.saturating_add(1),
                    Outcome::Absent | Outcome::Conflict(None) => {}
                    Outcome::Conflict(state) => {
                        let entry = Entry { state, ..entry };
                        if plan.matches(&entry) {
                            again.push(entry);
                        }
                    }
                    outcome => return Err(unfit(&outcome)),
                }
            }
        }
    }

    fn plan<'a>(&self, namespace: &'a str, query: &Query) -> Result<Plan<'a>> {
        key::validate_namespace(namespace)?;
        let pattern = self.patterns.get(&query.pattern)?;
        let metadata = match &query.metadata {
            Some(wanted) => metadata::canonical(wanted)?,
            None => None,
        };
        let filter = Filter::parse(metadata.as_deref().unwrap_or("{}"))?;
        let hint = Hint { pattern: (!pattern.is_range()).then(|| query.pattern.clone()), metadata };
        Ok(Plan { namespace, pattern, filter, hint })
    }

    /// The next entries of a walk that answers no entries; none when it is at its end or has looked at enough.
    async fn step(
        &self,
        plan: &Plan<'_>,
        steps: &mut Steps,
        now: Timestamp,
        most: usize,
    ) -> Result<Option<Vec<Entry>>> {
        if steps.left == 0 || steps.scans == 0 {
            return Ok(None);
        }
        let page = self.page(plan, steps.after.take(), now, steps.left.min(most), plan.need(Projection::Key)).await?;
        steps.left = steps.left.saturating_sub(page.items.len());
        steps.scans = if page.next.is_some() { steps.scans.saturating_sub(1) } else { 0 };
        steps.after = page.next;
        Ok(Some(page.items))
    }

    /// A page of what may match, after `after`.
    async fn page(
        &self,
        plan: &Plan<'_>,
        after: Option<String>,
        now: Timestamp,
        ask: usize,
        need: Projection,
    ) -> Result<Page> {
        // A listing shows what is there now; where a read of values may not, it is a scan.
        if let Some(keys) = plan.pattern.keys()
            && !(need == Projection::Value && self.reads_stale())
        {
            return self.page_of_keys(plan.namespace, keys, after, now, ask, need).await;
        }
        let range = Range { after, ..plan.pattern.range() };
        let ask = u32::try_from(ask).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
        self.storage.scan(plan.namespace, range, plan.hint.clone(), now, ask, need).await
    }

    /// As `page`, where the pattern names its keys: they are read, and what lies between is not.
    async fn page_of_keys(
        &self,
        namespace: &str,
        keys: &[String],
        after: Option<String>,
        now: Timestamp,
        ask: usize,
        need: Projection,
    ) -> Result<Page> {
        let mut rest = keys.iter().filter(|key| after.as_ref().is_none_or(|after| *key > after));
        let mut asked: Vec<String> = rest.by_ref().take(ask.clamp(1, MAX_ITEMS)).cloned().collect();
        let more = rest.next().is_some();
        // The keys are in order. Two alternatives may say the same one.
        asked.dedup();
        if asked.is_empty() {
            return Ok(Page::default());
        }
        let states = self.storage.get_many(namespace, &asked, now, need == Projection::Value).await?;
        if states.is_empty() || states.len() > asked.len() {
            return Err(miscounted());
        }
        let all = states.len() == asked.len() && !more;
        let next = states.len().checked_sub(1).and_then(|last| asked.get(last)).filter(|_| !all).cloned();
        let mut items = Vec::new();
        for (key, state) in asked.into_iter().zip(states) {
            match state {
                Ok(Some(state)) => items.push(Entry { key, state: Some(state) }),
                Ok(None) => {}
                // Damaged, but there: as in a scan, its key is listed.
                Err(Error::Corrupt(_)) if need == Projection::Key => items.push(Entry { key, state: None }),
                Err(error) => return Err(error),
            }
        }
        Ok(Page { items, next })
    }
}

/// How far a walk has come, and how far it may go on in this call.
struct Steps {
    after: Option<String>,
    left: usize,
    scans: usize,
}

impl Steps {
    fn new(after: Option<String>, limit: u32) -> Self {
        Steps { after, left: limit as usize, scans: MAX_SCANS }
    }
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
