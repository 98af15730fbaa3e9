//! What the host gives: `wit/storage.wit` and the clock.

use super::{
    abi::{Arena, Layout, Lift, Lower, lower_list},
    types::ScanArguments,
};
use crate::{
    Capabilities, Clock, Projection, Result, State, Storage, Timestamp,
    storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed},
};

/// As WIT flattens them: a text or list is address and length, an option or enum begins with its discriminant, and what
/// is more than one number comes back where the last argument says.
mod raw {
    #[link(wasm_import_module = "dataknobs:kv/storage@0.1.0")]
    unsafe extern "C" {
        #[link_name = "capabilities"]
        pub(super) fn capabilities(answer: *mut u8);
        #[link_name = "default-ttls"]
        pub(super) fn default_ttls(answer: *mut u8);
        #[link_name = "get"]
        pub(super) fn get(
            namespace: *const u8,
            namespace_length: usize,
            key: *const u8,
            key_length: usize,
            now: u64,
            with_value: u32,
            answer: *mut u8,
        );
        #[link_name = "get-many"]
        pub(super) fn get_many(
            namespace: *const u8,
            namespace_length: usize,
            keys: *const u8,
            keys_length: usize,
            now: u64,
            with_value: u32,
            answer: *mut u8,
        );
        #[link_name = "write"]
        pub(super) fn write(
            namespace: *const u8,
            namespace_length: usize,
            mutations: *const u8,
            mutations_length: usize,
            atomic: u32,
            now: u64,
            on_conflict: u32,
            answer: *mut u8,
        );
        /// More than sixteen numbers: they lie in memory.
        #[link_name = "scan"]
        pub(super) fn scan(arguments: *const u8, answer: *mut u8);
        #[link_name = "count"]
        pub(super) fn count(
            namespace: *const u8,
            namespace_length: usize,
            has_from: u32,
            from: *const u8,
            from_length: usize,
            has_to: u32,
            to: *const u8,
            to_length: usize,
            has_after: u32,
            after: *const u8,
            after_length: usize,
            now: u64,
            answer: *mut u8,
        );
        #[link_name = "reclaim"]
        pub(super) fn reclaim(
            has_namespace: u32,
            namespace: *const u8,
            namespace_length: usize,
            now: u64,
            limit: u32,
            answer: *mut u8,
        );
        #[link_name = "clear"]
        pub(super) fn clear(namespace: *const u8, namespace_length: usize, limit: u32, answer: *mut u8);
        #[link_name = "namespaces"]
        pub(super) fn namespaces(has_after: u32, after: *const u8, after_length: usize, limit: u32, answer: *mut u8);
        #[link_name = "backoff"]
        pub(super) fn backoff(
            namespace: *const u8,
            namespace_length: usize,
            key: *const u8,
            key_length: usize,
            attempt: u32,
        );
    }

    #[link(wasm_import_module = "wasi:clocks/wall-clock@0.2.6")]
    unsafe extern "C" {
        #[link_name = "now"]
        pub(super) fn wall_clock(answer: *mut u8);
    }
}

/// Calls, and takes what is written for the answer.
fn receive<T: Lift>(call: impl FnOnce(*mut u8)) -> T {
    const ROOM: usize = 256;
    const { assert!(T::SIZE <= ROOM && T::ALIGN <= 8) };
    let mut room = [0u64; ROOM / 8];
    let at = room.as_mut_ptr().cast();
    call(at);
    // SAFETY: the host has written its answer there.
    unsafe { T::lift(at) }
}

/// An optional text, flattened.
fn flat(text: Option<&str>) -> (u32, *const u8, usize) {
    text.map_or((0, std::ptr::null(), 0), |text| (1, text.as_ptr(), text.len()))
}

fn index(projection: Projection) -> u32 {
    match projection {
        Projection::Key => 0,
        Projection::Attributes => 1,
        Projection::Value => 2,
    }
}

/// The storage that the host links. Its functions return when all is done: a host that waits does so on its own side.
pub(super) struct Imported;

impl Storage for Imported {
    fn capabilities(&self) -> Capabilities {
        receive(|answer| unsafe { raw::capabilities(answer) })
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        receive(|answer| unsafe { raw::default_ttls(answer) })
    }

    fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        receive(|answer| unsafe {
            raw::get(namespace.as_ptr(), namespace.len(), key.as_ptr(), key.len(), now, u32::from(with_value), answer);
        })
    }

    fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let mut arena = Arena::default();
        let list = lower_list(keys, &mut arena);
        receive(|answer| unsafe {
            raw::get_many(namespace.as_ptr(), namespace.len(), list, keys.len(), now, u32::from(with_value), answer);
        })
    }

    fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let mut arena = Arena::default();
        let list = lower_list(&mutations, &mut arena);
        receive(|answer| unsafe {
            raw::write(
                namespace.as_ptr(),
                namespace.len(),
                list,
                mutations.len(),
                u32::from(atomic),
                now,
                index(on_conflict),
                answer,
            );
        })
    }

    fn scan(
        &self,
        namespace: &str,
        range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        let arguments = ScanArguments { namespace: namespace.to_owned(), range, hint, now, limit, want };
        let mut arena = Arena::default();
        let at = arena.room(ScanArguments::SIZE, ScanArguments::ALIGN);
        unsafe { arguments.lower(at, &mut arena) };
        receive(|answer| unsafe { raw::scan(at, answer) })
    }

    fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        let [from, to, after] = [&range.from, &range.to, &range.after].map(|text| flat(text.as_deref()));
        receive(|answer| unsafe {
            raw::count(
                namespace.as_ptr(),
                namespace.len(),
                from.0,
                from.1,
                from.2,
                to.0,
                to.1,
                to.2,
                after.0,
                after.1,
                after.2,
                now,
                answer,
            );
        })
    }

    fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        let namespace = flat(namespace);
        receive(|answer| unsafe { raw::reclaim(namespace.0, namespace.1, namespace.2, now, limit, answer) })
    }

    fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        receive(|answer| unsafe { raw::clear(namespace.as_ptr(), namespace.len(), limit, answer) })
    }

    fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        let after = flat(after);
        receive(|answer| unsafe { raw::namespaces(after.0, after.1, after.2, limit, answer) })
    }

    fn backoff(&self, namespace: &str, key: &str, attempt: u32) {
        unsafe { raw::backoff(namespace.as_ptr(), namespace.len(), key.as_ptr(), key.len(), attempt) }
    }
}

/// The clock that the host links.
pub(super) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        // Seconds and nanoseconds.
        let (seconds, nanoseconds): (u64, u32) = receive(|answer| unsafe { raw::wall_clock(answer) });
        seconds.saturating_mul(1000).saturating_add(u64::from(nanoseconds / 1_000_000))
    }
}
