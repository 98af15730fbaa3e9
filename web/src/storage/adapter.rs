//! What keeps the entries, as Rust sees it: `js/indexed_db/adapter.ts`.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Over IndexedDB, or over memory. What has a ticket is answered later, by `ticket.rs`; none of it throws.
    #[derive(Clone)]
    pub type Adapter;

    #[wasm_bindgen(method, getter)]
    pub(super) fn lasting(this: &Adapter) -> bool;

    #[wasm_bindgen(method)]
    pub(super) fn get(this: &Adapter, ticket: u32, namespace: &str, key: &str, now: f64, with_value: bool);

    /// `keys` are joined by line breaks.
    #[wasm_bindgen(method, js_name = getMany)]
    pub(super) fn get_many(this: &Adapter, ticket: u32, namespace: &str, keys: &str, now: f64, with_value: bool);

    /// Says one of the mutations of the write, or the decision, that follows. `kind`: put, amend, extend, delete, check;
    /// `guard`: the version that must be there, empty for none.
    #[wasm_bindgen(method)]
    pub(super) fn mutation(
        this: &Adapter,
        kind: u8,
        key: &str,
        guard: Option<&str>,
        value: &JsValue,
        value_type: Option<&str>,
        content_type: Option<&str>,
        metadata: Option<&str>,
        created_at: f64,
        updated_at: f64,
        expires_at: Option<f64>,
        sliding_ms: Option<f64>,
        size: f64,
        checksum: u32,
    );

    /// `want`: 0 nothing, 1 the attributes, 2 the value too of what stands in the way.
    #[wasm_bindgen(method)]
    pub(super) fn write(this: &Adapter, ticket: u32, namespace: &str, atomic: bool, now: f64, want: u8);

    /// Asks what becomes of the entry, as often as it must; `decide` answers.
    #[wasm_bindgen(method)]
    pub(super) fn update(this: &Adapter, ticket: u32, namespace: &str, key: &str, now: f64, want: u8);

    /// The mutation that was said, or nothing.
    #[wasm_bindgen(method)]
    pub(super) fn decide(this: &Adapter, ticket: u32);

    #[wasm_bindgen(method)]
    pub(super) fn scan(
        this: &Adapter,
        ticket: u32,
        namespace: &str,
        from: Option<&str>,
        to: Option<&str>,
        after: Option<&str>,
        pattern: Option<&str>,
        metadata: Option<&str>,
        now: f64,
        limit: u32,
        want: u8,
    );

    #[wasm_bindgen(method)]
    pub(super) fn count(
        this: &Adapter,
        ticket: u32,
        namespace: &str,
        from: Option<&str>,
        to: Option<&str>,
        after: Option<&str>,
        now: f64,
    );

    #[wasm_bindgen(method)]
    pub(super) fn reclaim(this: &Adapter, ticket: u32, namespace: Option<&str>, now: f64, limit: u32);

    #[wasm_bindgen(method)]
    pub(super) fn clear(this: &Adapter, ticket: u32, namespace: &str, limit: u32);

    #[wasm_bindgen(method)]
    pub(super) fn namespaces(this: &Adapter, ticket: u32, after: Option<&str>, limit: u32);

    /// For a time at random, up to so many milliseconds.
    #[wasm_bindgen(method)]
    pub(super) fn sleep(this: &Adapter, ticket: u32, longest: f64);
}
