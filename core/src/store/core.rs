//! The rules, over a storage and a clock; what every operation shares.

use std::sync::OnceLock;

use super::{MAX_ITEMS, MAX_PAGE};
use crate::text::decimal;
use crate::{
    Capabilities, Clock, Error, Projection, Result, State, Storage, Timestamp, checksum, key, order,
    pattern::PatternCache,
    storage::{Mutation, Outcome},
};

/// The rules, over a storage and a clock.
pub struct Core<S, C> {
    /// Where entries are kept.
    pub(super) storage: S,
    /// What time it is. Read once for each operation, and again before each further try of a read-modify-write.
    pub(super) clock: C,
    pub(super) patterns: PatternCache,
    // Both are constant while the storage lives.
    capabilities: OnceLock<Capabilities>,
    default_ttls: OnceLock<Vec<(String, u64)>>,
}

impl<S, C> Core<S, C> {
    /// The store over this storage and clock.
    pub fn new(storage: S, clock: C) -> Self {
        Core {
            storage,
            clock,
            patterns: PatternCache::new(),
            capabilities: OnceLock::new(),
            default_ttls: OnceLock::new(),
        }
    }
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    pub(super) fn known(&self) -> &Capabilities {
        self.capabilities.get_or_init(|| self.storage.capabilities())
    }

    /// The span after which entries of the namespace expire where nothing is said, in milliseconds.
    pub(super) fn default_ttl(&self, namespace: &str) -> Option<u64> {
        let ttls = self.default_ttls.get_or_init(|| self.storage.default_ttls());
        ttls.iter().find(|(name, _)| name == namespace).map(|(_, ttl)| *ttl)
    }

    /// Writes: one result for each mutation, in order.
    pub(super) async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let count = mutations.len();
        let outcomes = self.storage.write(namespace, mutations, atomic, now, on_conflict).await?;
        if outcomes.len() != count {
            return Err(miscounted());
        }
        Ok(outcomes)
    }
}

/// Whether namespace and key are legal.
pub(super) fn check_names(namespace: &str, key: &str) -> Result<()> {
    key::validate_namespace(namespace)?;
    key::validate(key)
}

/// Whether so many items may come in one call.
pub(super) fn check_items(count: usize) -> Result<()> {
    match count > MAX_ITEMS {
        true => Err(Error::too_large("items", MAX_ITEMS as u64, count as u64)),
        false => Ok(()),
    }
}

/// Whether it may be the size of a page.
pub(super) fn check_limit(limit: u32) -> Result<()> {
    match (1..=MAX_PAGE).contains(&limit) {
        true => Ok(()),
        false => Err(Error::invalid(&["limit ", &decimal(limit.into()), ": it is 1 to ", &decimal(MAX_PAGE.into())])),
    }
}

/// Whether no key comes twice.
pub(super) fn check_distinct(mut keys: Vec<&str>) -> Result<()> {
    order::sort(&mut keys, |a, b| a < b);
    for pair in keys.windows(2) {
        if let [a, b] = pair
            && a == b
        {
            return Err(twice(a));
        }
    }
    Ok(())
}

pub(super) fn twice(key: &str) -> Error {
    Error::InvalidArgument(key::about(key, &["it comes twice in one call"]))
}

/// Whether a state that was read with its value is what was written: size and checksum are looked at on every read.
pub(super) fn verify(key: &str, state: &State) -> Result<()> {
    let sound = state.value.as_ref().is_some_and(|value| {
        value.len() as u64 == state.attributes.size && checksum::crc32c(value) == state.attributes.checksum
    });
    match sound {
        true => Ok(()),
        false => Err(corrupt(key, "the value does not fit its size and checksum")),
    }
}

/// As much of the state as is wanted, verified where that includes the value.
pub(super) fn project(key: &str, state: Option<State>, want: Projection) -> Result<Option<State>> {
    let Some(mut state) = state else { return Ok(None) };
    match want {
        Projection::Key => return Ok(None),
        Projection::Attributes => state.value = None,
        Projection::Value => verify(key, &state)?,
    }
    Ok(Some(state))
}

/// The state without its value.
pub(super) fn bare(state: Option<State>) -> Option<State> {
    let mut state = state?;
    state.value = None;
    Some(state)
}

/// What was read is not what was written.
pub(super) fn corrupt(key: &str, what: &str) -> Error {
    Error::Corrupt(key::about(key, &[what]))
}

/// The storage gave more or fewer results than it was asked for.
pub(super) fn miscounted() -> Error {
    Error::Internal("the storage answered another number of results than asked for".into())
}

/// The storage answered what does not fit the question.
pub(super) fn unfit(outcome: &Outcome) -> Error {
    let name = match outcome {
        Outcome::Written(_) => "written",
        Outcome::Held => "held",
        Outcome::Deleted => "deleted",
        Outcome::Absent => "absent",
        Outcome::Conflict(_) => "conflict",
        Outcome::NotApplied => "not-applied",
    };
    Error::Internal(["the storage answered `", name, "` where that cannot be"].concat())
}
