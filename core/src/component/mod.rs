//! The core as a WebAssembly component: `wit/world.wit`. Only this module knows WIT.
//!
//! Imports are plain calls here (a host that waits does so on its own side), so every future of the core is ready at its
//! first poll and no executor is needed.

mod bindings;
mod convert;

use std::{
    future::Future,
    pin::pin,
    sync::OnceLock,
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use bindings::{
    dataknobs::kv::{storage as imports, types as wit},
    exports::dataknobs::kv::store as exports,
    wasi::clocks::wall_clock,
};

use crate::{
    Capabilities, Clock, Core, Error, Precondition, Projection, Result, State, Storage, Store, Timestamp, Value,
    storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed},
    store::{Action, Check, Item, SetOptions},
};

thread_local! {
    /// One for the life of the instance: what it has compiled and learnt is kept from call to call.
    static CORE: Core<Imported, WallClock> = Core::new(Imported::default(), WallClock);
}

/// The storage that the host links.
#[derive(Default)]
struct Imported {
    capabilities: OnceLock<Capabilities>,
    default_ttls: OnceLock<Vec<(String, u64)>>,
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Storage for Imported {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.get_or_init(|| imports::capabilities().into()).clone()
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        self.default_ttls.get_or_init(imports::default_ttls).clone()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        Ok(imports::get(namespace, key, now, with_value)?.map(Into::into))
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let states = imports::get_many(namespace, keys, now, with_value)?;
        Ok(states.into_iter().map(|state| Ok(state?.map(Into::into))).collect())
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let mutations: Vec<imports::Mutation> = mutations.into_iter().map(Into::into).collect();
        let outcomes = imports::write(namespace, &mutations, atomic, now, on_conflict.into())?;
        Ok(outcomes.into_iter().map(|outcome| Ok(outcome?.into())).collect())
    }

    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        Ok(imports::scan(namespace, &range.into(), &hint.into(), now, limit, want.into())?.into())
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        Ok(imports::count(namespace, &range.into(), now)?)
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        Ok(imports::reclaim(namespace, now, limit)?.into())
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        Ok(imports::clear(namespace, limit)?)
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        Ok(imports::namespaces(after, limit)?.into())
    }

    async fn backoff(&self, namespace: &str, key: &str, attempt: u32) {
        imports::backoff(namespace, key, attempt);
    }
}

/// The clock that the host links.
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let now = wall_clock::now();
        now.seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds / 1_000_000))
    }
}

/// Runs one call to its end.
fn run<T, W>(
    call: impl AsyncFnOnce(&Core<Imported, WallClock>) -> Result<T>,
    answer: impl FnOnce(T) -> W,
) -> Result<W, wit::Error> {
    CORE.with(|core| poll_once(call(core))).map(answer).map_err(Into::into)
}

fn poll_once<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::Internal("the core waited where it cannot".into())),
    }
}

/// The results of a batch: each stands for itself.
fn each<T, W: From<T>>(results: Vec<Result<T>>) -> Vec<Result<W, wit::Error>> {
    results.into_iter().map(|result| result.map(Into::into).map_err(Into::into)).collect()
}

struct Component;

impl exports::Guest for Component {
    fn capabilities() -> wit::CapabilitySet {
        CORE.with(|core| poll_once(core.capabilities())).map_or_else(|_| imports::capabilities(), Into::into)
    }

    fn get(namespace: String, key: String) -> Result<Option<wit::State>, wit::Error> {
        run(async |core| core.get(&namespace, &key).await, |state| state.map(Into::into))
    }

    fn get_many(
        namespace: String,
        keys: Vec<String>,
        with_value: bool,
    ) -> Result<Vec<Result<Option<wit::State>, wit::Error>>, wit::Error> {
        run(
            async |core| core.get_many(&namespace, &keys, with_value).await,
            |states| {
                let state = |state: Result<Option<State>>| Ok(state?.map(Into::into));
                states.into_iter().map(state).collect()
            },
        )
    }

    fn describe(namespace: String, key: String) -> Result<Option<wit::State>, wit::Error> {
        run(async |core| core.describe(&namespace, &key).await, |state| state.map(Into::into))
    }

    fn set(namespace: String, item: exports::Item) -> Result<exports::SetResult, wit::Error> {
        run(async |core| core.set(&namespace, item.try_into()?).await, Into::into)
    }

    fn set_many(
        namespace: String,
        items: Vec<exports::Item>,
    ) -> Result<Vec<Result<exports::SetResult, wit::Error>>, wit::Error> {
        run(async |core| set_many(core, &namespace, items).await, each)
    }

    fn delete(
        namespace: String,
        key: String,
        precondition: wit::Precondition,
        on_conflict: wit::Projection,
    ) -> Result<exports::DeleteResult, wit::Error> {
        run(async |core| core.delete(&namespace, &key, precondition.try_into()?, on_conflict.into()).await, Into::into)
    }

    fn delete_many(
        namespace: String,
        keys: Vec<String>,
    ) -> Result<Vec<Result<exports::DeleteResult, wit::Error>>, wit::Error> {
        run(async |core| core.delete_many(&namespace, &keys).await, each)
    }

