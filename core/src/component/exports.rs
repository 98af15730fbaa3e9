//! What the core gives: `wit/store.wit`.

use std::{
    any::Any,
    cell::{RefCell, UnsafeCell},
    sync::OnceLock,
};

use super::{
    abi::{self, Arena, Layout, Lift, Lower, list, text},
    imports::{Imported, WallClock},
    types::{ActionParts, Candidate, CheckParts, Demand, Parts, SetArguments, SwapArguments},
};
use crate::{
    Core, Projection, Result, Storage, Store, ValueType,
    store::{Expiry, Numeric, Query},
};

/// One for the life of the instance: what it has compiled and learnt is kept from call to call.
#[inline(never)]
fn core() -> &'static Core<Imported, WallClock> {
    static CORE: OnceLock<Core<Imported, WallClock>> = OnceLock::new();
    CORE.get_or_init(|| Core::new(Imported, WallClock))
}

/// Arguments are checked, and then the core is called.
fn attempt<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    call()
}

thread_local! {
    /// What the caller reads, until it says that it has.
    static ANSWER: RefCell<Option<(Box<dyn Any>, Arena)>> = const { RefCell::new(None) };
}

/// The most that an answer takes besides what it points at.
const ROOM: usize = 256;

/// Where an answer lies. One is enough: an instance is called again only when the last answer was read.
struct AnswerRoom(UnsafeCell<[u64; ROOM / 8]>);

// SAFETY: an instance has one thread.
unsafe impl Sync for AnswerRoom {}

static ANSWER_ROOM: AnswerRoom = AnswerRoom(UnsafeCell::new([0; ROOM / 8]));

/// Writes an answer and keeps what it points at: where the caller finds it.
fn answer<T: Lower + 'static>(value: T) -> *const u8 {
    const { assert!(T::SIZE <= ROOM && T::ALIGN <= align_of::<u64>()) };
    let value = Box::new(value);
    let mut arena = Arena::default();
    let at = ANSWER_ROOM.0.get().cast();
    // SAFETY: there is room, and it, value and arena stay until they were read.
    unsafe { value.lower(at, &mut arena) };
    keep(value, arena);
    at
}

fn keep(value: Box<dyn Any>, arena: Arena) {
    ANSWER.with(|answer| answer.replace(Some((value, arena))));
}

fn read() {
    ANSWER.with(|answer| answer.replace(None));
}

#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    unsafe { abi::reallocate(old, old_size, align, size) }
}

// Arguments as WIT flattens them.

unsafe fn optional(given: u32, at: *mut u8, length: usize) -> Option<String> {
    (given != 0).then(|| unsafe { text(at, length) })
}

unsafe fn demand(case: u32, at: *mut u8, length: usize) -> Demand {
    match case {
        0 => Demand::None,
        1 => Demand::Absent,
        _ => Demand::Version(unsafe { text(at, length) }),
    }
}

fn projection(case: u32) -> Projection {
    match case {
        0 => Projection::Key,
        1 => Projection::Attributes,
        _ => Projection::Value,
    }
}

fn expiry(case: u32, milliseconds: u64) -> Expiry {
    match case {
        0 => Expiry::Unspecified,
        1 => Expiry::Keep,
        2 => Expiry::Never,
        3 => Expiry::After(milliseconds),
        4 => Expiry::Sliding(milliseconds),
        _ => Expiry::At(milliseconds),
    }
}

unsafe fn value_type(case: u32, at: *mut u8, length: usize) -> ValueType {
    match case {
        0 => ValueType::Text,
        1 => ValueType::Bytes,
        2 => ValueType::Integer,
        3 => ValueType::Number,
        4 => ValueType::Boolean,
        5 => ValueType::Null,
        6 => ValueType::Json,
        _ => ValueType::Custom(unsafe { text(at, length) }),
    }
}

/// An exported function, and the one that the caller calls when it has read the answer.
macro_rules! export {
    ($name:literal $rust:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        mod $rust {
            #[allow(unused_imports)]
            use super::*;

            #[unsafe(export_name = concat!("dataknobs:kv/store@0.1.0#", $name))]
            unsafe extern "C" fn call($($argument: $type),*) -> *const u8 $body

            #[unsafe(export_name = concat!("cabi_post_dataknobs:kv/store@0.1.0#", $name))]
            unsafe extern "C" fn post(_: *const u8) {
                read();
            }
        }
    };
}

type Address = *mut u8;

export!("capabilities" capabilities() {
    answer(Imported.capabilities())
});

export!("get" get(namespace: Address, namespace_length: usize, key: Address, key_length: usize) {
    let (namespace, key) = unsafe { (text(namespace, namespace_length), text(key, key_length)) };
    answer(core().get(&namespace, &key))
});

