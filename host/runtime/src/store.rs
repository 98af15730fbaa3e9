//! The component as a [`Store`].

use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_core::{
    Capabilities, Clock, Error, Precondition, Projection, Result, State, Storage, Store, Value,
    store::{
        Action, Appended, ChangeResult, Check, ChildPage, Cleaned, Counted, DeleteResult, EntryPage, Expiry, Item,
        NamePage, Numeric, Progress, Query, SetOptions, SetResult, SwapResult, TransactionResult,
    },
};

use crate::{
    bindings::{dataknobs::kv::types as wit, exports::dataknobs::kv::store as exports},
    convert,
    deadline::Deadline,
    pool::{Lease, Link, Pool},
    queue::{KeyQueue, Place},
    tally::{Together, unanswered},
};

/// The component over one storage: a [`Store`]. Made by [`Runtime::store`](crate::Runtime::store), cheap to clone.
///
/// To be used within a tokio runtime that has timers. A call that is dropped leaves each change made whole or not at all.
#[derive(Clone)]
pub struct ComponentStore {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Arc<Pool>,
    link: Link,
    /// Calls that read, change and write one key.
    queue: Arc<KeyQueue>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.forget(self.link.owner);
    }
}

/// A call that may run.
struct Call<'a> {
    lease: Lease<'a>,
    deadline: Deadline,
    /// Left last: the next for this key comes when the instance is free again.
    _turn: Option<Place>,
}

macro_rules! run {
    ($call:expr, $method:ident($($argument:expr),* $(,)?)) => {{
        let Call { mut lease, mut deadline, _turn } = $call;
        let (kv, store) = lease.parts()?;
        let outcome = deadline.within(kv.dataknobs_kv_store().$method(store, $($argument),*)).await;
        lease.settle(outcome)
    }};
}

impl ComponentStore {
    pub(crate) fn new(pool: Arc<Pool>, storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) -> Self {
        let link = Link { owner: pool.new_owner(), storage, clock };
        ComponentStore { shared: Arc::new(Shared { pool, link, queue: Arc::new(KeyQueue::new()) }) }
    }

    /// Admits a call that carries so many bytes.
    async fn call(&self, bytes: usize) -> Result<Call<'_>> {
        let mut deadline = self.deadline(bytes)?;
        let lease = self.shared.pool.lease(&self.shared.link, &mut deadline).await?;
        Ok(Call { lease, deadline, _turn: None })
    }

    /// As `call`, when it is its turn at the key.
    async fn call_in_turn(&self, namespace: &str, key: &str, bytes: usize) -> Result<Call<'_>> {
        let mut deadline = self.deadline(bytes)?;
        let mut place = self.shared.queue.join(namespace, key);
        if !place.try_turn() {
            self.shared.pool.wait(&mut deadline, place.turn()).await?;
        }
        let lease = self.shared.pool.lease(&self.shared.link, &mut deadline).await?;
        Ok(Call { lease, deadline, _turn: Some(place) })
    }

    /// Adds a whole number, together with those that wait for the same.
    async fn count(&self, namespace: &str, key: &str, delta: i64) -> Result<Counted> {
        let mut deadline = self.deadline(namespace.len() + key.len())?;
        let mut place = self.shared.queue.join(namespace, key);
        if place.try_turn() {
            return self.count_alone(namespace, key, delta, deadline, &place).await;
        }
        let mut ticket = place.tally(|tally| tally.add(delta));
        let waited = self.shared.pool.wait(&mut deadline, async {
            tokio::select! {
                biased;
                answer = &mut ticket.answer => Some(answer),
                () = place.turn() => None,
            }
        });
        match waited.await {
            Ok(Some(answer)) => return answer.unwrap_or_else(|_| Err(unanswered())),
            Ok(None) => {}
            Err(error) => {
                let withdrawn = place.tally(|tally| tally.withdraw(&ticket));
                let mut answer = || ticket.answer.try_recv().unwrap_or_else(|_| Err(unanswered()));
                return if withdrawn { Err(error) } else { answer() };
            }
        }
        let together = place.tally(|tally| tally.take(&ticket));
        match together.waiting.len() {
            // Another took it along, and answers before anyone has the turn again.
            0 => {}
            1 => return self.count_alone(namespace, key, delta, deadline, &place).await,
            // It goes on where one of its callers goes away.
            _ => drop(tokio::spawn(self.clone().count_together(namespace.to_owned(), key.to_owned(), together, place))),
        }
        deadline.within(ticket.answer).await.ok().and_then(|answer| answer.ok()).unwrap_or_else(|| Err(unanswered()))
    }

    async fn count_alone(
        &self,
        namespace: &str,
        key: &str,
        delta: i64,
        mut deadline: Deadline,
        place: &Place,
    ) -> Result<Counted> {
        let lease = self.shared.pool.lease(&self.shared.link, &mut deadline).await?;
        let call = Call { lease, deadline, _turn: None };
        let (delta, expiry) = (Numeric::Integer(delta).into(), Expiry::Unspecified.into());
        let result = run!(call, call_increment(namespace, key, delta, expiry)).and_then(convert::counted);
        place.tally(|tally| tally.counted(&result));
        result
    }

    async fn count_together(self, namespace: String, key: String, together: Together, place: Place) {
        let deadline = || Deadline::after(self.shared.pool.config.call_time);
        match self.count_alone(&namespace, &key, together.sum, deadline(), &place).await {
            // Perhaps not for all of them.
            Err(Error::Overflow(_)) => {
                for waiting in together.waiting {
                    let result = self.count_alone(&namespace, &key, waiting.delta(), deadline(), &place).await;
                    waiting.tell(result);
                }
            }
            result => together.answer(result),
        }
    }

    fn deadline(&self, bytes: usize) -> Result<Deadline> {
        let config = &self.shared.pool.config;
        if bytes > config.request_bytes {
            return Err(Error::too_large("request", config.request_bytes as u64, bytes as u64));
        }
        Ok(Deadline::after(config.call_time))
    }
}

