//! Reading entries.

use super::{
    Core,
    core::{check_items, check_names, miscounted, verify},
};
use crate::{
    Attributes, Clock, MAX_TIMESTAMP, Precondition, Projection, Result, State, Storage, Timestamp, key, order,
    storage::{Change, Mutation, Outcome},
};

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    pub(crate) async fn get(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        check_names(namespace, key)?;
        let now = self.clock.now();
        let Some(mut state) = self.storage.get(namespace, key, now, true).await? else { return Ok(None) };
        verify(key, &state)?;
        if let Some(mutation) = self.slide(key, &state, now) {
            // Whatever becomes of it, the read stands.
            if let Ok(Outcome::Held) = self.write_one(namespace, mutation, now, Projection::Key).await {
                state.attributes.expires_at = slid(&state.attributes, now).or(state.attributes.expires_at);
            }
        }
        Ok(Some(state))
    }

    pub(crate) async fn describe(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        check_names(namespace, key)?;
        let mut state = self.storage.get(namespace, key, self.clock.now(), false).await?;
        if let Some(state) = &mut state {
            state.value = None;
        }
        Ok(state)
    }

    pub(crate) async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        key::validate_namespace(namespace)?;
        check_items(keys.len())?;
        let now = self.clock.now();
        let faults: Vec<_> = keys.iter().map(|key| key::validate(key).err()).collect();
        let found = if faults.iter().all(Option::is_none) {
            self.storage_get_many(namespace, keys, now, with_value).await?
        } else {
            let legal = keys.iter().zip(&faults).filter(|(_, fault)| fault.is_none());
            let legal: Vec<String> = legal.map(|(key, _)| key.clone()).collect();
            self.storage_get_many(namespace, &legal, now, with_value).await?
        };
        let mut found = found.into_iter();
        let mut states = Vec::with_capacity(keys.len());
        for (key, fault) in keys.iter().zip(faults) {
            let state = match fault {
                Some(fault) => Err(fault),
                None => match found.next() {
                    Some(state) => state.and_then(|state| checked(key, state, with_value)),
                    // The storage answers for the first keys only, and so do we.
                    None => break,
                },
            };
            states.push(state);
        }
        if with_value {
            self.slide_many(namespace, keys, &mut states, now).await;
        }
        Ok(states)
    }

    /// The storage's answer: for all keys, or for at least one.
    async fn storage_get_many(
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

    /// Starts the sliding expiries anew that are due, in one write. A key may come more than once.
    async fn slide_many(&self, namespace: &str, keys: &[String], states: &mut [Result<Option<State>>], now: Timestamp) {
        let mut mutations = Vec::new();
        for (key, state) in keys.iter().zip(states.iter()) {
            if let Ok(Some(state)) = state
                && let Some(mutation) = self.slide(key, state, now)
            {
                mutations.push(mutation);
            }
        }
        if mutations.is_empty() {
            return;
        }
        order::sort(&mut mutations, |a, b| a.key < b.key);
        mutations.dedup_by(|a, b| a.key == b.key);
        let names: Vec<String> = mutations.iter().map(|mutation| mutation.key.clone()).collect();
        let Ok(outcomes) = self.storage.write(namespace, mutations, false, now, Projection::Key).await else { return };
        for (key, state) in keys.iter().zip(states) {
            let place = names.binary_search(key).ok();
            if let Ok(Some(state)) = state
                && matches!(place.and_then(|place| outcomes.get(place)), Some(Ok(Outcome::Held)))
            {
                state.attributes.expires_at = slid(&state.attributes, now).or(state.attributes.expires_at);
            }
        }
    }

    /// The write that starts the sliding expiry anew, where that is due. Its guard keeps it from touching a later state.
    fn slide(&self, key: &str, state: &State, now: Timestamp) -> Option<Mutation> {
        let to = slid(&state.attributes, now).filter(|_| self.known().sliding)?;
        let precondition = Precondition::Version(state.version.clone());
        Some(Mutation { key: key.to_owned(), change: Change::Extend(to), precondition })
    }
}

/// When the entry is to expire after a read at `now`; none: as before. An eighth of the span has to pass first, so that a
/// busy entry is not written at every read.
fn slid(attributes: &Attributes, now: Timestamp) -> Option<Timestamp> {
    let (at, span) = (attributes.expires_at?, attributes.sliding_ms?);
    let to = now.saturating_add(span).min(MAX_TIMESTAMP);
    let due = at.saturating_sub(now) <= span.saturating_sub(span / 8);
    (due && to > at).then_some(to)
}

fn checked(key: &str, state: Option<State>, with_value: bool) -> Result<Option<State>> {
    let Some(mut state) = state else { return Ok(None) };
    match with_value {
        true => verify(key, &state)?,
        false => state.value = None,
    }
    Ok(Some(state))
}