export!("get-many" get_many(
    namespace: Address, namespace_length: usize, keys: Address, keys_length: usize, with_value: u32,
) {
    let (namespace, keys) = unsafe { (text(namespace, namespace_length), list(keys, keys_length)) };
    answer(core().get_many(&namespace, &keys, with_value != 0))
});

export!("describe" describe(namespace: Address, namespace_length: usize, key: Address, key_length: usize) {
    let (namespace, key) = unsafe { (text(namespace, namespace_length), text(key, key_length)) };
    answer(core().describe(&namespace, &key))
});

/// More than sixteen numbers: the arguments lie in memory.
macro_rules! arguments {
    ($at:ident: $type:ty) => {{
        // SAFETY: the caller has written them there.
        let arguments = unsafe { <$type>::lift($at) };
        unsafe { abi::reclaim($at, <$type>::SIZE, <$type>::ALIGN) };
        arguments
    }};
}

export!("set" set(at: Address) {
    let SetArguments { namespace, item } = arguments!(at: SetArguments);
    answer(attempt(|| { core().set(&namespace, item.check()?) }))
});

export!("set-many" set_many(namespace: Address, namespace_length: usize, items: Address, items_length: usize) {
    let namespace = unsafe { text(namespace, namespace_length) };
    let items: Vec<Candidate> = unsafe { list(items, items_length) };
    let (items, faults): (Vec<_>, Vec<_>) = items.into_iter().map(Candidate::check_in_place).unzip();
    let mut results = core().set_many(&namespace, items);
    for (result, fault) in results.iter_mut().flatten().zip(faults) {
        if let Some(fault) = fault {
            *result = Err(fault);
        }
    }
    answer(results)
});

export!("delete" delete(
    namespace: Address, namespace_length: usize, key: Address, key_length: usize,
    demanded: u32, version: Address, version_length: usize, on_conflict: u32,
) {
    let (namespace, key) = unsafe { (text(namespace, namespace_length), text(key, key_length)) };
    let precondition = unsafe { demand(demanded, version, version_length) };
    answer(attempt(|| { core().delete(&namespace, &key, precondition.check()?, projection(on_conflict)) }))
});

export!("delete-many" delete_many(namespace: Address, namespace_length: usize, keys: Address, keys_length: usize) {
    let (namespace, keys) = unsafe { (text(namespace, namespace_length), list(keys, keys_length)) };
    answer(core().delete_many(&namespace, &keys))
});

export!("transact" transact(
    namespace: Address, namespace_length: usize,
    checks: Address, checks_length: usize, actions: Address, actions_length: usize,
) {
    let namespace = unsafe { text(namespace, namespace_length) };
    let checks: Vec<CheckParts> = unsafe { list(checks, checks_length) };
    let actions: Vec<ActionParts> = unsafe { list(actions, actions_length) };
    answer(attempt(|| {
        let checks = checks.into_iter().map(CheckParts::check).collect::<Result<_>>()?;
        let actions = actions.into_iter().map(ActionParts::check).collect::<Result<_>>()?;
        core().transact(&namespace, checks, actions)
    }))
});

export!("compare-and-swap" compare_and_swap(at: Address) {
    let SwapArguments { namespace, key, old, new, options } = arguments!(at: SwapArguments);
    answer(attempt(|| {
        let old = old.map(Parts::check).transpose()?;
        core().compare_and_swap(&namespace, &key, old, new.check()?, options.check()?)
    }))
});

export!("increment" increment(
    namespace: Address, namespace_length: usize, key: Address, key_length: usize,
    kind: u32, delta: u64, expires: u32, milliseconds: u64,
) {
    let (namespace, key) = unsafe { (text(namespace, namespace_length), text(key, key_length)) };
    let delta = match kind {
        0 => Numeric::Integer(delta as i64),
        _ => Numeric::Number(f64::from_bits(delta)),
    };
    answer(core().increment(&namespace, &key, delta, expiry(expires, milliseconds)))
});

export!("append" append(
    namespace: Address, namespace_length: usize, key: Address, key_length: usize,
    kind: u32, name: Address, name_length: usize, tail: Address, tail_length: usize, expires: u32, milliseconds: u64,
) {
    let (namespace, key) = unsafe { (text(namespace, namespace_length), text(key, key_length)) };
    let tail = unsafe { Parts { value_type: value_type(kind, name, name_length), bytes: abi::bytes(tail, tail_length) } };
    answer(attempt(|| { core().append(&namespace, &key, tail.check()?, expiry(expires, milliseconds)) }))
});

