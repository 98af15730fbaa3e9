//! All or nothing.

use super::{
    Action, Check, Core, Failure, TransactionResult,
    core::{bare, check_distinct, check_items, miscounted, unfit},
    draft::Draft,
    modify::Tries,
};
use crate::{
    Clock, Error, Precondition, Projection, Result, State, Storage, Version, key, order,
    storage::{Change, Mutation, Outcome},
};

/// All that is asked of one key. A storage takes each key once.
struct Part {
    key: String,
    /// Its place among the checks, and what is demanded there.
    check: Option<(usize, Precondition)>,
    /// Its place among the actions.
    action: Option<usize>,
    /// What is set; none: deleted, or only checked.
    draft: Option<Draft>,
}

impl Part {
    /// What the action itself demands.
    fn own(&self) -> &Precondition {
        self.draft.as_ref().map_or(&Precondition::None, |draft| &draft.precondition)
    }

    /// Which part of the transaction the state stands in the way of; none: of neither.
    fn failure(&self, current: Option<&State>) -> Option<(bool, usize)> {
        let version = current.map(|state| &state.version);
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
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    pub(crate) async fn transact(
        &self,
        namespace: &str,
        checks: Vec<Check>,
        actions: Vec<Action>,
    ) -> Result<TransactionResult> {
        key::validate_namespace(namespace)?;
        check_items(checks.len().saturating_add(actions.len()))?;
        let action_key = |action: &Action| match action {
            Action::Set(item) => item.key.clone(),
            Action::Delete(key) => key.clone(),
        };
        let keys: Vec<String> = actions.iter().map(action_key).collect();
        check_distinct(checks.iter().map(|check| check.key.as_str()).collect())?;
        check_distinct(keys.iter().map(String::as_str).collect())?;
        for key in checks.iter().map(|check| &check.key).chain(&keys) {
            key::validate(key)?;
        }
        let now = self.clock.now();
        let count = actions.len();
        let mut parts: Vec<Part> = Vec::with_capacity(checks.len().saturating_add(count));
        for (index, Check { key, precondition }) in checks.into_iter().enumerate() {
            parts.push(Part { key, check: Some((index, precondition)), action: None, draft: None });
        }
        for ((index, action), key) in actions.into_iter().enumerate().zip(keys) {
            let draft = match action {
                Action::Set(item) => Some(self.draft(namespace, item, now)?),
                Action::Delete(_) => None,
            };
            parts.push(Part { key, check: None, action: Some(index), draft });
        }
        // In key order, which spares backends with locks their deadlocks.
        order::sort(&mut parts, |a, b| a.key < b.key);
        parts.dedup_by(|other, part| {
            let same = other.key == part.key;
            if same {
                part.check = part.check.take().or(other.check.take());
                part.action = part.action.or(other.action);
                part.draft = part.draft.take().or(other.draft.take());
            }
            same
        });
        self.check_atomic(parts.len())?;
        if parts.is_empty() {
            return Ok(TransactionResult::Committed(Vec::new()));
        }
        if let Some(part) = parts.iter().find(|part| part.demand().is_none()) {
            // Two demands that exclude each other: whatever is there, one of them does not hold.
            let mut current = self.describe_all(namespace, std::slice::from_ref(&part.key), now).await?;
            let current = current.pop().unwrap_or_else(|| Err(miscounted()))?;
            let (in_checks, index) = part
                .failure(current.as_ref())
                .ok_or_else(|| Error::Internal("demands that cannot both hold".into()))?;
            return Ok(TransactionResult::Failed(failure(in_checks, index, current)));
        }
        self.commit(namespace, parts, count, Tries::new(now)).await
    }

    async fn commit(
        &self,
        namespace: &str,
        parts: Vec<Part>,
        actions: usize,
        mut tries: Tries,
    ) -> Result<TransactionResult> {
        let keeping = |part: &Part| part.draft.as_ref().is_some_and(|draft| draft.keep);
        loop {
            let kept: Vec<String> = parts.iter().filter(|part| keeping(part)).map(|part| part.key.clone()).collect();
            let mut seen = self.describe_all(namespace, &kept, tries.now).await?.into_iter();
            let mut mutations = Vec::with_capacity(parts.len());
            for part in &parts {
                let mut precondition = part.demand().unwrap_or_default();
                let change = match &part.draft {
                    Some(draft) if draft.keep => {
                        // The expiry that is kept is the one that was seen, so the write is bound to that state.
                        let seen = seen.next().unwrap_or_else(|| Err(miscounted()))?;
                        if let Some((in_checks, index)) = part.failure(seen.as_ref()) {
                            return Ok(TransactionResult::Failed(failure(in_checks, index, seen)));
                        }
                        let version = seen.as_ref().map(|state| state.version.clone());
                        precondition = version.map_or(Precondition::Absent, Precondition::Version);
                        draft.change(seen.as_ref(), tries.now)
                    }
                    Some(draft) => draft.change(None, tries.now),
                    None if part.action.is_some() => Change::Delete,
                    None => Change::Check,
                };
                mutations.push(Mutation { key: part.key.clone(), change, precondition });
            }
            let outcomes = self.write(namespace, mutations, true, tries.now, Projection::Attributes).await?;
            let outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
            let mut failures = Vec::new();
            let mut rival = None;
            for (part, outcome) in parts.iter().zip(&outcomes) {
                if let Outcome::Conflict(current) = outcome {
                    match part.failure(current.as_ref()) {
                        Some(place) => failures.push((place, current)),
                        None if keeping(part) => rival = Some(&part.key),
                        // What stood in the way is gone already: the refusal stands.
                        None => failures.push((part.place(), current)),
                    }
                }
            }
            // Checks come first, then actions, each in the caller's order.
            if let Some(((in_checks, index), current)) =
                failures.into_iter().min_by_key(|((in_checks, index), _)| (!in_checks, *index))
            {
                return Ok(TransactionResult::Failed(failure(in_checks, index, current.clone())));
            }
            match rival {
                Some(key) => self.again(namespace, key, &mut tries).await?,
                None => return committed(&parts, outcomes, actions),
            }
        }
    }

    fn check_atomic(&self, parts: usize) -> Result<()> {
        let limit = self.known().max_atomic.max(1);
        match limit {
            _ if parts as u64 <= u64::from(limit) => Ok(()),
            1 => Err(Error::Unsupported("this storage has no transactions over more than one key".into())),
            _ => Err(Error::too_large("mutations", u64::from(limit), parts as u64)),
        }
    }
}

impl Part {
    /// Where it stands in the call: as a check, if it is one with a demand.
    fn place(&self) -> (bool, usize) {
        match (&self.check, self.action) {
            (Some((index, demanded)), action) if action.is_none() || *demanded != Precondition::None => (true, *index),
            (_, Some(index)) => (false, index),
            (Some((index, _)), None) => (true, *index),
            (None, None) => (false, 0),
        }
    }
}

fn failure(in_checks: bool, index: usize, current: Option<State>) -> Failure {
    Failure { in_checks, index: u32::try_from(index).unwrap_or(u32::MAX), current: bare(current) }
}

/// What the actions came to, in the caller's order. Only where every part was applied.
fn committed(parts: &[Part], outcomes: Vec<Outcome>, actions: usize) -> Result<TransactionResult> {
    let mut versions: Vec<Option<Version>> = vec![None; actions];
    for (part, outcome) in parts.iter().zip(outcomes) {
        let version = match (part, outcome) {
            (Part { draft: Some(_), .. }, Outcome::Written(version)) => Some(version),
            (Part { draft: None, action: Some(_), .. }, Outcome::Deleted | Outcome::Absent) => None,
            (Part { action: None, .. }, Outcome::Held) => None,
            (_, outcome) => return Err(unfit(&outcome)),
        };
        if let Some(place) = part.action.and_then(|index| versions.get_mut(index)) {
            *place = version;
        }
    }
    Ok(TransactionResult::Committed(versions))
}
