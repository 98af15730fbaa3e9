//! What `js/` calls: a store, with the namespace in every call.

use std::sync::Arc;

use dataknobs_kv_core::store::{ChangeResult, Child, DeleteResult, Item, Query, SetOptions, SetResult, SwapResult};
use dataknobs_kv_core::{Capabilities, Entry, Error, Projection, Result, Store, Value, key, text};
use wasm_bindgen::prelude::*;

use crate::convert::{self, Options, thrown};
use crate::js::Array;
use crate::many::{many, transact};

/// A store of some kind.
#[wasm_bindgen]
pub struct Handle {
    pub(crate) store: Arc<dyn Store>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// What the future gives, or a promise of it; errors are `KvError`s. It runs at once, as far as it can.
fn begun(future: impl Future<Output = Result<JsValue>> + 'static) -> JsValue {
    #[cfg(feature = "database")]
    return crate::task::start(Box::pin(future));
    #[cfg(not(feature = "database"))]
    return wasm_bindgen_futures::future_to_promise(async { future.await.map_err(|error| thrown(&error)) }).into();
}

/// The rules over what the adapter keeps.
#[cfg(feature = "database")]
#[wasm_bindgen(js_name = openOver)]
pub fn open_over(adapter: crate::Adapter) -> Handle {
    let storage = crate::BrowserStorage::new(adapter);
    Handle { store: Arc::new(dataknobs_kv_core::Core::new(storage, crate::BrowserClock)) }
}

/// The version, or what stands in the way.
pub(crate) fn written(key: &str, result: SetResult) -> Result<JsValue> {
    match result {
        SetResult::Written(version) => Ok(version.as_str().into()),
        SetResult::Conflict(state) => convert::in_the_way(key, state),
    }
}

/// Whether it was there, or what stands in the way.
pub(crate) fn deleted(key: &str, result: DeleteResult) -> Result<JsValue> {
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

fn texts(array: &JsValue) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for text in array.unchecked_ref::<Array>().iter() {
        texts.push(text.as_string().ok_or_else(|| Error::InvalidArgument("a key is a string".into()))?);
    }
    Ok(texts)
}

/// `[what was found, where to go on]`
fn page_of(found: JsValue, cursor: Option<String>) -> JsValue {
    Array::of(&[&found, &cursor.map_or(JsValue::UNDEFINED, JsValue::from)]).into()
}

fn options(given: &JsValue) -> Option<&Options> {
    (!given.is_undefined()).then(|| given.unchecked_ref())
}

pub(crate) fn options_of(given: &JsValue) -> Result<SetOptions> {
    Options::set(options(given))
}

/// What is called, as `handle.ts` numbers it.
pub(crate) mod op {
    pub(crate) const GET: u8 = 0;
    pub(crate) const ENTRY: u8 = 1;
    pub(crate) const GET_MANY: u8 = 2;
    pub(crate) const SET: u8 = 3;
    pub(crate) const SET_MANY: u8 = 4;
    pub(crate) const DELETE: u8 = 5;
    pub(crate) const DELETE_MANY: u8 = 6;
    pub(crate) const COMPARE_AND_SWAP: u8 = 7;
    pub(crate) const INCREMENT: u8 = 8;
    pub(crate) const APPEND: u8 = 9;
    pub(crate) const SET_METADATA: u8 = 10;
    pub(crate) const SET_EXPIRY: u8 = 11;
    pub(crate) const KEYS: u8 = 12;
    pub(crate) const ENTRIES: u8 = 13;
    pub(crate) const COUNT: u8 = 14;
    pub(crate) const DELETE_PATTERN: u8 = 15;
    pub(crate) const CHILDREN: u8 = 16;
    pub(crate) const CLEANUP_EXPIRED: u8 = 17;
    pub(crate) const CLEAR: u8 = 18;
    pub(crate) const NAMESPACES: u8 = 19;
    pub(crate) const TRANSACT: u8 = 20;
    pub(crate) const CAPABILITIES: u8 = 21;
    pub(crate) const GET_ENTRIES: u8 = 22;
}

/// One call: `handle.ts` says what each of its arguments means to which. One form for all, since each function that
/// JavaScript sees, and each future of a type of its own, is half a kilobyte.
struct Call {
    op: u8,
    namespace: Option<String>,
    /// A key, a prefix or a pattern.
    text: Option<String>,
    /// Metadata, or a version.
    more: Option<String>,
    /// A version, or where a listing goes on.
    from: Option<String>,
    x: JsValue,
    y: JsValue,
    z: JsValue,
    number: u32,
}

#[wasm_bindgen]
impl Handle {
    /// What the call comes to, or a promise of it; errors are `KvError`s. What JavaScript gave is read before this returns.
    #[allow(clippy::too_many_arguments)]
    pub fn call(
        &self,
        op: u8,
        namespace: Option<String>,
        text: Option<String>,
        more: Option<String>,
        from: Option<String>,
        x: JsValue,
        y: JsValue,
        z: JsValue,
        number: u32,
    ) -> JsValue {
        begun(run(self.store.clone(), Call { op, namespace, text, more, from, x, y, z, number }))
    }
}

/// What is called is only looked at, never taken apart: then there is one thing to let go of, wherever the call ends.
async fn run(store: Arc<dyn Store>, call: Call) -> Result<JsValue> {
    let Call { op, namespace: named, text, more, from, x, y, z, number } = &call;
    let (named, from, more) = (named.as_deref(), from.as_deref(), more.as_deref());
    let (op, number) = (*op, *number);
    let namespace = named.unwrap_or_default();
    let key = text.as_deref().unwrap_or_default();
    match op {
        op::GET => match store.get(namespace, key).await? {
            None => Ok(JsValue::UNDEFINED),
            Some(state) => convert::pair(None, state).map_err(|error| of_key(key, error)),
        },
        op::ENTRY => {
            // Without the value no sliding expiry starts anew.
            let reading = if number == 1 { store.get(namespace, key) } else { store.describe(namespace, key) };
            reading.await?.map_or(Ok(JsValue::UNDEFINED), |state| convert::entry(key, state))
        }
        op::SET => {
            let item = Item { key: key.to_owned(), value: convert::value(x.unchecked_ref())?, options: options_of(z)? };
            written(key, store.set(namespace, item).await?)
        }
        op::DELETE => deleted(key, store.delete(namespace, key, convert::version(more)?, Projection::Value).await?),
        // For each key a result, or an error.
        op::GET_MANY | op::GET_ENTRIES | op::SET_MANY | op::DELETE_MANY => {
            many(&*store, op, namespace, &texts(x)?, y.unchecked_ref(), z).await
        }
        op::COMPARE_AND_SWAP => {
            // Without an old value the key must be absent.
            let old = (!x.is_undefined()).then(|| convert::value(x.unchecked_ref())).transpose()?;
            let new = convert::value(y.unchecked_ref())?;
            match store.compare_and_swap(namespace, key, old, new, options_of(z)?).await? {
                SwapResult::Swapped(version) => Ok(version.as_str().into()),
                SwapResult::Different(state) => convert::in_the_way(key, state),
            }
        }
        op::INCREMENT => {
            let (delta, expiry) = (convert::numeric(x.unchecked_ref())?, Options::expiry_of(options(z)));
            Ok(match Value::from(store.increment(namespace, key, delta, expiry).await?.value) {
                Value::Integer(integer) => convert::from_integer(integer),
                Value::Number(number) => JsValue::from_f64(number),
                _ => JsValue::UNDEFINED,
            })
        }
        op::APPEND => {
            let (tail, expiry) = (convert::value(x.unchecked_ref())?, Options::expiry_of(options(z)));
            Ok((store.append(namespace, key, tail, expiry).await?.size as f64).into())
        }
        op::SET_METADATA | op::SET_EXPIRY => {
            let metadata = more.unwrap_or_default();
            let changing = match (op, number) {
                (op::SET_EXPIRY, _) => {
                    let precondition = Options::precondition(options(z))?;
                    store.set_expiry(namespace, key, Options::expiry_of(options(z)), precondition)
                }
                (_, 1) => store.replace_metadata(namespace, key, metadata, convert::version(from)?),
                _ => store.update_metadata(namespace, key, metadata, convert::version(from)?),
            };
            changed(key, changing.await?)
        }
        op::KEYS | op::ENTRIES => {
            let want = match op {
                op::KEYS => Projection::Key,
                _ if x.is_truthy() => Projection::Value,
                _ => Projection::Attributes,
            };
            let query = query(key, more);
            let page = store.list_entries(namespace, &query, from, number, want).await?;
            Ok(page_of(listed(page.entries, want, y.is_truthy())?, page.cursor))
        }
        op::COUNT | op::DELETE_PATTERN => {
            let query = query(key, more);
            let progress = match op {
                op::COUNT => store.count(namespace, &query, from, number),
                _ => store.delete_matching(namespace, &query, from, number),
            };
            let progress = progress.await?;
            Ok(page_of((progress.count as f64).into(), progress.cursor))
        }
        op::CHILDREN => {
            let page = store.children(namespace, text.as_deref(), x.is_truthy(), from, number).await?;
            Ok(page_of(children_of(page.children), page.cursor))
        }
        op::CLEANUP_EXPIRED => {
            let cleaned = store.cleanup_expired(named, number).await?;
            Ok(Array::of(&[&cleaned.count.into(), &cleaned.more.into()]).into())
        }
        op::CLEAR => Ok(store.clear(namespace, number).await?.into()),
        op::NAMESPACES => {
            let page = store.namespaces(from, number).await?;
            Ok(page_of(text::joined(&page.names, '\n').into(), page.cursor))
        }
        op::TRANSACT => transact(&*store, namespace, x.unchecked_ref(), y.unchecked_ref()).await,
        op::CAPABILITIES => Ok(capabilities_of(&store.capabilities().await?)),
        _ => Err(strange()),
    }
}

fn query(pattern: &str, metadata: Option<&str>) -> Query {
    Query { pattern: pattern.to_owned(), metadata: metadata.map(str::to_owned) }
}

/// Keys joined by line breaks, or an array of entries; with `brief` of each but what its value is made of.
fn listed(found: Vec<Entry>, want: Projection, brief: bool) -> Result<JsValue> {
    if want == Projection::Key {
        let mut text = String::new();
        for entry in &found {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&entry.key);
        }
        return Ok(text.into());
    }
    let entries = Array::new();
    for entry in found {
        if let Some(state) = entry.state {
            entries.push(&match brief {
                true => convert::pair(Some(&entry.key), state)?,
                false => convert::entry(&entry.key, state)?,
            });
        }
    }
    Ok(entries.into())
}