export!("update-metadata" update_metadata(
    namespace: Address, namespace_length: usize, key: Address, key_length: usize,
    patch: Address, patch_length: usize, demanded: u32, version: Address, version_length: usize,
) {
    let (namespace, key) = unsafe { (text(namespace, namespace_length), text(key, key_length)) };
    let patch = unsafe { text(patch, patch_length) };
    let precondition = unsafe { demand(demanded, version, version_length) };
    answer(attempt(|| { core().update_metadata(&namespace, &key, &patch, precondition.check()?) }))
});

export!("replace-metadata" replace_metadata(
    namespace: Address, namespace_length: usize, key: Address, key_length: usize,
    metadata: Address, metadata_length: usize, demanded: u32, version: Address, version_length: usize,
) {
    let (namespace, key) = unsafe { (text(namespace, namespace_length), text(key, key_length)) };
    let metadata = unsafe { text(metadata, metadata_length) };
    let precondition = unsafe { demand(demanded, version, version_length) };
    answer(attempt(|| { core().replace_metadata(&namespace, &key, &metadata, precondition.check()?) }))
});

export!("set-expiry" set_expiry(
    namespace: Address, namespace_length: usize, key: Address, key_length: usize,
    expires: u32, milliseconds: u64, demanded: u32, version: Address, version_length: usize,
) {
    let (namespace, key) = unsafe { (text(namespace, namespace_length), text(key, key_length)) };
    let precondition = unsafe { demand(demanded, version, version_length) };
    answer(attempt(|| {
        core().set_expiry(&namespace, &key, expiry(expires, milliseconds), precondition.check()?)
    }))
});

export!("list-entries" list_entries(
    namespace: Address, namespace_length: usize, pattern: Address, pattern_length: usize,
    filtered: u32, metadata: Address, metadata_length: usize, goes_on: u32, cursor: Address, cursor_length: usize,
    limit: u32, want: u32,
) {
    let namespace = unsafe { text(namespace, namespace_length) };
    let (pattern, metadata) =
        unsafe { (text(pattern, pattern_length), optional(filtered, metadata, metadata_length)) };
    let cursor = unsafe { optional(goes_on, cursor, cursor_length) };
    let query = Query { pattern, metadata };
    answer(core().list_entries(&namespace, &query, cursor.as_deref(), limit, projection(want)))
});

export!("count" count(
    namespace: Address, namespace_length: usize, pattern: Address, pattern_length: usize,
    filtered: u32, metadata: Address, metadata_length: usize, goes_on: u32, cursor: Address, cursor_length: usize,
    limit: u32,
) {
    let namespace = unsafe { text(namespace, namespace_length) };
    let (pattern, metadata) =
        unsafe { (text(pattern, pattern_length), optional(filtered, metadata, metadata_length)) };
    let cursor = unsafe { optional(goes_on, cursor, cursor_length) };
    answer(core().count(&namespace, &Query { pattern, metadata }, cursor.as_deref(), limit))
});

export!("delete-matching" delete_matching(
    namespace: Address, namespace_length: usize, pattern: Address, pattern_length: usize,
    filtered: u32, metadata: Address, metadata_length: usize, goes_on: u32, cursor: Address, cursor_length: usize,
    limit: u32,
) {
    let namespace = unsafe { text(namespace, namespace_length) };
    let (pattern, metadata) =
        unsafe { (text(pattern, pattern_length), optional(filtered, metadata, metadata_length)) };
    let cursor = unsafe { optional(goes_on, cursor, cursor_length) };
    answer(core().delete_matching(&namespace, &Query { pattern, metadata }, cursor.as_deref(), limit))
});

export!("children" children(
    namespace: Address, namespace_length: usize, below: u32, prefix: Address, prefix_length: usize, counts: u32,
    goes_on: u32, cursor: Address, cursor_length: usize, limit: u32,
) {
    let namespace = unsafe { text(namespace, namespace_length) };
    let prefix = unsafe { optional(below, prefix, prefix_length) };
    let cursor = unsafe { optional(goes_on, cursor, cursor_length) };
    answer(core().children(&namespace, prefix.as_deref(), counts != 0, cursor.as_deref(), limit))
});

export!("cleanup-expired" cleanup_expired(named: u32, namespace: Address, namespace_length: usize, limit: u32) {
    let namespace = unsafe { optional(named, namespace, namespace_length) };
    answer(core().cleanup_expired(namespace.as_deref(), limit))
});

export!("clear" clear(namespace: Address, namespace_length: usize, limit: u32) {
    let namespace = unsafe { text(namespace, namespace_length) };
    answer(core().clear(&namespace, limit))
});

export!("namespaces" namespaces(goes_on: u32, cursor: Address, cursor_length: usize, limit: u32) {
    let cursor = unsafe { optional(goes_on, cursor, cursor_length) };
    answer(core().namespaces(cursor.as_deref(), limit))
});
