//! Read, decide, write if nothing changed meanwhile; else again.

use super::{
    Core,
    core::{miscounted, project, unfit},
};
use crate::{
    Clock, Error, Precondition, Projection, Result, State, Storage, Timestamp, Version,
    storage::{Change, Decide, Mutation, Outcome},
};

/// The longest that rivals may keep one call from its turn, in milliseconds.
const PATIENCE_MS: u64 = 10_000;
/// Ends the loop where the clock stands still.
const MAX_TRIES: u32 = 10_000;

/// One call's tries.
pub(super) struct Tries {
    begun: Timestamp,
    pub(super) now: Timestamp,
    count: u32,
}

impl Tries {
    pub(super) fn new(now: Timestamp) -> Self {
        Tries { begun: now, now, count: 0 }
    }
}

/// What was seen of a key, to decide over.
pub(crate) struct Seen {
    pub(crate) now: Timestamp,
    pub(crate) state: Option<State>,
    /// Whether that may be of the past.
    pub(crate) stale: bool,
}

impl<S: Storage, C: Clock> Core<S, C> {
    /// Decides over the state of the key and writes, with nothing between: the new version, or none where nothing was to be
    /// written. `absent`: what is taken for granted at first, where no read is needed: a wrong guess is refused by its guard.
    /// `want`: whether the decision needs the value.
    #[cfg(all(not(feature = "component"), target_family = "wasm"))]
    pub(super) async fn modify(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        _absent: bool,
        want: Projection,
        decide: &mut Decide<'_>,
    ) -> Result<Option<Version>> {
        let mut verified = |seen, now| decide(project(key, seen, want)?, now);
        self.storage.update(namespace, key, now, &self.clock, want, &mut verified).await
    }

    /// Decides over the state of the key and writes, with nothing between: the new version, or none where nothing was to be
    /// written. `absent`: what is taken for granted at first, where no read is needed: a wrong guess is refused by its guard.
    /// `want`: whether the decision needs the value.
    #[cfg(not(all(not(feature = "component"), target_family = "wasm")))]
    #[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
    pub(super) async fn modify(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        absent: bool,
        want: Projection,
        decide: &mut Decide<'_>,
    ) -> Result<Option<Version>> {
        let mut first = Seen { now, state: None, stale: false };
        if !absent {
            first.state = seen(&self.storage, namespace, key, now, want).await?;
            first.stale = self.known().reads_stale();
        }
        by_guards(&self.storage, &self.clock, namespace, key, want, first, decide).await
    }
}

/// Writes under a guard, until no rival comes between. Who loses goes on from the state that the refusal carried. Not to
/// write is decided over what is there now, too: where a read may be of the past, it is checked.
#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
pub(crate) async fn by_guards<S: Storage + ?Sized>(
    storage: &S,
    clock: &dyn Clock,
    namespace: &str,
    key: &str,
    want: Projection,
    first: Seen,
    decide: &mut Decide<'_>,
) -> Result<Option<Version>> {
    let mut tries = Tries::new(first.now);
    let (mut seen, mut stale) = (first.state, first.stale);
    loop {
        let precondition = match &seen {
            None => Precondition::Absent,
            Some(state) => Precondition::Version(state.version.clone()),
        };
        let mut refusal = None;
        let change = match decide(seen, tries.now) {
            Ok(Some(change)) => change,
            refused if std::mem::take(&mut stale) => {
                refusal = Some(refused.map(|_| None));
                Change::Check
            }
            refused => return refused.map(|_| None),
        };
        stale = false;
        let mutation = Mutation { key: key.to_owned(), change, precondition };
        let state = match write_one(storage, namespace, mutation, tries.now, want).await? {
            Outcome::Written(version) => return Ok(Some(version)),
            Outcome::Conflict(state) => state,
            Outcome::Absent => None,
            outcome => match (outcome, refusal) {
                // What was read is still there, and so the refusal stands.
                (Outcome::Held, Some(refusal)) => return refusal,
                (outcome, _) => return Err(unfit(&outcome)),
            },
        };
        again(storage, clock, namespace, key, &mut tries).await?;
        seen = project(key, state, want)?;
    }
}

/// Waits before another try, or gives up.
#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
pub(super) async fn again<S: Storage + ?Sized>(
    storage: &S,
    clock: &dyn Clock,
    namespace: &str,
    key: &str,
    tries: &mut Tries,
) -> Result<()> {
    tries.count = tries.count.saturating_add(1);
    // A clock that was set back must not bring expired entries back to life within one call.
    tries.now = tries.now.max(clock.now());
    if tries.count >= MAX_TRIES || tries.now.saturating_sub(tries.begun) >= PATIENCE_MS {
        return Err(Error::RateLimited(None));
    }
    storage.backoff(namespace, key, tries.count).await;
    Ok(())
}

/// The state of the key, as much of it as is wanted; verified if that includes the value.
#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
pub(crate) async fn seen<S: Storage + ?Sized>(
    storage: &S,
    namespace: &str,
    key: &str,
    now: Timestamp,
    want: Projection,
) -> Result<Option<State>> {
    let state = storage.get(namespace, key, now, want == Projection::Value).await?;
    project(key, state, want)
}

/// Writes one mutation.
#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
pub(super) async fn write_one<S: Storage + ?Sized>(
    storage: &S,
    namespace: &str,
    mutation: Mutation,
    now: Timestamp,
    on_conflict: Projection,
) -> Result<Outcome> {
    let mut outcomes = storage.write(namespace, vec![mutation], false, now, on_conflict).await?;
    match (outcomes.pop(), outcomes.is_empty()) {
        (Some(outcome), true) => outcome,
        _ => Err(miscounted()),
    }
}
