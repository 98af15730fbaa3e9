//! The suite over IndexedDB and over memory, for a page or a worker to run case by case: `web/tests/conformance.mjs` drives it.
#![cfg(target_family = "wasm")]
#![allow(clippy::arc_with_non_send_sync)]

use std::sync::Arc;

use dataknobs_kv_conformance::harness::{Over, Reopener, fresh_namespace};
use dataknobs_kv_conformance::{Case, HandClock, Harness, Need, all};
use dataknobs_kv_core::{Core, Storage, Store};
use dataknobs_kv_web::{Adapter, BrowserStorage};
use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

/// The name that stands for no database.
const MEMORY: &str = "memory";

#[wasm_bindgen]
extern "C" {
    /// A promise of what keeps the entries: of this database, or in memory. The page defines it.
    #[wasm_bindgen(js_name = openAdapter)]
    fn open_adapter(database: Option<&str>) -> Promise;
}

async fn open(database: &str) -> Arc<dyn Storage> {
    let opening = open_adapter((database != MEMORY).then_some(database));
    let adapter = JsFuture::from(opening).await.expect("the database opens");
    Arc::new(BrowserStorage::new(adapter.unchecked_into::<Adapter>()))
}

/// Opens the data again, as often as it is asked for.
fn reopener(database: String, over: Over) -> Reopener {
    Reopener(Box::new(move || {
        Box::pin(async move {
            let storage = open(&database).await;
            (over(storage.clone()), Some(storage), Some(reopener(database, over)))
        })
    }))
}

/// In a database of this name; each case has a namespace of its own.
async fn harness(database: String) -> Harness {
    let clock = Arc::new(HandClock::default());
    let of_store = clock.clone();
    let over: Over = Arc::new(move |storage| Arc::new(Core::new(storage, of_store.clone())) as Arc<dyn Store>);
    let storage = open(&database).await;
    Harness {
        store: over(storage.clone()),
        clock,
        namespace: fresh_namespace(),
        capabilities: storage.capabilities(),
        storage: Some(storage),
        reopener: (database != MEMORY).then(|| reopener(database, over.clone())),
        over: Some(over),
        slow: true,
        batches: true,
    }
}

/// Why it cannot run here, if it cannot.
fn why_not(case: &Case, harness: &Harness) -> Option<String> {
    case.needs.iter().find_map(|need| match need.declared(&harness.capabilities) {
        Some(false) => Some(format!("needs {need:?}, which the backend declares not")),
        Some(true) => None,
        None => (*need == Need::Volume).then(|| "needs Volume: minutes in a browser".to_owned()),
    })
}

/// For each case its name, and why it is not run; then which clauses it tests.
#[wasm_bindgen]
pub fn cases(database: String) -> Promise {
    future_to_promise(async {
        let harness = harness(database).await;
        let line = |case: &'static Case| -> JsValue {
            let why_not = why_not(case, &harness).map_or(JsValue::UNDEFINED, JsValue::from);
            Array::of3(&case.path().into(), &why_not, &case.clauses.join(", ").into()).into()
        };
        Ok(all().map(line).collect::<Array>().into())
    })
}

/// Runs one case. Its panic ends this module: `told` gets the message, and the promise stays as it is.
#[wasm_bindgen]
pub fn run(database: String, index: usize, told: js_sys::Function) -> Promise {
    std::panic::set_hook(Box::new(move |panic| {
        let _ = told.call1(&JsValue::NULL, &panic.to_string().into());
    }));
    future_to_promise(async move {
        let case = all().nth(index).expect("a case of that number");
        (case.run)(harness(database).await).await;
        Ok(JsValue::UNDEFINED)
    })
}
