//! Every operation, from its checks to its answer: what is waited for, and in which order. What is decided in between lies in
//! the file of its question.
//!
//! All in one place, since an operation that only called another one would be half a kilobyte of states more.

#[cfg(not(all(feature = "component", target_family = "wasm")))]
use async_trait::async_trait;

use super::{
    Action, Appended, ChangeResult, Check, ChildPage, Cleaned, Core, Counted, DeleteResult, EntryPage, Expiry, Item,
    MAX_ITEMS, MAX_PAGE, NamePage, Numeric, Progress, Query, SetOptions, SetResult, Store, SwapResult,
    TransactionResult,
    atomic::{add, check_tail, first, numeric, same},
    batch::{deleted, deletions},
    children::{Level, Need},
    core::{check_distinct, check_items, check_limit, check_names, project, unfit},
    cursor::{NAMESPACES, Walk},
    listing::{Answer, LOOKED_AT, MAX_LOOKS},
    metadata::Edit,
    modify::{Tries, again, seen, write_one},
    read::{faults, legal, moved, slid, states},
    transact::{Attempt, attempted, mutations},
};
use crate::{
    Attributes, Capabilities, Clock, Precondition, Projection, Result, State, Storage, Value, key,
    storage::{Change, Hint, Mutation, Outcome},
};

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
#[cfg_attr(all(not(feature = "component"), target_family = "wasm"), async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl<S: Storage, C: Clock> Store for Core<S, C> {
    async fn capabilities(&self) -> Result<Capabilities> {
        Ok(self.known().clone())
    }

    async fn get(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        check_names(namespace, key)?;
        let now = self.clock.now();
        let Some(mut state) = seen(&self.storage, namespace, key, now, Projection::Value).await? else {
            return Ok(None);
        };
        if let Some(mutation) = self.slide(key, &state, now) {
            // Whatever becomes of it, the read stands.
            if let Ok(Outcome::Held) = write_one(&self.storage, namespace, mutation, now, Projection::Key).await {
                state.attributes.expires_at = slid(&state.attributes, now).or(state.attributes.expires_at);
            }
        }
        Ok(Some(state))
    }

    async fn get_many(&self, namespace: &str, keys: &[String], with_value: bool) -> Result<Vec<Result<Option<State>>>> {
        key::validate_namespace(namespace)?;
        check_items(keys.len())?;
        let now = self.clock.now();
        let faults = faults(keys);
        let legal = if faults.iter().all(Option::is_none) { None } else { Some(legal(keys, &faults)) };
        let asked = legal.as_deref().unwrap_or(keys);
        let found = self.storage_get_many(namespace, asked, now, with_value).await?;
        let mut states = states(keys, faults, found, with_value);
        if with_value {
            let mutations = self.slide_all(keys, &states, now);
            if !mutations.is_empty() {
                let mut names = Vec::with_capacity(mutations.len());
                for mutation in &mutations {
                    names.push(mutation.key.clone());
                }
                // Whatever becomes of it, the read stands.
                if let Ok(outcomes) = self.write(namespace, mutations, false, now, Projection::Key).await {
                    moved(keys, &mut states, &names, &outcomes, now);
                }
            }
        }
        Ok(states)
    }

    async fn describe(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        check_names(namespace, key)?;
        seen(&self.storage, namespace, key, self.clock.now(), Projection::Attributes).await
    }

    async fn set(&self, namespace: &str, item: Item) -> Result<SetResult> {
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

    // A conflict's values are carried up to 8 MiB in all: past that the state comes without its value.
    async fn set_many(&self, namespace: &str, items: Vec<Item>) -> Result<Vec<Result<SetResult>>> {
        key::validate_namespace(namespace)?;
        let now = self.clock.now();
        let mut batch = self.batch(namespace, items, now)?;
        let mut kept = Vec::new();
        for (_, draft) in &batch.drafts {
            if draft.keep {
                kept.push(draft.key.clone());
            }
        }
        let there = self.describe_all(namespace, &kept, now).await?;
        let mutations = batch.mutations(there, now);
        if !mutations.is_empty() {
            batch.take(self.write(namespace, mutations, false, now, batch.on_conflict()).await?);
        }
        for (index, draft) in std::mem::take(&mut batch.again) {
            let result = self.set_keeping(namespace, draft, now).await;
            batch.set(index, result);
        }
        let values = self.storage_get_many(namespace, &batch.keys, now, true).await?;
        batch.take_values(values);
        Ok(batch.results)
    }

    async fn delete(
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

    async fn delete_many(&self, namespace: &str, keys: &[String]) -> Result<Vec<Result<DeleteResult>>> {
        key::validate_namespace(namespace)?;
        check_items(keys.len())?;
        check_distinct(keys.iter().map(String::as_str).collect())?;
        let faults = faults(keys);
        let mutations = deletions(keys, &faults);
        let mut outcomes = Vec::new();
        if !mutations.is_empty() {
            outcomes = self.write(namespace, mutations, false, self.clock.now(), Projection::Key).await?;
        }
        Ok(deleted(faults, outcomes))
    }

    async fn transact(&self, namespace: &str, checks: Vec<Check>, actions: Vec<Action>) -> Result<TransactionResult> {
        key::validate_namespace(namespace)?;
        let count = actions.len();
        let mut tries = Tries::new(self.clock.now());
        let parts = self.parts(namespace, checks, actions, tries.now)?;
        if parts.is_empty() {
            return Ok(TransactionResult::Committed(Vec::new()));
        }
        let mut looked_at = Vec::new();
        for part in &parts {
            if part.looks() {
                looked_at.push(part.key.clone());
            }
        }
        loop {
            let seen = self.describe_all(namespace, &looked_at, tries.now).await?;
            let mutations = match mutations(&parts, seen, tries.now)? {
                Ok(mutations) => mutations,
                Err(failure) => return Ok(TransactionResult::Failed(failure)),
            };
            let outcomes = self.write(namespace, mutations, true, tries.now, Projection::Attributes).await?;
            match attempted(&parts, outcomes, count)? {
                Attempt::Done(result) => return Ok(result),
                Attempt::Rival(key) => again(&self.storage, &self.clock, namespace, &key, &mut tries).await?,
            }
        }
    }

    async fn compare_and_swap(
        &self,
        namespace: &str,
        key: &str,
        old: Option<Value>,
        new: Value,
        options: SetOptions,
    ) -> Result<SwapResult> {
        check_names(namespace, key)?;
        if let Some(old) = &old {
            old.validate()?;
        }
        let now = self.clock.now();
        let draft = self.draft(namespace, Item { key: key.to_owned(), value: new, options }, now)?;
        // A creation needs no read: its guard finds out whether there is something.
        let creation = old.is_none() && !matches!(draft.precondition, Precondition::Version(_));
        let mut there = None;
        let mut decide = |seen: Option<State>, now| {
            let same = match (&old, &seen) {
                (None, None) => true,
                (Some(old), Some(state)) => same(key, old, state)?,
                _ => false,
            };
            if same && draft.precondition.holds(seen.as_ref().map(|state| &state.version)) {
                return Ok(Some(draft.change(seen.as_ref(), now)));
            }
            there = seen;
            Ok(None)
        };
        Ok(match self.modify(namespace, key, now, creation, Projection::Value, &mut decide).await? {
            Some(version) => SwapResult::Swapped(version),
            None => SwapResult::Different(there),
        })
    }

    async fn increment(&self, namespace: &str, key: &str, delta: Numeric, expiry: Expiry) -> Result<Counted> {
        Value::from(delta).validate()?;
        let mut value = delta;
        let mut revise = |seen: Option<(Vec<u8>, &Attributes)>| {
            let present = match seen {
                None => Numeric::Integer(0),
                Some((value, attributes)) => numeric(key, &attributes.value_type, value)?,
            };
            value = add(key, present, delta)?;
            self.encode(value.into())
        };
        let version = self.revise(namespace, key, expiry, &mut revise).await?;
        Ok(Counted { value, version })
    }

    async fn append(&self, namespace: &str, key: &str, tail: Value, expiry: Expiry) -> Result<Appended> {
        check_tail(key, &tail)?;
        let mut size: u64 = 0;
        let mut revise = |seen: Option<(Vec<u8>, &Attributes)>| {
            let value = match seen {
                None => self.encode(first(&tail))?,
                Some((value, attributes)) => self.join(key, value, attributes, &tail)?,
            };
            size = value.bytes.len() as u64;
            Ok(value)
        };
        let version = self.revise(namespace, key, expiry, &mut revise).await?;
        Ok(Appended { version, size })
    }

    async fn update_metadata(
        &self,
        namespace: &str,
        key: &str,
        patch: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        self.edit(namespace, key, Edit::Merge(patch), precondition).await
    }

    async fn replace_metadata(
        &self,
        namespace: &str,
        key: &str,
        metadata: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        self.edit(namespace, key, Edit::Replace(metadata), precondition).await
    }

    async fn set_expiry(
        &self,
        namespace: &str,
        key: &str,
        expiry: Expiry,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        self.edit(namespace, key, Edit::Expiry(expiry), precondition).await
    }

    // One damaged value stops a listing with values, as `corrupt` naming its key; a listing without values goes on.
    async fn list_entries(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
        want: Projection,
    ) -> Result<EntryPage> {
        let mut plan = self.plan("list", namespace, query, cursor, limit)?;
        let limit = limit as usize;
        let mut answer = Answer::default();
        plan.left = LOOKED_AT;
        while !answer.is_full(limit) {
            let (looked_at, found) = (LOOKED_AT.saturating_sub(plan.left), answer.entries.len());
            let mut ask = limit.saturating_sub(found);
            // Where few of the last ones matched, look at more at a time.
            if found < looked_at && !plan.is_exact() {
                ask = ask.max(looked_at);
            }
            let Some(found) = self.step(&mut plan, ask, want).await? else { break };
            if let Some(last) = answer.take(found, limit, want)? {
                plan.after = Some(last);
            }
        }
        Ok(EntryPage { cursor: plan.cursor(), entries: answer.entries })
    }

    async fn count(&self, namespace: &str, query: &Query, cursor: Option<&str>, limit: u32) -> Result<Progress> {
        let mut plan = self.plan("count", namespace, query, cursor, limit)?;
        if plan.after.is_none()
            && plan.is_exact()
            && plan.pattern.exact().is_none()
            && let Some(count) = self.storage.count(namespace, plan.pattern.range(), plan.now).await?
        {
            return Ok(Progress { count, cursor: None });
        }
        let mut count: u64 = 0;
        while let Some(found) = self.step(&mut plan, MAX_PAGE as usize, Projection::Key).await? {
            count = count.saturating_add(found.len() as u64);
        }
        Ok(Progress { count, cursor: plan.cursor() })
    }

    // With a metadata query, what changed meanwhile is looked at again, and left only if it no longer matches or keeps
    // changing at every look.
    async fn delete_matching(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Progress> {
        let mut plan = self.plan("delete", namespace, query, cursor, limit)?;
        let mut count: u64 = 0;
        while let Some(mut found) = self.step(&mut plan, MAX_ITEMS, Projection::Key).await? {
            for _ in 0..MAX_LOOKS {
                if found.is_empty() {
                    break;
                }
                let mutations = plan.deletions(&found);
                let outcomes = self.write(namespace, mutations, false, plan.now, Projection::Attributes).await?;
                let (deleted, again) = plan.deleted(found, outcomes)?;
                count = count.saturating_add(deleted);
                found = again;
            }
        }
        Ok(Progress { count, cursor: plan.cursor() })
    }

    async fn children(
        &self,
        namespace: &str,
        prefix: Option<&str>,
        counts: bool,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ChildPage> {
        key::validate_namespace(namespace)?;
        let words = ["children", namespace, prefix.unwrap_or(""), if counts { "counts" } else { "" }];
        let walk = Walk { words: &words };
        let mut level = Level::new(prefix, counts, cursor.map(|cursor| (cursor, &walk)), limit)?;
        let now = self.clock.now();
        loop {
            match level.step() {
                Need::Keys(range, ask) => {
                    let (hint, want) = (Hint::default(), Projection::Key);
                    let page = self.storage.scan(namespace, range, hint, now, ask, want).await?;
                    level.read(page);
                }
                Need::Count(range) => {
                    level.counted(self.storage.count(namespace, range, now).await?);
                }
                Need::More => {
                    let cursor = Some(walk.cursor(&level.position()));
                    return Ok(ChildPage { children: level.children, cursor });
                }
                Need::End => return Ok(ChildPage { children: level.children, cursor: None }),
            }
        }
    }

    async fn cleanup_expired(&self, namespace: Option<&str>, limit: u32) -> Result<Cleaned> {
        if let Some(namespace) = namespace {
            key::validate_namespace(namespace)?;
        }
        check_limit(limit)?;
        let reclaimed = self.storage.reclaim(namespace, self.clock.now(), limit).await?;
        Ok(Cleaned { count: reclaimed.count, more: reclaimed.more })
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        key::validate_namespace(namespace)?;
        check_limit(limit)?;
        self.storage.clear(namespace, limit).await
    }

    async fn namespaces(&self, cursor: Option<&str>, limit: u32) -> Result<NamePage> {
        check_limit(limit)?;
        let after = cursor.map(|cursor| NAMESPACES.position(cursor)).transpose()?;
        let page = self.storage.namespaces(after.as_deref(), limit).await?;
        Ok(NamePage { names: page.names, cursor: page.next.map(|next| NAMESPACES.cursor(&next)) })
    }
}
