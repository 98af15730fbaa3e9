//! IndexedDB and memory, opened.

use std::sync::Arc;

use dataknobs_kv_core::Core;
use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;

use crate::BrowserClock;
use crate::handle::{Handle, promise};
use crate::indexed_db::{Durability, IndexedDbConfig, IndexedDbStorage};

/// Tells JavaScript: for each namespace its keys, joined by line breaks, and for each key `1` if it is there now.
fn teller(on_change: Function) -> impl Fn(&[(String, String, bool)]) + 'static {
    move |changes| {
        let mut rest = changes;
        while let Some((namespace, ..)) = rest.first() {
            let (now, later) = rest.split_at(rest.iter().take_while(|(other, ..)| other == namespace).count());
            let keys: Vec<&str> = now.iter().map(|(_, key, _)| key.as_str()).collect();
            let there: String = now.iter().map(|(_, _, there)| if *there { '1' } else { '0' }).collect();
            // Whoever is told keeps errors to himself.
            let _ = on_change.call3(&JsValue::NULL, &namespace.into(), &keys.join("\n").into(), &there.into());
            rest = later;
        }
    }
}

/// A store in memory of its own.
#[wasm_bindgen(js_name = openMemory)]
pub fn open_memory(on_change: Function) -> Handle {
    handle(IndexedDbStorage::in_memory(), on_change)
}

/// The database of this name.
#[wasm_bindgen(js_name = openIndexedDb)]
pub fn open_indexed_db(name: String, durability: String, timeout_ms: u32, on_change: Function) -> Promise {
    promise(async move {
        let durability = Durability::parse(&durability)?;
        let storage = IndexedDbStorage::open(IndexedDbConfig { name, durability, timeout_ms }).await?;
        Ok(handle(storage, on_change).into())
    })
}

fn handle(storage: IndexedDbStorage, on_change: Function) -> Handle {
    storage.observe(teller(on_change));
    Handle { store: Arc::new(Core::new(storage.clone(), BrowserClock)), database: Some(storage) }
}