fn children_of(found: Vec<Child>) -> JsValue {
    let children = Array::new();
    for child in found {
        let below = child.below.map_or(JsValue::UNDEFINED, |below| (below as f64).into());
        let (segment, key) = (child.segment.into(), child.key.into());
        children.push(&Array::of(&[&segment, &key, &child.is_entry.into(), &below, &child.has_children.into()]));
    }
    children.into()
}

/// Numbers, in an order that `handle.ts` knows.
fn capabilities_of(can: &Capabilities) -> JsValue {
    let yes = |yes: bool| f64::from(u8::from(yes));
    let numbers = [
        yes(can.durable),
        yes(can.shared),
        f64::from(can.max_atomic),
        can.max_value_bytes as f64,
        can.max_metadata_bytes as f64,
        yes(can.sliding),
        yes(can.cheap_amend),
        yes(can.native_expiry),
        yes(can.indexed_scan),
    ];
    let all = Array::new();
    for number in numbers {
        all.push(&number.into());
    }
    all.into()
}

pub(crate) fn strange() -> Error {
    Error::InvalidArgument("a call of a strange form".into())
}

fn of_key(key: &str, error: Error) -> Error {
    match error {
        Error::Corrupt(what) => Error::Corrupt(key::about(key, &[&what])),
        error => error,
    }
}

