//! All or nothing.

use super::{
    Action, Check, Core, Failure, TransactionResult,
    core::{bare, check_items, miscounted, twice, unfit},
    draft::Draft,
};
use crate::{
    Clock, Error, Precondition, Result, State, Storage, Timestamp, Version, key, order,
    storage::{Change, Mutation, Outcome},
};

/// All that is asked of one key. A storage takes each key once.
pub(super) struct Part {
    pub(super) key: String,
    /// Its place among the checks, and what is demanded there.
    check: Option<(u32, Precondition)>,
    /// Its place among the actions.
    action: Option<u32>,
    /// What is set; none: deleted, or only checked.
    draft: Option<Draft>,
}

/// Whether it is a check, and its place among these or among the actions.
type Place = (bool, u32);

impl Part {
    /// What the action itself demands.
    fn own(&self) -> &Precondition {
        self.draft.as_ref().map_or(&Precondition::None, |draft| &draft.precondition)
    }

    /// Which part of the transaction the living version, if there is one, stands in the way of; none: of neither.
    fn refused(&self, version: Option<&Version>) -> Option<Place> {
        match (&self.check, self.action) {
            (Some((index, demanded)), _) if !demanded.holds(version) => Some((true, *index)),
            (_, Some(index)) if !self.own().holds(version) => Some((false, index)),
            _ => None,
        }
    }

    /// The one demand that says both; none where no state satisfies both.
    fn demand(&self) -> Option<Precondition> {
        let checked = self.check.as_ref().map_or(&Precondition::None, |(_, demanded)| demanded);
        match (checked, self.own()) {
            (Precondition::None, demand) | (demand, Precondition::None) => Some(demand.clone()),
            (a, b) => (a == b).then(|| a.clone()),
        }
    }

    fn keeps(&self) -> bool {
        self.draft.as_ref().is_some_and(|draft| draft.keep)
    }

    /// Whether what is there must be known first: where its expiry is kept, or where something stands in the way whatever
    /// is there.
    pub(super) fn looks(&self) -> bool {
        self.keeps() || self.demand().is_none()
    }

    /// Where it stands in the call: as a check, if it is one with a demand.
    fn place(&self) -> Place {
        match (&self.check, self.action) {
            (Some((index, demanded)), action) if action.is_none() || *demanded != Precondition::None => (true, *index),
            (_, action) => (false, action.unwrap_or_default()),
        }
    }
}

/// What became of an attempt.
pub(super) enum Attempt {
    Done(TransactionResult),
    /// Another one wrote this key meanwhile.
    Rival(String),
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    /// Checks all that is asked, and gathers it by key.
    pub(super) fn parts(
        &self,
        namespace: &str,
        checks: Vec<Check>,
        actions: Vec<Action>,
        now: Timestamp,
    ) -> Result<Vec<Part>> {
        check_items(checks.len().saturating_add(actions.len()))?;
        let mut parts: Vec<Part> = Vec::new();
        for Check { key, precondition } in checks {
            key::validate(&key)?;
            let check = Some((parts.len() as u32, precondition));
            parts.push(Part { key, check, action: None, draft: None });
        }
        let mut index: u32 = 0;
        for action in actions {
            let (key, draft) = match action {
                Action::Set(item) => {
                    let draft = self.draft(namespace, item, now)?;
                    (draft.key.clone(), Some(draft))
                }
                Action::Delete(key) => {
                    key::validate(&key)?;
                    (key, None)
                }
            };
            parts.push(Part { key, check: None, action: Some(index), draft });
            index = index.saturating_add(1);
        }
        // In key order, which spares backends with locks their deadlocks.
        order::sort(&mut parts, |a, b| a.key < b.key);
        let mut gathered: Vec<Part> = Vec::with_capacity(parts.len());
        for part in parts {
            match gathered.last_mut() {
                Some(last) if last.key == part.key => {
                    if last.check.is_some() == part.check.is_some() || last.action.is_some() == part.action.is_some() {
                        return Err(twice(&part.key));
                    }
                    last.check = last.check.take().or(part.check);
                    last.action = last.action.or(part.action);
                    last.draft = last.draft.take().or(part.draft);
                }
                _ => gathered.push(part),
            }
        }
        let (count, limit) = (gathered.len() as u64, u64::from(self.known().max_atomic.max(1)));
        match limit {
            _ if count <= limit => Ok(gathered),
            1 => Err(Error::Unsupported("this storage has no transactions over more than one key".into())),
            _ => Err(Error::too_large("mutations", limit, count)),
        }
    }
}

/// What is to be written. `seen`: what is there for each part that looks, in order; it may stand in the way already.
pub(super) fn mutations(
    parts: &[Part],
    seen: Vec<Result<Option<State>>>,
    now: Timestamp,
) -> Result<Result<Vec<Mutation>, Failure>> {
    let mut seen = seen.into_iter();
    let mut failure = None;
    let mut mutations = Vec::with_capacity(parts.len());
    for part in parts {
        let mut precondition = part.demand().unwrap_or_default();
        let mut there = None;
        if part.looks() {
            there = seen.next().unwrap_or_else(|| Err(miscounted()))?;
            let version = there.as_ref().map(|state| state.version.clone());
            if let Some(place) = part.refused(version.as_ref()) {
                note(&mut failure, place, there);
                continue;
            }
            // The expiry that is kept is the one that was seen, so the write is bound to that state.
            precondition = version.map_or(Precondition::Absent, Precondition::Version);
        }
        let change = match &part.draft {
            Some(draft) => draft.change(there.as_ref(), now),
            None if part.action.is_some() => Change::Delete,
            None => Change::Check,
        };
        mutations.push(Mutation { key: part.key.clone(), change, precondition });
    }
    Ok(failure.map_or(Ok(mutations), Err))
}

/// What the outcomes come to, in the order of the actions.
pub(super) fn attempted(parts: &[Part], outcomes: Vec<Result<Outcome>>, actions: usize) -> Result<Attempt> {
    let (mut failure, mut rival, mut strange) = (None, None, None);
    let mut versions = Vec::with_capacity(actions);
    versions.resize_with(actions, || None);
    for (part, outcome) in parts.iter().zip(outcomes) {
        match (part.draft.is_some(), part.action, outcome?) {
            (true, Some(index), Outcome::Written(version)) => {
                if let Some(place) = versions.get_mut(index as usize) {
                    *place = Some(version);
                }
            }
            (false, Some(_), Outcome::Deleted | Outcome::Absent) | (_, None, Outcome::Held) => {}
            (.., Outcome::Conflict(current)) => {
                match part.refused(current.as_ref().map(|state| &state.version)) {
                    Some(place) => note(&mut failure, place, current),
                    None if part.keeps() => rival = Some(part.key.clone()),
                    // What stood in the way is gone already: the refusal stands.
                    None => note(&mut failure, part.place(), current),
                }
            }
            (.., outcome) => strange = Some(unfit(&outcome)),
        }
    }
    match (failure, rival, strange) {
        (Some(failure), ..) => Ok(Attempt::Done(TransactionResult::Failed(failure))),
        (_, Some(rival), _) => Ok(Attempt::Rival(rival)),
        (.., Some(strange)) => Err(strange),
        _ => Ok(Attempt::Done(TransactionResult::Committed(versions))),
    }
}

/// Keeps the failure that comes first: checks before actions, each in the caller's order.
fn note(failure: &mut Option<Failure>, (in_checks, index): Place, current: Option<State>) {
    if failure.as_ref().is_none_or(|known| (!in_checks, index) < (!known.in_checks, known.index)) {
        *failure = Some(Failure { in_checks, index, current: bare(current) });
    }
}
