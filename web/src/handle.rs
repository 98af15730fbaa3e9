//! What `js/` calls: a store, with the namespace in every call.

use std::sync::Arc;

use dataknobs_kv_core::store::{
    Action, ChangeResult, Check, DeleteResult, Item, MAX_ITEMS, Query, SetResult, SwapResult, TransactionResult,
};
use dataknobs_kv_core::{Error, Precondition, Projection, Result, State, Store, Value, Version, key};
use futures::future::{LocalBoxFuture, join_all};
use js_sys::{Array, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::convert::{self, Encoded, Options, thrown};

/// A store of some kind.
#[wasm_bindgen]
pub struct Handle {
    pub(crate) store: Arc<dyn Store>,
    /// To be closed.
    #[cfg(feature = "database")]
    pub(crate) database: Option<Arc<crate::IndexedDbStorage>>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// A promise of what the future gives; errors are `KvError`s.
pub(crate) fn promise(future: impl Future<Output = Result<JsValue>> + 'static) -> Promise {
    // Of one type for all calls: what runs a future is larger than most of them.
    boxed(Box::pin(future))
}

fn boxed(future: LocalBoxFuture<'static, Result<JsValue>>) -> Promise {
    future_to_promise(async move { future.await.map_err(|error| thrown(&error)) })
}

/// The version, or what stands in the way.
fn written(key: &str, result: SetResult) -> Result<JsValue> {
    match result {
        SetResult::Written(version) => Ok(version.as_str().into()),
        SetResult::Conflict(state) => convert::in_the_way(key, state),
    }
}

/// Whether it was there, or what stands in the way.
fn deleted(key: &str, result: DeleteResult) -> Result<JsValue> {
    match result {
        DeleteResult::Deleted => Ok(JsValue::TRUE),
        DeleteResult::Absent => Ok(JsValue::FALSE),
        DeleteResult::Conflict(state) => convert::in_the_way(key, state),
    }
}

/// The version, undefined where there is no entry, or what stands in the way.
fn changed(key: &str, result: ChangeResult) -> Result<JsValue> {
    match result {
        ChangeResult::Written(version) => Ok(version.as_str().into()),
        ChangeResult::Absent => Ok(JsValue::UNDEFINED),
        ChangeResult::Conflict(state) => convert::in_the_way(key, state),
    }
}

/// Errors among results.
fn or_error(result: Result<JsValue>) -> JsValue {
    result.unwrap_or_else(|error| thrown(&error))
}

fn texts(array: &Array) -> Result<Vec<String>> {
    let text = |text: JsValue| text.as_string().ok_or_else(|| Error::InvalidArgument("a key is a string".into()));
    array.iter().map(text).collect()
}

fn cursor(cursor: Option<String>) -> JsValue {
    cursor.map_or(JsValue::UNDEFINED, JsValue::from)
}

fn options(given: JsValue) -> Option<Options> {
    (!given.is_undefined()).then(|| given.unchecked_into())
}

#[wasm_bindgen]
impl Handle {
    /// The value, or undefined.
    pub fn get(&self, namespace: String, key: String) -> Promise {
        let store = self.store.clone();
        promise(async move {
            store.get(&namespace, &key).await?.map_or(Ok(JsValue::UNDEFINED), |state| {
                let full = |error: Error| match error {
                    Error::Corrupt(what) => Error::Corrupt(format!("key {key:?}: {what}")),
                    error => error,
                };
                convert::value_of(state).map_err(full)
            })
        })
    }

    /// The entry, or undefined. Without the value no sliding expiry starts anew.
    pub fn entry(&self, namespace: String, key: String, with_value: bool) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let state = match with_value {
                true => store.get(&namespace, &key).await?,
                false => store.describe(&namespace, &key).await?,
            };
            state.map_or(Ok(JsValue::UNDEFINED), |state| convert::entry(&key, state))
        })
    }

    /// For each key its value, undefined, or an error.
    #[wasm_bindgen(js_name = getMany)]
    pub fn get_many(&self, namespace: String, keys: Array) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let keys = texts(&keys)?;
            // All parts at once: a storage that can gathers them.
            let parts = keys.chunks(MAX_ITEMS).map(|part| get_all(&*store, &namespace, part));
            let answer = Array::new();
            for part in join_all(parts).await {
                for result in part? {
                    let value = result.and_then(|state| state.map_or(Ok(JsValue::UNDEFINED), convert::value_of));
                    answer.push(&or_error(value));
                }
            }
            Ok(answer.into())
        })
    }

    /// The version, or what stands in the way.
    pub fn set(&self, namespace: String, key: String, value: &Encoded, given: JsValue) -> Promise {
        let store = self.store.clone();
        let item = convert::value(value)
            .and_then(|value| Ok(Item { key: key.clone(), value, options: Options::set(options(given).as_ref())? }));
        promise(async move { written(&key, store.set(&namespace, item?).await?) })
    }

    /// For each key its version, what stands in the way, or an error.
    #[wasm_bindgen(js_name = setMany)]
    pub fn set_many(&self, namespace: String, keys: Array, values: Array, given: JsValue) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let options = Options::set(options(given).as_ref())?;
            let mut items = Vec::with_capacity(keys.length() as usize);
            for (key, encoded) in texts(&keys)?.into_iter().zip(values.iter()) {
                let value = convert::value(encoded.unchecked_ref());
                items.push(Item { key, value: value?, options: options.clone() });
            }
            let keys: Vec<String> = items.iter().map(|item| item.key.clone()).collect();
            let mut parts = Vec::new();
            while !items.is_empty() {
                let rest = items.split_off(items.len().min(MAX_ITEMS));
                parts.push(store.set_many(&namespace, std::mem::replace(&mut items, rest)));
            }
            let answer = Array::new();
            let mut keys = keys.iter();
            for part in join_all(parts).await {
                for (result, key) in part?.into_iter().zip(keys.by_ref()) {
                    answer.push(&or_error(result.and_then(|result| written(key, result))));
                }
            }
            Ok(answer.into())
        })
    }

    /// Whether it was there, or what stands in the way.
    pub fn delete(&self, namespace: String, key: String, if_version: Option<String>) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let precondition = convert::version(if_version)?;
            deleted(&key, store.delete(&namespace, &key, precondition, Projection::Value).await?)
        })
    }

    /// For each key whether it was there, or an error.
    #[wasm_bindgen(js_name = deleteMany)]
    pub fn delete_many(&self, namespace: String, keys: Array) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let keys = texts(&keys)?;
            let parts = keys.chunks(MAX_ITEMS).map(|part| store.delete_many(&namespace, part));
            let answer = Array::new();
            for part in join_all(parts).await {
                for (result, key) in part?.into_iter().zip(&keys) {
                    answer.push(&or_error(result.and_then(|result| deleted(key, result))));
                }
            }
            Ok(answer.into())
        })
    }

    /// The version, or what is there instead. Without an old value the key must be absent.
    #[wasm_bindgen(js_name = compareAndSwap)]
    pub fn compare_and_swap(
        &self,
        namespace: String,
        key: String,
        old: JsValue,
        new: &Encoded,
        given: JsValue,
    ) -> Promise {
        let store = self.store.clone();
        let old = (!old.is_undefined()).then(|| convert::value(old.unchecked_ref())).transpose();
        let (new, options) = (convert::value(new), Options::set(options(given).as_ref()));
        promise(async move {
            match store.compare_and_swap(&namespace, &key, old?, new?, options?).await? {
                SwapResult::Swapped(version) => Ok(version.as_str().into()),
                SwapResult::Different(state) => convert::in_the_way(&key, state),
            }
        })
    }

    /// What the counter stands at.
    pub fn increment(&self, namespace: String, key: String, delta: &Encoded, given: JsValue) -> Promise {
        let store = self.store.clone();
        let (delta, expiry) = (convert::numeric(delta), Options::expiry_of(options(given).as_ref()));
        promise(async move {
            Ok(match Value::from(store.increment(&namespace, &key, delta?, expiry).await?.value) {
                Value::Integer(integer) => convert::from_integer(integer),
                Value::Number(number) => JsValue::from_f64(number),
                _ => JsValue::UNDEFINED,
            })
        })
    }

    /// How many bytes the value has now.
    pub fn append(&self, namespace: String, key: String, tail: &Encoded, given: JsValue) -> Promise {
        let store = self.store.clone();
        let (tail, expiry) = (convert::value(tail), Options::expiry_of(options(given).as_ref()));
        promise(async move { Ok((store.append(&namespace, &key, tail?, expiry).await?.size as f64).into()) })
    }

    /// The version, undefined where there is no entry, or what stands in the way.
    #[wasm_bindgen(js_name = setMetadata)]
    pub fn set_metadata(
        &self,
        namespace: String,
        key: String,
        metadata: String,
        replace: bool,
        if_version: Option<String>,
    ) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let precondition = convert::version(if_version)?;
            let result = match replace {
                true => store.replace_metadata(&namespace, &key, &metadata, precondition).await?,
                false => store.update_metadata(&namespace, &key, &metadata, precondition).await?,
            };
            changed(&key, result)
        })
    }

    /// As `setMetadata`.
    #[wasm_bindgen(js_name = setExpiry)]
    pub fn set_expiry(&self, namespace: String, key: String, given: JsValue) -> Promise {
        let store = self.store.clone();
        let given = options(given);
        let (expiry, precondition) = (Options::expiry_of(given.as_ref()), Options::precondition(given.as_ref()));
        promise(async move { changed(&key, store.set_expiry(&namespace, &key, expiry, precondition?).await?) })
    }

    /// A page: `[keys joined by line breaks, cursor]`.
    pub fn keys(
        &self,
        namespace: String,
        pattern: String,
        metadata: Option<String>,
        from: Option<String>,
        limit: u32,
    ) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let query = Query { pattern, metadata };
            let page = store.list_entries(&namespace, &query, from.as_deref(), limit, Projection::Key).await?;
            let keys: Vec<&str> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
            Ok(Array::of2(&keys.join("\n").into(), &cursor(page.cursor)).into())
        })
    }

    /// A page: `[entries, cursor]`.
    pub fn entries(
        &self,
        namespace: String,
        pattern: String,
        metadata: Option<String>,
        from: Option<String>,
        limit: u32,
        with_values: bool,
    ) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let query = Query { pattern, metadata };
            let want = if with_values { Projection::Value } else { Projection::Attributes };
            let page = store.list_entries(&namespace, &query, from.as_deref(), limit, want).await?;
            let entries = Array::new();
            for found in page.entries {
                if let Some(state) = found.state {
                    entries.push(&convert::entry(&found.key, state)?);
                }
            }
            Ok(Array::of2(&entries, &cursor(page.cursor)).into())
        })
    }

    /// A part: `[count, cursor]`.
    pub fn count(
        &self,
        namespace: String,
        pattern: String,
        metadata: Option<String>,
        from: Option<String>,
        limit: u32,
    ) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let query = Query { pattern, metadata };
            let progress = store.count(&namespace, &query, from.as_deref(), limit).await?;
            Ok(Array::of2(&(progress.count as f64).into(), &cursor(progress.cursor)).into())
        })
    }

    /// A part: `[count, cursor]`.
    #[wasm_bindgen(js_name = deletePattern)]
    pub fn delete_pattern(
        &self,
        namespace: String,
        pattern: String,
        metadata: Option<String>,
        from: Option<String>,
        limit: u32,
    ) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let query = Query { pattern, metadata };
            let progress = store.delete_matching(&namespace, &query, from.as_deref(), limit).await?;
            Ok(Array::of2(&(progress.count as f64).into(), &cursor(progress.cursor)).into())
        })
    }

    /// A page: `[children, cursor]`; a child is `[segment, key, is entry, entries below, whether there are any]`.
    pub fn children(
        &self,
        namespace: String,
        prefix: Option<String>,
        counts: bool,
        from: Option<String>,
        limit: u32,
    ) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let page = store.children(&namespace, prefix.as_deref(), counts, from.as_deref(), limit).await?;
            let children = Array::new();
            for child in page.children {
                let below = child.below.map_or(JsValue::UNDEFINED, |below| (below as f64).into());
                children.push(&Array::of5(
                    &child.segment.into(),
                    &child.key.into(),
                    &child.is_entry.into(),
                    &below,
                    &child.has_children.into(),
                ));
            }
            Ok(Array::of2(&children, &cursor(page.cursor)).into())
        })
    }

    /// `[count, whether more are left]`, of all namespaces where none is named.
    #[wasm_bindgen(js_name = cleanupExpired)]
    pub fn cleanup_expired(&self, namespace: Option<String>, limit: u32) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let cleaned = store.cleanup_expired(namespace.as_deref(), limit).await?;
            Ok(Array::of2(&cleaned.count.into(), &cleaned.more.into()).into())
        })
    }

    /// Whether more entries are left.
    pub fn clear(&self, namespace: String, limit: u32) -> Promise {
        let store = self.store.clone();
        promise(async move { Ok(store.clear(&namespace, limit).await?.into()) })
    }

    /// A page: `[names, cursor]`.
    pub fn namespaces(&self, from: Option<String>, limit: u32) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let page = store.namespaces(from.as_deref(), limit).await?;
            let names: Array = page.names.into_iter().map(JsValue::from).collect();
            Ok(Array::of2(&names, &cursor(page.cursor)).into())
        })
    }

    /// Checks are `[key, version or null for absent]`, actions `[key, value or undefined to delete, options]`. The versions,
    /// undefined for each delete; or `{ inChecks, index, current }` of what stood in the way.
    pub fn transact(&self, namespace: String, checks: Array, actions: Array) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let strange = || Error::InvalidArgument("a transaction of a strange form".into());
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
                        options: Options::set(options(action.get(2)).as_ref())?,
                    }),
                });
            }
            match store.transact(&namespace, all_checks, all_actions).await? {
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
                    let answer = Object::new();
                    for (name, value) in [
                        ("inChecks", JsValue::from(failure.in_checks)),
                        ("index", failure.index.into()),
                        ("key", key.into()),
                        ("current", current.get(0)),
                    ] {
                        // A plain object takes every field.
                        let _ = Reflect::set(&answer, &name.into(), &value);
                    }
                    Ok(answer.into())
                }
            }
        })
    }

    /// What the storage can do.
    pub fn capabilities(&self) -> Promise {
        let store = self.store.clone();
        promise(async move {
            let can = store.capabilities().await?;
            let answer = Object::new();
            for (name, value) in [
                ("durable", JsValue::from(can.durable)),
                ("shared", can.shared.into()),
                ("maxAtomic", can.max_atomic.into()),
                ("maxValueBytes", (can.max_value_bytes as f64).into()),
                ("maxMetadataBytes", (can.max_metadata_bytes as f64).into()),
                ("sliding", can.sliding.into()),
                ("cheapAmend", can.cheap_amend.into()),
                ("nativeExpiry", can.native_expiry.into()),
                ("indexedScan", can.indexed_scan.into()),
            ] {
                // A plain object takes every field.
                let _ = Reflect::set(&answer, &name.into(), &value);
            }
            Ok(answer.into())
        })
    }

    /// Lets go of the database.
    pub fn close(&self) {
        #[cfg(feature = "database")]
        if let Some(database) = &self.database {
            database.close();
        }
    }
}