    fn transact(
        namespace: String,
        checks: Vec<exports::Check>,
        actions: Vec<exports::Action>,
    ) -> Result<exports::TransactionResult, wit::Error> {
        run(
            async |core| {
                let checks = checks.into_iter().map(Check::try_from).collect::<Result<_>>()?;
                let actions = actions.into_iter().map(Action::try_from).collect::<Result<_>>()?;
                core.transact(&namespace, checks, actions).await
            },
            Into::into,
        )
    }

    fn compare_and_swap(
        namespace: String,
        key: String,
        old: Option<exports::Value>,
        new: exports::Value,
        options: exports::SetOptions,
    ) -> Result<exports::SwapResult, wit::Error> {
        run(
            async |core| {
                let old = old.map(Value::try_from).transpose()?;
                core.compare_and_swap(&namespace, &key, old, new.try_into()?, SetOptions::try_from(options)?).await
            },
            Into::into,
        )
    }

    fn increment(
        namespace: String,
        key: String,
        delta: exports::Numeric,
        expiry: exports::Expiry,
    ) -> Result<exports::Counted, wit::Error> {
        run(async |core| core.increment(&namespace, &key, delta.into(), expiry.into()).await, Into::into)
    }

    fn append(
        namespace: String,
        key: String,
        tail: exports::Value,
        expiry: exports::Expiry,
    ) -> Result<exports::Appended, wit::Error> {
        run(async |core| core.append(&namespace, &key, tail.try_into()?, expiry.into()).await, Into::into)
    }

    fn update_metadata(
        namespace: String,
        key: String,
        patch: String,
        precondition: wit::Precondition,
    ) -> Result<exports::ChangeResult, wit::Error> {
        run(async |core| core.update_metadata(&namespace, &key, &patch, precondition.try_into()?).await, Into::into)
    }

    fn replace_metadata(
        namespace: String,
        key: String,
        metadata: String,
        precondition: wit::Precondition,
    ) -> Result<exports::ChangeResult, wit::Error> {
        run(async |core| core.replace_metadata(&namespace, &key, &metadata, precondition.try_into()?).await, Into::into)
    }

    fn set_expiry(
        namespace: String,
        key: String,
        expiry: exports::Expiry,
        precondition: wit::Precondition,
    ) -> Result<exports::ChangeResult, wit::Error> {
        run(
            async |core| {
                let precondition = Precondition::try_from(precondition)?;
                core.set_expiry(&namespace, &key, expiry.into(), precondition).await
            },
            Into::into,
        )
    }

    fn list_entries(
        namespace: String,
        query: exports::Query,
        cursor: Option<String>,
        limit: u32,
        want: wit::Projection,
    ) -> Result<exports::EntryPage, wit::Error> {
        run(
            async |core| core.list_entries(&namespace, &query.into(), cursor.as_deref(), limit, want.into()).await,
            Into::into,
        )
    }

    fn count(
        namespace: String,
        query: exports::Query,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<exports::Progress, wit::Error> {
        run(async |core| core.count(&namespace, &query.into(), cursor.as_deref(), limit).await, Into::into)
    }

    fn delete_matching(
        namespace: String,
        query: exports::Query,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<exports::Progress, wit::Error> {
        run(async |core| core.delete_matching(&namespace, &query.into(), cursor.as_deref(), limit).await, Into::into)
    }

    fn children(
        namespace: String,
        prefix: Option<String>,
        counts: bool,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<exports::ChildPage, wit::Error> {
        run(
            async |core| core.children(&namespace, prefix.as_deref(), counts, cursor.as_deref(), limit).await,
            Into::into,
        )
    }

    fn cleanup_expired(namespace: Option<String>, limit: u32) -> Result<exports::Cleaned, wit::Error> {
        run(async |core| core.cleanup_expired(namespace.as_deref(), limit).await, Into::into)
    }

    fn clear(namespace: String, limit: u32) -> Result<bool, wit::Error> {
        run(async |core| core.clear(&namespace, limit).await, |more| more)
    }

    fn namespaces(cursor: Option<String>, limit: u32) -> Result<exports::NamePage, wit::Error> {
        run(async |core| core.namespaces(cursor.as_deref(), limit).await, Into::into)
    }
}

/// An item whose value or precondition breaks a rule fails alone, in its place. Its key still takes part in the rules for
/// the whole batch, so a value that the core refuses stands in for it.
async fn set_many(
    core: &Core<Imported, WallClock>,
    namespace: &str,
    items: Vec<exports::Item>,
) -> Result<Vec<Result<crate::store::SetResult>>> {
    let mut refused = Vec::new();
    let items = items.into_iter().enumerate().map(|(index, item)| {
        let key = item.key.clone();
        Item::try_from(item).unwrap_or_else(|error| {
            refused.push((index, error));
            Item { key, value: Value::Number(f64::NAN), options: SetOptions::default() }
        })
    });
    let items = items.collect();
    let mut results = core.set_many(namespace, items).await?;
    for (index, error) in refused {
        if let Some(result) = results.get_mut(index) {
            *result = Err(error);
        }
    }
    Ok(results)
}
