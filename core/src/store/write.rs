//! Setting and deleting one entry.

use super::{
    Core, DeleteResult, Item, SetResult,
    core::{check_names, project, unfit},
    draft::Draft,
    modify::write_one,
};
use crate::{
    Clock, Precondition, Projection, Result, State, Storage, Timestamp, key,
    storage::{Change, Mutation, Outcome},
};

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    pub(crate) async fn set(&self, namespace: &str, item: Item) -> Result<SetResult> {
        key::validate_namespace(namespace)?;
        let now = self.clock.now();
        let draft = self.draft(namespace, item, now)?;
        if draft.keep {
            return self.set_keeping(namespace, draft, now).await;
        }
        let on_conflict = draft.on_conflict;
        // A refusal is rare, and only then is the key needed again.
        let key = if on_conflict == Projection::Value { draft.key.clone() } else { String::new() };
        match write_one(&self.storage, namespace, draft.into_mutation(), now, on_conflict).await? {
            Outcome::Written(version) => Ok(SetResult::Written(version)),
            Outcome::Conflict(state) => Ok(SetResult::Conflict(project(&key, state, on_conflict)?)),
            outcome => Err(unfit(&outcome)),
        }
    }

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

    pub(crate) async fn delete(
        &self,
        namespace: &str,
        key: &str,
        precondition: Precondition,
        on_conflict: Projection,
    ) -> Result<DeleteResult> {
        check_names(namespace, key)?;
        let mutation = Mutation { key: key.to_owned(), change: Change::Delete, precondition };
        match write_one(&self.storage, namespace, mutation, self.clock.now(), on_conflict).await? {
            Outcome::Deleted => Ok(DeleteResult::Deleted),
            Outcome::Absent => Ok(DeleteResult::Absent),
            Outcome::Conflict(state) => Ok(DeleteResult::Conflict(project(key, state, on_conflict)?)),
            outcome => Err(unfit(&outcome)),
        }
    }
}
