//! Many entries in one call: one result for each, in order, and each stands for itself.

use super::{
    Core, DeleteResult, Item, SetResult,
    core::{bare, check_distinct, check_items, miscounted, project, unfit},
    draft::Draft,
};
use crate::{
    Clock, Error, Precondition, Projection, Result, State, Storage, Timestamp,
    storage::{ANSWER_BYTES, Change, Mutation, Outcome},
};

/// Items to be set, on their way.
#[derive(Default)]
pub(super) struct Batch {
    /// Each place is filled in the end.
    pub(super) results: Vec<Result<SetResult>>,
    /// With the places of their results.
    pub(super) drafts: Vec<(usize, Draft)>,
    /// What the storage was sent.
    sent: Vec<Sent>,
    /// Where the entry there keeps its expiry, it guards the write: a rival is no reason to give up.
    pub(super) again: Vec<(usize, Draft)>,
    /// Places and keys of conflicts that are to carry a value.
    places: Vec<usize>,
    pub(super) keys: Vec<String>,
}

/// One item that went to the storage.
struct Sent {
    /// Its place among the results.
    index: usize,
    key: String,
    on_conflict: Projection,
    keeping: Option<Draft>,
}

impl Batch {
    pub(super) fn set(&mut self, index: usize, result: Result<SetResult>) {
        if let Some(place) = self.results.get_mut(index) {
            *place = result;
        }
    }

    /// What is to be written; `there`: what was found for each draft that keeps an expiry, in order.
    pub(super) fn mutations(&mut self, there: Vec<Result<Option<State>>>, now: Timestamp) -> Vec<Mutation> {
        let mut there = there.into_iter();
        let mut mutations = Vec::with_capacity(self.drafts.len());
        for (index, draft) in std::mem::take(&mut self.drafts) {
            let (key, on_conflict) = (draft.key.clone(), draft.on_conflict);
            let mut keeping = None;
            if !draft.keep {
                mutations.push(draft.into_mutation());
            } else {
                match there.next().unwrap_or_else(|| Err(miscounted())) {
                    Err(error) => {
                        self.set(index, Err(error));
                        continue;
                    }
                    Ok(seen) => match draft.over(seen.as_ref(), now) {
                        None => {
                            self.again.push((index, draft));
                            continue;
                        }
                        Some(mutation) => {
                            mutations.push(mutation);
                            keeping = Some(draft);
                        }
                    },
                }
            }
            self.sent.push(Sent { index, key, on_conflict, keeping });
        }
        mutations
    }

    /// How much of a state in the way the storage is to give.
    pub(super) fn on_conflict(&self) -> Projection {
        match self.sent.iter().any(|sent| sent.on_conflict != Projection::Key) {
            true => Projection::Attributes,
            false => Projection::Key,
        }
    }

    /// Takes what became of what was sent.
    pub(super) fn take(&mut self, outcomes: Vec<Result<Outcome>>) {
        let mut room = ANSWER_BYTES as u64;
        for (sent, outcome) in std::mem::take(&mut self.sent).into_iter().zip(outcomes) {
            let result = match (outcome, sent.keeping) {
                (Ok(Outcome::Written(version)), _) => Ok(SetResult::Written(version)),
                (Ok(Outcome::Conflict(_)), Some(draft)) => {
                    self.again.push((sent.index, draft));
                    continue;
                }
                (Ok(Outcome::Conflict(_)), None) if sent.on_conflict == Projection::Key => {
                    Ok(SetResult::Conflict(None))
                }
                (Ok(Outcome::Conflict(state)), None) => {
                    let size = state.as_ref().map_or(0, |state| state.attributes.size);
                    // Of the values that are wanted the first always fits.
                    if sent.on_conflict == Projection::Value
                        && state.is_some()
                        && (self.keys.is_empty() || size <= room)
                    {
                        room = room.saturating_sub(size);
                        self.places.push(sent.index);
                        self.keys.push(sent.key);
                    }
                    Ok(SetResult::Conflict(bare(state)))
                }
                (Ok(outcome), _) => Err(unfit(&outcome)),
                (Err(error), _) => Err(error),
            };
            self.set(sent.index, result);
        }
    }

    /// Takes the first of the states in the way that were wanted with their values.
    pub(super) fn take_values(&mut self, states: Vec<Result<Option<State>>>) {
        let (places, keys) = (std::mem::take(&mut self.places), std::mem::take(&mut self.keys));
        for ((index, key), state) in places.into_iter().zip(keys).zip(states) {
            let state = state.and_then(|state| project(&key, state, Projection::Value));
            self.set(index, state.map(SetResult::Conflict));
        }
    }
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    /// Checks the items, each for itself.
    pub(super) fn batch(&self, namespace: &str, items: Vec<Item>, now: Timestamp) -> Result<Batch> {
        check_items(items.len())?;
        check_distinct(items.iter().map(|item| item.key.as_str()).collect())?;
        let mut batch = Batch::default();
        for (index, item) in items.into_iter().enumerate() {
            batch.results.push(match self.draft(namespace, item, now) {
                Ok(draft) => {
                    batch.drafts.push((index, draft));
                    Ok(SetResult::Conflict(None))
                }
                Err(error) => Err(error),
            });
        }
        Ok(batch)
    }
}

/// Of the keys with which nothing is wrong.
pub(super) fn deletions(keys: &[String], faults: &[Option<Error>]) -> Vec<Mutation> {
    let mut mutations = Vec::new();
    for (key, fault) in keys.iter().zip(faults) {
        if fault.is_none() {
            mutations.push(Mutation { key: key.clone(), change: Change::Delete, precondition: Precondition::None });
        }
    }
    mutations
}

/// What is answered for each key, where the outcomes are of those with which nothing is wrong.
pub(super) fn deleted(faults: Vec<Option<Error>>, outcomes: Vec<Result<Outcome>>) -> Vec<Result<DeleteResult>> {
    let mut outcomes = outcomes.into_iter();
    let mut results = Vec::with_capacity(faults.len());
    for fault in faults {
        let outcome = match fault {
            Some(fault) => Err(fault),
            None => outcomes.next().unwrap_or_else(|| Err(miscounted())),
        };
        results.push(match outcome {
            Ok(Outcome::Deleted) => Ok(DeleteResult::Deleted),
            Ok(Outcome::Absent) => Ok(DeleteResult::Absent),
            Ok(outcome) => Err(unfit(&outcome)),
            Err(error) => Err(error),
        });
    }
    results
}
