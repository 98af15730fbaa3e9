//! Read, decide, write if nothing changed meanwhile; else again.

use super::{
    Core,
    core::{project, unfit},
};
use crate::{
    Clock, Error, Precondition, Projection, Result, Storage, Timestamp, Version,
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

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    /// Decides over the state of the key and writes, until no rival comes between: the new version, or none where nothing
    /// was to be written. Who loses goes on from the state that the refusal carried. `absent`: what is taken for granted at
    /// first, where no read is needed: a wrong guess is refused by its guard. `want`: whether the decision needs the value.
    /// Not to write is decided over what is there now, too: where a read may be of the past, it is checked.
    pub(super) async fn modify(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        absent: bool,
        want: Projection,
        decide: &mut Decide<'_>,
    ) -> Result<Option<Version>> {
        #[cfg(all(not(feature = "component"), target_family = "wasm"))]
        {
            let mut verified = |seen, now| decide(project(key, seen, want)?, now);
            if let Some(updated) = self.storage.update(namespace, key, now, want, &mut verified).await {
                return updated;
            }
        }
        let mut tries = Tries::new(now);
        let (mut seen, mut stale) = (None, false);
        if !absent {
            seen = self.seen(namespace, key, now, want).await?;
            stale = self.reads_stale();
        }
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
            let state = match self.write_one(namespace, mutation, tries.now, want).await? {
                Outcome::Written(version) => return Ok(Some(version)),
                Outcome::Conflict(state) => state,
                Outcome::Absent => None,
                outcome => match (outcome, refusal) {
                    // What was read is still there, and so the refusal stands.
                    (Outcome::Held, Some(refusal)) => return refusal,
                    (outcome, _) => return Err(unfit(&outcome)),
                },
            };
            self.again(namespace, key, &mut tries).await?;
            seen = project(key, state, want)?;
        }
    }

    /// Waits before another try, or gives up.
    pub(super) async fn again(&self, namespace: &str, key: &str, tries: &mut Tries) -> Result<()> {
        tries.count = tries.count.saturating_add(1);
        // A clock that was set back must not bring expired entries back to life within one call.
        tries.now = tries.now.max(self.clock.now());
        if tries.count >= MAX_TRIES || tries.now.saturating_sub(tries.begun) >= PATIENCE_MS {
            return Err(Error::RateLimited(None));
        }
        self.storage.backoff(namespace, key, tries.count).await;
        Ok(())
    }
}