#[async_trait]
impl Store for ComponentStore {
    async fn capabilities(&self) -> Result<Capabilities> {
        let Call { mut lease, mut deadline, _turn } = self.call(0).await?;
        let (kv, store) = lease.parts()?;
        let outcome = deadline.within(kv.dataknobs_kv_store().call_capabilities(store)).await;
        lease.settle(outcome.map(|result| result.map(Ok))).map(Into::into)
    }

    async fn get(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        let call = self.call(namespace.len() + key.len()).await?;
        run!(call, call_get(namespace, key))?.map(convert::state).transpose()
    }

    async fn get_many(&self, namespace: &str, keys: &[String], with_value: bool) -> Result<Vec<Result<Option<State>>>> {
        let call = self.call(namespace.len() + sum(keys, String::len)).await?;
        let states = run!(call, call_get_many(namespace, keys, with_value))?;
        convert::each(states, |state| state.map(convert::state).transpose())
    }

    async fn describe(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        let call = self.call(namespace.len() + key.len()).await?;
        run!(call, call_describe(namespace, key))?.map(convert::state).transpose()
    }

    async fn set(&self, namespace: &str, item: Item) -> Result<SetResult> {
        let bytes = namespace.len() + item_bytes(&item);
        let call = match item.options.expiry {
            // What it keeps must be read first.
            Expiry::Keep => self.call_in_turn(namespace, &item.key, bytes).await?,
            _ => self.call(bytes).await?,
        };
        let item = exports::Item::from(item);
        convert::set_result(run!(call, call_set(namespace, &item))?)
    }

    async fn set_many(&self, namespace: &str, items: Vec<Item>) -> Result<Vec<Result<SetResult>>> {
        let call = self.call(namespace.len() + sum(&items, item_bytes)).await?;
        let items: Vec<exports::Item> = items.into_iter().map(Into::into).collect();
        convert::each(run!(call, call_set_many(namespace, &items))?, convert::set_result)
    }

    async fn delete(
        &self,
        namespace: &str,
        key: &str,
        precondition: Precondition,
        on_conflict: Projection,
    ) -> Result<DeleteResult> {
        let call = self.call(namespace.len() + key.len()).await?;
        let precondition = wit::Precondition::from(precondition);
        convert::delete_result(run!(call, call_delete(namespace, key, &precondition, on_conflict.into()))?)
    }

    async fn delete_many(&self, namespace: &str, keys: &[String]) -> Result<Vec<Result<DeleteResult>>> {
        let call = self.call(namespace.len() + sum(keys, String::len)).await?;
        convert::each(run!(call, call_delete_many(namespace, keys))?, convert::delete_result)
    }

    async fn transact(&self, namespace: &str, checks: Vec<Check>, actions: Vec<Action>) -> Result<TransactionResult> {
        let bytes = namespace.len() + sum(&checks, |check| check.key.len()) + sum(&actions, action_bytes);
        let call = self.call(bytes).await?;
        let checks: Vec<exports::Check> = checks.into_iter().map(Into::into).collect();
        let actions: Vec<exports::Action> = actions.into_iter().map(Into::into).collect();
        convert::transaction_result(run!(call, call_transact(namespace, &checks, &actions))?)
    }

    async fn compare_and_swap(
        &self,
        namespace: &str,
        key: &str,
        old: Option<Value>,
        new: Value,
        options: SetOptions,
    ) -> Result<SwapResult> {
        let values = old.as_ref().map_or(0, value_bytes) + value_bytes(&new);
        let bytes = namespace.len() + key.len() + values + options_bytes(&options);
        let call = self.call_in_turn(namespace, key, bytes).await?;
        let (old, new) = (old.map(exports::Value::from), exports::Value::from(new));
        let options = exports::SetOptions::from(options);
        let result = run!(call, call_compare_and_swap(namespace, key, old.as_ref(), &new, &options))?;
        convert::swap_result(result)
    }

