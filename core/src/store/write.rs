//! Setting one entry that keeps the expiry of the one there.

use super::{Core, SetResult, core::project, draft::Draft};
use crate::{Clock, Precondition, Projection, Result, State, Storage, Timestamp};

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    /// Sets an entry that keeps the expiry of the one there, which therefore guards the write.
    pub(super) async fn set_keeping(&self, namespace: &str, draft: Draft, now: Timestamp) -> Result<SetResult> {
        // Who may be refused by the precondition is to learn what stands in the way.
        let want = match (&draft.precondition, draft.on_conflict) {
            (Precondition::None, _) | (_, Projection::Key) => Projection::Attributes,
            (_, want) => want,
        };
        let mut in_the_way = None;
        let mut decide = |seen: Option<State>, now| {
            if draft.precondition.holds(seen.as_ref().map(|state| &state.version)) {
                return Ok(Some(draft.change(seen.as_ref(), now)));
            }
            in_the_way = seen;
            Ok(None)
        };
        match self.modify(namespace, &draft.key, now, false, want, &mut decide).await? {
            Some(version) => Ok(SetResult::Written(version)),
            None => Ok(SetResult::Conflict(project(&draft.key, in_the_way, draft.on_conflict)?)),
        }
    }
}
