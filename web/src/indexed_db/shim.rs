//! The JavaScript files of this folder, as Rust sees them.

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/indexed_db/database.js")]
extern "C" {
    #[wasm_bindgen(js_name = openDatabase)]
    pub(super) fn open_database(name: &str, timeout: u32, on_gone: &JsValue) -> Promise;
    #[wasm_bindgen(js_name = closeDatabase)]
    pub(super) fn close_database(database: &JsValue);
}

#[wasm_bindgen(module = "/src/indexed_db/transaction.js")]
extern "C" {
    /// Of a database, or of memory.
    #[derive(Clone)]
    pub(super) type Transaction;

    #[wasm_bindgen(catch)]
    pub(super) fn begin(
        database: &JsValue,
        writing: bool,
        durability: &str,
        timeout: u32,
    ) -> Result<Transaction, JsValue>;
    #[wasm_bindgen(method, getter)]
    pub(super) fn done(this: &Transaction) -> Promise;
    #[wasm_bindgen(method, catch)]
    pub(super) fn read(
        this: &Transaction,
        namespaces: &Array,
        keys: &Array,
        with_values: bool,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = readApart)]
    pub(super) fn read_apart(this: &Transaction, namespaces: &Array, keys: &Array) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn replace(
        this: &Transaction,
        namespace: &str,
        key: &str,
        record: &Record,
        apart: &JsValue,
        now: f64,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn put(
        this: &Transaction,
        namespace: &str,
        key: &str,
        record: &Record,
        apart: &JsValue,
        was_apart: bool,
    ) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn amend(this: &Transaction, namespace: &str, key: &str, record: &Record) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn remove(this: &Transaction, namespace: &str, key: &str, was_apart: bool) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn commit(this: &Transaction) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    pub(super) fn abort(this: &Transaction);
    #[wasm_bindgen(method, catch)]
    pub(super) fn keys(
        this: &Transaction,
        namespace: &str,
        from: Option<&str>,
        to: Option<&str>,
        after: Option<&str>,
        limit: u32,
        most: u32,
        now: f64,
        pattern: Option<&str>,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn records(
        this: &Transaction,
        namespace: &str,
        from: Option<&str>,
        to: Option<&str>,
        after: Option<&str>,
        count: u32,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn count(
        this: &Transaction,
        namespace: &str,
        from: Option<&str>,
        to: Option<&str>,
        after: Option<&str>,
        now: f64,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn reclaim(
        this: &Transaction,
        namespace: Option<&str>,
        now: f64,
        limit: u32,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn clear(this: &Transaction, namespace: &str, limit: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn namespaces(this: &Transaction, after: Option<&str>, limit: u32) -> Result<Promise, JsValue>;

    /// A page of keys.
    pub(super) type KeyPage;
    #[wasm_bindgen(method, getter)]
    pub(super) fn text(this: &KeyPage) -> String;
    #[wasm_bindgen(method, getter, js_name = count)]
    pub(super) fn living(this: &KeyPage) -> u32;
    #[wasm_bindgen(method, getter, js_name = more)]
    pub(super) fn more_keys(this: &KeyPage) -> bool;
    #[wasm_bindgen(method, getter)]
    pub(super) fn last(this: &KeyPage) -> Option<String>;

    /// A page of records.
    pub(super) type RecordPage;
    #[wasm_bindgen(method, getter, js_name = text)]
    pub(super) fn page_keys(this: &RecordPage) -> String;
    #[wasm_bindgen(method, getter, js_name = records)]
    pub(super) fn page_records(this: &RecordPage) -> Array;

    /// What was removed.
    pub(super) type Removal;
    #[wasm_bindgen(method, getter)]
    pub(super) fn removed(this: &Removal) -> u32;
    #[wasm_bindgen(method, getter, js_name = more)]
    pub(super) fn more_left(this: &Removal) -> bool;

    /// A page of namespaces.
    pub(super) type NamePage;
    #[wasm_bindgen(method, getter)]
    pub(super) fn names(this: &NamePage) -> Array;
    #[wasm_bindgen(method, getter, js_name = more)]
    pub(super) fn more_names(this: &NamePage) -> bool;
}

#[wasm_bindgen(module = "/src/indexed_db/memory.js")]
extern "C" {
    /// What is kept in memory.
    #[derive(Clone)]
    pub(super) type Memory;

    #[wasm_bindgen(js_name = newMemory)]
    pub(super) fn new_memory() -> Memory;
    #[wasm_bindgen(method, js_name = begin)]
    pub(super) fn begin_in(this: &Memory, writing: bool) -> Transaction;
}

#[wasm_bindgen(module = "/src/indexed_db/record.js")]
extern "C" {
    /// What is kept for one entry.
    #[derive(Clone)]
    pub(super) type Record;
    #[wasm_bindgen(method, getter)]
    pub(super) fn value(this: &Record) -> JsValue;

    #[wasm_bindgen(js_name = makeRecord)]
    pub(super) fn make_record(
        value: &JsValue,
        apart: bool,
        value_type: &str,
        version: &str,
        created_at: f64,
        updated_at: f64,
        size: f64,
        checksum: u32,
        content_type: Option<&str>,
        metadata: Option<&str>,
        expires_at: Option<f64>,
        sliding_ms: Option<f64>,
        namespace: &str,
    ) -> Record;
    /// Numbers and texts: `format.rs` reads them.
    pub(super) fn describe(records: &Array) -> Array;
}

#[wasm_bindgen(module = "/src/indexed_db/browser.js")]
extern "C" {
    #[wasm_bindgen(js_name = fillRandom)]
    pub(crate) fn fill_random(bytes: &mut [u8]);
    pub(crate) fn sleep(milliseconds: f64) -> Promise;
}
