//! Calls about many entries at once: batches, which are cut into parts, and transactions.

use std::pin::Pin;
use std::task::{Context, Poll};

use dataknobs_kv_core::store::{Action, Check, Item, MAX_ITEMS, TransactionResult};
use dataknobs_kv_core::{Error, Precondition, Result, State, Store, Version};
use js_sys::Array;
use wasm_bindgen::prelude::*;

use crate::convert;
use crate::handle::{deleted, op, options_of, or_error, record, strange, written};

/// In parts, all at once: a storage that can gathers them.
pub(crate) async fn many(
    store: &dyn Store,
    op: u8,
    namespace: &str,
    keys: Vec<String>,
    values: JsValue,
    given: JsValue,
) -> Result<JsValue> {
    let options = options_of(given)?;
    let mut items = Vec::new();
    if op == op::SET_MANY {
        for (key, encoded) in keys.iter().zip(Array::from(&values).iter()) {
            let value = convert::value(encoded.unchecked_ref())?;
            items.push(Item { key: key.clone(), value, options: options.clone() });
        }
    }
    let mut items = items.into_iter();
    let parts = keys.chunks(MAX_ITEMS).map(|keys| {
        let items: Vec<Item> = items.by_ref().take(keys.len()).collect();
        Part { running: Box::pin(part(store, op, namespace, keys, items)), done: None }
    });
    let answer = Array::new();
    for part in (Together { parts: parts.collect() }).await {
        for result in part.unwrap_or_else(|| Err(strange()))? {
            answer.push(&result);
        }
    }
    Ok(answer.into())
}

type PartResult = Result<Vec<JsValue>>;

/// One part, and what came of it.
struct Part<'a> {
    running: Pin<Box<dyn Future<Output = PartResult> + 'a>>,
    done: Option<PartResult>,
}

/// Parts that run together. They are few.
struct Together<'a> {
    parts: Vec<Part<'a>>,
}

impl Future for Together<'_> {
    type Output = Vec<Option<PartResult>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = false;
        for part in self.parts.iter_mut().filter(|part| part.done.is_none()) {
            match part.running.as_mut().poll(context) {
                Poll::Ready(result) => part.done = Some(result),
                Poll::Pending => waiting = true,
            }
        }
        match waiting {
            true => Poll::Pending,
            false => Poll::Ready(self.parts.iter_mut().map(|part| part.done.take()).collect()),
        }
    }
}

async fn part(store: &dyn Store, op: u8, namespace: &str, keys: &[String], items: Vec<Item>) -> PartResult {
    let mut results = Vec::with_capacity(keys.len());
    match op {
        op::GET_MANY | op::GET_ENTRIES => {
            // Asked for again where an answer holds fewer.
            while let Some(rest) = keys.get(results.len()..).filter(|rest| !rest.is_empty()) {
                let found = store.get_many(namespace, rest, true).await?;
                if found.is_empty() {
                    return Err(Error::Internal("the storage answered for no key".into()));
                }
                let made = |(key, found): (&String, Result<Option<State>>)| match found? {
                    None => Ok(JsValue::UNDEFINED),
                    Some(state) if op == op::GET_MANY => convert::value_of(state),
                    Some(state) => convert::entry(key, state),
                };
                results.extend(rest.iter().zip(found).map(|found| or_error(made(found))));
            }
        }
        op::SET_MANY => {
            let outcomes = keys.iter().zip(store.set_many(namespace, items).await?);
            results.extend(outcomes.map(|(key, outcome)| or_error(outcome.and_then(|outcome| written(key, outcome)))));
        }
        _ => {
            let outcomes = keys.iter().zip(store.delete_many(namespace, keys).await?);
            results.extend(outcomes.map(|(key, outcome)| or_error(outcome.and_then(|outcome| deleted(key, outcome)))));
        }
    }
    Ok(results)
}

/// Checks are `[key, version or null for absent]`, actions `[key, value or undefined to delete, options]`. The versions,
/// undefined for each delete; or `{ inChecks, index, current }` of what stood in the way.
pub(crate) async fn transact(store: &dyn Store, namespace: &str, checks: Array, actions: Array) -> Result<JsValue> {
    let mut keys = (Vec::new(), Vec::new());
    let (mut all_checks, mut all_actions) = (Vec::new(), Vec::new());
    for check in checks.iter() {
        let check: Array = check.unchecked_into();
        let key = check.get(0).as_string().ok_or_else(strange)?;
        let precondition = match check.get(1).as_string() {
            Some(version) => Precondition::Version(Version::new(version)?),
            None => Precondition::Absent,
        };
        keys.0.push(key.clone());
        all_checks.push(Check { key, precondition });
    }
    for action in actions.iter() {
        let action: Array = action.unchecked_into();
        let key = action.get(0).as_string().ok_or_else(strange)?;
        keys.1.push(key.clone());
        let encoded = action.get(1);
        all_actions.push(match encoded.is_undefined() {
            true => Action::Delete(key),
            false => Action::Set(Item {
                key,
                value: convert::value(encoded.unchecked_ref())?,
                options: options_of(action.get(2))?,
            }),
        });
    }
    match store.transact(namespace, all_checks, all_actions).await? {
        TransactionResult::Committed(versions) => {
            let version = |version: Option<Version>| match version {
                Some(version) => version.as_str().into(),
                None => JsValue::UNDEFINED,
            };
            Ok(versions.into_iter().map(version).collect::<Array>().into())
        }
        TransactionResult::Failed(failure) => {
            let keys = if failure.in_checks { &keys.0 } else { &keys.1 };
            let key = keys.get(failure.index as usize).map_or("", String::as_str);
            let current: Array = convert::in_the_way(key, failure.current)?.unchecked_into();
            Ok(record([
                ("inChecks", JsValue::from(failure.in_checks)),
                ("index", failure.index.into()),
                ("key", key.into()),
                ("current", current.get(0)),
            ]))
        }
    }
}
