//! Rivals at the same time.

use crate::Harness;
use crate::harness::{Task, together};
use dataknobs_kv_core::store::{Item, SetOptions};
use dataknobs_kv_core::{MaybeSend, Precondition, Projection, Store, Value};
use std::sync::Arc;

mod many_keys;
mod one_key;

/// All of them.
pub(super) fn cases() -> impl Iterator<Item = &'static crate::Case> {
    [one_key::CASES, many_keys::CASES].into_iter().flatten()
}

pub(super) fn task<T, F>(future: F) -> Task<T>
where
    F: Future<Output = T> + MaybeSend + 'static,
{
    Box::pin(future)
}

/// So many tasks, each with its number.
pub(super) async fn rivals<T, F>(h: &Harness, count: usize, body: impl Fn(usize, Arc<dyn Store>, String) -> F) -> Vec<T>
where
    T: MaybeSend + 'static,
    F: Future<Output = T> + MaybeSend + 'static,
{
    together((0..count).map(|at| task(body(at, h.store.clone(), h.namespace.clone()))).collect()).await
}

pub(super) fn guarded(key: &str, value: impl Into<Value>, precondition: Precondition) -> Item {
    let options = SetOptions { precondition, on_conflict: Projection::Value, ..SetOptions::default() };
    Item { key: key.into(), value: value.into(), options }
}