/// All of them, asked for again where an answer holds fewer.
async fn get_all(store: &dyn Store, namespace: &str, keys: &[String]) -> Result<Vec<Result<Option<State>>>> {
    let mut states = Vec::with_capacity(keys.len());
    while let Some(rest) = keys.get(states.len()..).filter(|rest| !rest.is_empty()) {
        let part = store.get_many(namespace, rest, true).await?;
        if part.is_empty() {
            return Err(Error::Internal("the storage answered for no key".into()));
        }
        states.extend(part);
    }
    Ok(states)
}

/// A pattern, to be held against keys.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Matcher(dataknobs_kv_core::Pattern);

#[wasm_bindgen]
impl Matcher {
    /// # Errors
    /// `invalid-argument` where it is no pattern.
    #[wasm_bindgen(constructor)]
    pub fn new(pattern: &str) -> Result<Matcher, JsValue> {
        dataknobs_kv_core::Pattern::parse(pattern).map(Matcher).map_err(|error| thrown(&error))
    }

    /// Whether the key matches.
    pub fn matches(&self, key: &str) -> bool {
        self.0.matches(key)
    }
}

/// A key of these segments' texts.
///
/// # Errors
/// `invalid-argument` where they cannot make a key.
#[wasm_bindgen(js_name = joinKey)]
pub fn join_key(segments: Array) -> Result<String, JsValue> {
    let segments = texts(&segments).map_err(|error| thrown(&error))?;
    key::join(segments.iter().map(String::as_str)).map_err(|error| thrown(&error))
}

/// The texts of a key's segments.
///
/// # Errors
/// `invalid-argument` where it is no key.
#[wasm_bindgen(js_name = splitKey)]
pub fn split_key(key: &str) -> Result<Array, JsValue> {
    let segments = key::split(key).map_err(|error| thrown(&error))?;
    Ok(segments.into_iter().map(JsValue::from).collect())
}
