//! Calls about many entries at once: batches and transactions.

use dataknobs_kv_core::store::{Action, Check, Item, TransactionResult};
use dataknobs_kv_core::{Precondition, Result, Store, Version};
use wasm_bindgen::prelude::*;

use crate::convert::{self, thrown};
use crate::handle::{deleted, op, options_of, strange, written};
use crate::js::Array;

/// For the first keys a result each, or an error: for fewer than all where values are large.
pub(crate) async fn many(
    store: &dyn Store,
    op: u8,
    namespace: &str,
    keys: &[String],
    values: &Array,
    given: &JsValue,
) -> Result<JsValue> {
    let results = Array::new();
    let push = |result: Result<JsValue>| {
        results.push(&result.unwrap_or_else(|error| thrown(&error)));
    };
    match op {
        op::SET_MANY => {
            let options = options_of(given)?;
            let mut items = Vec::with_capacity(keys.len());
            for (key, encoded) in keys.iter().zip(values.iter()) {
                let value = convert::value(encoded.unchecked_ref())?;
                items.push(Item { key: key.clone(), value, options: options.clone() });
            }
            for (key, outcome) in keys.iter().zip(store.set_many(namespace, items).await?) {
                push(outcome.and_then(|outcome| written(key, outcome)));
            }
        }
        op::DELETE_MANY => {
            for (key, outcome) in keys.iter().zip(store.delete_many(namespace, keys).await?) {
                push(outcome.and_then(|outcome| deleted(key, outcome)));
            }
        }
        _ => {
            for (key, found) in keys.iter().zip(store.get_many(namespace, keys, true).await?) {
                push(found.and_then(|found| match found {
                    None => Ok(JsValue::UNDEFINED),
                    Some(state) if op == op::GET_MANY => convert::pair(None, state),
                    Some(state) => convert::entry(key, state),
                }));
            }
        }
    }
    Ok(results.into())
}

/// Checks are `[key, version or null for absent]`, actions `[key, value or undefined to delete, options]`. The versions,
/// undefined for each delete; or
/// `[key, entry or undefined]`, in an array of its own, of what stood in the way.
pub(crate) async fn transact(store: &dyn Store, namespace: &str, checks: &Array, actions: &Array) -> Result<JsValue> {
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
                options: options_of(&action.get(2))?,
            }),
        });
    }
    match store.transact(namespace, all_checks, all_actions).await? {
        TransactionResult::Committed(versions) => {
            let all = Array::new();
            for version in versions {
                all.push(&version.map_or(JsValue::UNDEFINED, |version| version.as_str().into()));
            }
            Ok(all.into())
        }
        TransactionResult::Failed(failure) => {
            let keys = if failure.in_checks { &keys.0 } else { &keys.1 };
            let key = keys.get(failure.index as usize).map_or("", String::as_str);
            let there = failure.current.map_or(Ok(JsValue::UNDEFINED), |state| convert::entry(key, state))?;
            Ok(Array::of(&[&Array::of(&[&key.into(), &there])]).into())
        }
    }
}