/// For each of the keys, which are joined by line breaks, `1` where it matches and `0` where not.
///
/// # Errors
/// `invalid-argument` where it is no pattern.
#[wasm_bindgen]
pub fn matching(pattern: &str, keys: &str) -> Result<String, JsValue> {
    let pattern = dataknobs_kv_core::Pattern::parse(pattern).map_err(|error| thrown(&error))?;
    let mut matches = String::new();
    for key in keys.split('\n') {
        matches.push_str(if pattern.matches(key) { "1" } else { "0" });
    }
    Ok(matches)
}

/// A key of these segments' texts.
///
/// # Errors
/// `invalid-argument` where they cannot make a key.
#[wasm_bindgen(js_name = joinKey)]
pub fn join_key(segments: JsValue) -> Result<String, JsValue> {
    let segments = texts(&segments).map_err(|error| thrown(&error))?;
    key::join(segments.iter().map(String::as_str)).map_err(|error| thrown(&error))
}

/// The texts of a key's segments.
///
/// # Errors
/// `invalid-argument` where it is no key.
#[wasm_bindgen(js_name = splitKey)]
pub fn split_key(key: &str) -> Result<JsValue, JsValue> {
    let segments = Array::new();
    for segment in key::split(key).map_err(|error| thrown(&error))? {
        segments.push(&segment.into());
    }
    Ok(segments.into())
}
