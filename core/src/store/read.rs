//! Reading entries.

use super::{
    Core,
    core::{miscounted, project},
};
use crate::{
    Attributes, Clock, Error, MAX_TIMESTAMP, Precondition, Projection, Result, State, Storage, Timestamp, key, order,
    storage::{Change, Mutation, Outcome},
};

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    /// The storage's answer: for all keys, or for at least one.
    pub(super) async fn storage_get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let states = self.storage.get_many(namespace, keys, now, with_value).await?;
        match (1..=keys.len()).contains(&states.len()) {
            true => Ok(states),
            false => Err(miscounted()),
        }
    }

    /// The states of all keys, without values.
    pub(super) async fn describe_all(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<State>>>> {
        let mut states = Vec::with_capacity(keys.len());
        while let Some(rest) = keys.get(states.len()..)
            && !rest.is_empty()
        {
            states.extend(self.storage_get_many(namespace, rest, now, false).await?);
        }
        Ok(states)
    }

    /// The writes that start sliding expiries anew, where that is due. A key may come more than once, and is written once.
    pub(super) fn slide_all(&self, keys: &[String], states: &[Result<Option<State>>], now: Timestamp) -> Vec<Mutation> {
        let mut mutations = Vec::new();
        for (key, state) in keys.iter().zip(states) {
            if let Ok(Some(state)) = state
                && let Some(mutation) = self.slide(key, state, now)
            {
                mutations.push(mutation);
            }
        }
        order::sort(&mut mutations, |a, b| a.key < b.key);
        mutations.dedup_by(|a, b| a.key == b.key);
        mutations
    }

    /// The write that starts the sliding expiry anew, where that is due. Its guard keeps it from touching a later state.
    pub(super) fn slide(&self, key: &str, state: &State, now: Timestamp) -> Option<Mutation> {
        let to = slid(&state.attributes, now).filter(|_| self.known().sliding)?;
        let precondition = Precondition::Version(state.version.clone());
        Some(Mutation { key: key.to_owned(), change: Change::Extend(to), precondition })
    }
}

/// When the entry is to expire after a read at `now`; none: as before. An eighth of the span has to pass first, so that a
/// busy entry is not written at every read.
pub(super) fn slid(attributes: &Attributes, now: Timestamp) -> Option<Timestamp> {
    let (at, span) = (attributes.expires_at?, attributes.sliding_ms?);
    let to = now.saturating_add(span).min(MAX_TIMESTAMP);
    let due = at.saturating_sub(now) <= span.saturating_sub(span / 8);
    (due && to > at).then_some(to)
}

/// What is wrong with each key.
pub(super) fn faults(keys: &[String]) -> Vec<Option<Error>> {
    let mut faults = Vec::with_capacity(keys.len());
    for key in keys {
        faults.push(key::validate(key).err());
    }
    faults
}

/// The keys with which nothing is wrong.
pub(super) fn legal(keys: &[String], faults: &[Option<Error>]) -> Vec<String> {
    let mut legal = Vec::new();
    for (key, fault) in keys.iter().zip(faults) {
        if fault.is_none() {
            legal.push(key.clone());
        }
    }
    legal
}

/// What is answered for each key, where `found` is for those with which nothing is wrong.
pub(super) fn states(
    keys: &[String],
    faults: Vec<Option<Error>>,
    found: Vec<Result<Option<State>>>,
    with_value: bool,
) -> Vec<Result<Option<State>>> {
    let want = if with_value { Projection::Value } else { Projection::Attributes };
    let mut found = found.into_iter();
    let mut states = Vec::with_capacity(keys.len());
    for (key, fault) in keys.iter().zip(faults) {
        states.push(match fault {
            Some(fault) => Err(fault),
            None => match found.next() {
                Some(state) => state.and_then(|state| project(key, state, want)),
                // The storage answers for the first keys only, and so do we.
                None => break,
            },
        });
    }
    states
}

/// Shows in the states that their sliding expiry was started anew. `names` and `outcomes`: of what was written, in order.
pub(super) fn moved(
    keys: &[String],
    states: &mut [Result<Option<State>>],
    names: &[String],
    outcomes: &[Result<Outcome>],
    now: Timestamp,
) {
    for (key, state) in keys.iter().zip(states) {
        let place = names.binary_search(key).ok();
        if let Ok(Some(state)) = state
            && matches!(place.and_then(|place| outcomes.get(place)), Some(Ok(Outcome::Held)))
        {
            state.attributes.expires_at = slid(&state.attributes, now).or(state.attributes.expires_at);
        }
    }
}
