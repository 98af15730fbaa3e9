//! Many entries in one call: one result for each, in order, and each stands for itself.

use super::{
    Core, DeleteResult, Item, SetResult,
    core::{check_distinct, check_items, miscounted, project, unfit, verify},
    draft::Draft,
};
use crate::{
    Clock, Precondition, Projection, Result, State, Storage, Timestamp, key,
    storage::{ANSWER_BYTES, Change, Mutation, Outcome},
};

/// One item that goes to the storage.
struct Sent {
    /// Its place among the results.
    index: usize,
    key: String,
    on_conflict: Projection,
    /// Where the entry there keeps its expiry, it guards the write: a rival is no reason to give up.
    keeping: Option<Draft>,
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    /// A conflict's values are carried up to 8 MiB in all: past that the state comes without its value.
    pub(crate) async fn set_many(&self, namespace: &str, items: Vec<Item>) -> Result<Vec<Result<SetResult>>> {
        key::validate_namespace(namespace)?;
        check_items(items.len())?;
        check_distinct(items.iter().map(|item| item.key.as_str()))?;
        let now = self.clock.now();
        let mut results = Vec::with_capacity(items.len());
        let mut drafts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match self.draft(namespace, item, now) {
                Ok(draft) => {
                    drafts.push((index, draft));
                    // Each place is filled below.
                    results.push(Err(miscounted()));
                }
                Err(error) => results.push(Err(error)),
            }
        }
        let set = |results: &mut Vec<Result<SetResult>>, index: usize, result| {
            if let Some(place) = results.get_mut(index) {
                *place = result;
            }
        };
        let mut there = self.kept(namespace, &drafts, now).await?.into_iter();
        let (mut sent, mut mutations) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
        for (index, draft) in drafts {
            let (key, on_conflict) = (draft.key.clone(), draft.on_conflict);
            if !draft.keep {
                mutations.push(draft.into_mutation());
                sent.push(Sent { index, key, on_conflict, keeping: None });
                continue;
            }
            match there.next().unwrap_or_else(|| Err(miscounted())) {
                Ok(seen) => {
                    let version = seen.as_ref().map(|state| &state.version);
                    if draft.precondition.holds(version) {
                        let precondition = version.cloned().map_or(Precondition::Absent, Precondition::Version);
                        mutations.push(Mutation {
                            key: key.clone(),
                            change: draft.change(seen.as_ref(), now),
                            precondition,
                        });
                        sent.push(Sent { index, key, on_conflict, keeping: Some(draft) });
                    } else {
                        set(&mut results, index, self.set_keeping(namespace, draft, now).await);
                    }
                }
                Err(error) => set(&mut results, index, Err(error)),
            }
        }
        if sent.is_empty() {
            return Ok(results);
        }
        let carried = sent.iter().any(|sent| sent.on_conflict != Projection::Key);
        let carried = if carried { Projection::Attributes } else { Projection::Key };
        let outcomes = self.storage.write(namespace, mutations, false, now, carried).await?;
        if outcomes.len() != sent.len() {
            return Err(miscounted());
        }
        let mut with_value = Vec::new();
        for (sent, outcome) in sent.into_iter().zip(outcomes) {
            let result = match outcome {
                Ok(Outcome::Written(version)) => Ok(SetResult::Written(version)),
                Ok(Outcome::Conflict(_)) if sent.keeping.is_some() => match sent.keeping {
                    Some(draft) => self.set_keeping(namespace, draft, now).await,
                    None => Err(miscounted()),
                },
                Ok(Outcome::Conflict(Some(state))) if sent.on_conflict == Projection::Value => {
                    with_value.push((sent.index, sent.key, state.attributes.size));
                    Ok(SetResult::Conflict(Some(State { value: None, ..state })))
                }
                Ok(Outcome::Conflict(state)) => project(&sent.key, state, sent.on_conflict).map(SetResult::Conflict),
                Ok(outcome) => Err(unfit(&outcome)),
                Err(error) => Err(error),
            };
            set(&mut results, sent.index, result);
        }
        for (index, state) in self.values_in_the_way(namespace, with_value, now).await? {
            set(&mut results, index, state.map(SetResult::Conflict));
        }
        Ok(results)
    }

    /// What is there, for each draft that keeps an expiry, in order.
    async fn kept(
        &self,
        namespace: &str,
        drafts: &[(usize, Draft)],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<State>>>> {
        let keys: Vec<String> =
            drafts.iter().filter(|(_, draft)| draft.keep).map(|(_, draft)| draft.key.clone()).collect();
        self.describe_all(namespace, &keys, now).await
    }

    /// The values of these entries, as many as one answer may hold.
    async fn values_in_the_way(
        &self,
        namespace: &str,
        wanted: Vec<(usize, String, u64)>,
        now: Timestamp,
    ) -> Result<Vec<(usize, Result<Option<State>>)>> {
        let mut room = ANSWER_BYTES as u64;
        let mut fitting = Vec::new();
        for (index, key, size) in wanted {
            // The first always fits.
            if fitting.is_empty() || size <= room {
                room = room.saturating_sub(size);
                fitting.push((index, key));
            }
        }
        let (places, keys): (Vec<usize>, Vec<String>) = fitting.into_iter().unzip();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let states = self.storage.get_many(namespace, &keys, now, true).await?;
        let states = keys.iter().zip(states).map(|(key, state)| {
            let state = state?;
            if let Some(state) = &state {
                verify(key, state)?;
            }
            Ok(state)
        });
        Ok(places.into_iter().zip(states).collect())
    }

    pub(crate) async fn delete_many(&self, namespace: &str, keys: &[String]) -> Result<Vec<Result<DeleteResult>>> {
        key::validate_namespace(namespace)?;
        check_items(keys.len())?;
        check_distinct(keys.iter().map(String::as_str))?;
        let faults: Vec<_> = keys.iter().map(|key| key::validate(key).err()).collect();
        let mutations: Vec<Mutation> = keys
            .iter()
            .zip(&faults)
            .filter(|(_, fault)| fault.is_none())
            .map(|(key, _)| Mutation { key: key.clone(), change: Change::Delete, precondition: Precondition::None })
            .collect();
        let count = mutations.len();
        let outcomes = match count {
            0 => Vec::new(),
            _ => self.storage.write(namespace, mutations, false, self.clock.now(), Projection::Key).await?,
        };
        if outcomes.len() != count {
            return Err(miscounted());
        }
        let mut outcomes = outcomes.into_iter();
        let result = |fault| match fault {
            Some(fault) => Err(fault),
            None => match outcomes.next().unwrap_or_else(|| Err(miscounted()))? {
                Outcome::Deleted => Ok(DeleteResult::Deleted),
                Outcome::Absent => Ok(DeleteResult::Absent),
                outcome => Err(unfit(&outcome)),
            },
        };
        Ok(faults.into_iter().map(result).collect())
    }
}