    async fn increment(&self, namespace: &str, key: &str, delta: Numeric, expiry: Expiry) -> Result<Counted> {
        if let (Numeric::Integer(delta), Expiry::Unspecified) = (delta, expiry) {
            return self.count(namespace, key, delta).await;
        }
        let call = self.call_in_turn(namespace, key, namespace.len() + key.len()).await?;
        convert::counted(run!(call, call_increment(namespace, key, delta.into(), expiry.into()))?)
    }

    async fn append(&self, namespace: &str, key: &str, tail: Value, expiry: Expiry) -> Result<Appended> {
        let bytes = namespace.len() + key.len() + value_bytes(&tail);
        let call = self.call_in_turn(namespace, key, bytes).await?;
        let tail = exports::Value::from(tail);
        convert::appended(run!(call, call_append(namespace, key, &tail, expiry.into()))?)
    }

    async fn update_metadata(
        &self,
        namespace: &str,
        key: &str,
        patch: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        let call = self.call_in_turn(namespace, key, namespace.len() + key.len() + patch.len()).await?;
        let precondition = wit::Precondition::from(precondition);
        convert::change_result(run!(call, call_update_metadata(namespace, key, patch, &precondition))?)
    }

    async fn replace_metadata(
        &self,
        namespace: &str,
        key: &str,
        metadata: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        let call = self.call_in_turn(namespace, key, namespace.len() + key.len() + metadata.len()).await?;
        let precondition = wit::Precondition::from(precondition);
        convert::change_result(run!(call, call_replace_metadata(namespace, key, metadata, &precondition))?)
    }

    async fn set_expiry(
        &self,
        namespace: &str,
        key: &str,
        expiry: Expiry,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        let call = self.call_in_turn(namespace, key, namespace.len() + key.len()).await?;
        let precondition = wit::Precondition::from(precondition);
        convert::change_result(run!(call, call_set_expiry(namespace, key, expiry.into(), &precondition))?)
    }

    async fn list_entries(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
        want: Projection,
    ) -> Result<EntryPage> {
        let call = self.call(walk_bytes(namespace, query, cursor)).await?;
        let query = exports::Query::from(query);
        let page = run!(call, call_list_entries(namespace, &query, cursor, limit, want.into()))?;
        convert::entry_page(page)
    }

    async fn count(&self, namespace: &str, query: &Query, cursor: Option<&str>, limit: u32) -> Result<Progress> {
        let call = self.call(walk_bytes(namespace, query, cursor)).await?;
        let query = exports::Query::from(query);
        Ok(run!(call, call_count(namespace, &query, cursor, limit))?.into())
    }

    async fn delete_matching(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Progress> {
        let call = self.call(walk_bytes(namespace, query, cursor)).await?;
        let query = exports::Query::from(query);
        Ok(run!(call, call_delete_matching(namespace, &query, cursor, limit))?.into())
    }

    async fn children(
        &self,
        namespace: &str,
        prefix: Option<&str>,
        counts: bool,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ChildPage> {
        let bytes = namespace.len() + prefix.map_or(0, str::len) + cursor.map_or(0, str::len);
        let call = self.call(bytes).await?;
        Ok(run!(call, call_children(namespace, prefix, counts, cursor, limit))?.into())
    }

    async fn cleanup_expired(&self, namespace: Option<&str>, limit: u32) -> Result<Cleaned> {
        let call = self.call(namespace.map_or(0, str::len)).await?;
        Ok(run!(call, call_cleanup_expired(namespace, limit))?.into())
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let call = self.call(namespace.len()).await?;
        run!(call, call_clear(namespace, limit))
    }

    async fn namespaces(&self, cursor: Option<&str>, limit: u32) -> Result<NamePage> {
        let call = self.call(cursor.map_or(0, str::len)).await?;
        Ok(run!(call, call_namespaces(cursor, limit))?.into())
    }
}

/// What an item of a list costs in the instance besides its text.
const ITEM_BYTES: usize = 128;

fn sum<T>(items: &[T], bytes: impl Fn(&T) -> usize) -> usize {
    items.iter().map(|item| ITEM_BYTES + bytes(item)).sum()
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Custom { type_name, bytes } => type_name.len() + bytes.len(),
        Value::Integer(_) | Value::Number(_) | Value::Boolean(_) | Value::Null => 0,
    }
}

fn options_bytes(options: &SetOptions) -> usize {
    options.content_type.as_ref().map_or(0, String::len) + options.metadata.as_ref().map_or(0, String::len)
}

fn item_bytes(item: &Item) -> usize {
    item.key.len() + value_bytes(&item.value) + options_bytes(&item.options)
}

fn action_bytes(action: &Action) -> usize {
    match action {
        Action::Set(item) => item_bytes(item),
        Action::Delete(key) => key.len(),
    }
}

fn walk_bytes(namespace: &str, query: &Query, cursor: Option<&str>) -> usize {
    namespace.len() + query.pattern.len() + query.metadata.as_ref().map_or(0, String::len) + cursor.map_or(0, str::len)
}
