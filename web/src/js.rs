//! What is used of JavaScript's own. Not by js-sys: what that brings along for all else is a kilobyte by brotli.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[derive(Clone, Debug)]
    pub type Array;
    #[wasm_bindgen(constructor)]
    pub(crate) fn new() -> Array;
    #[wasm_bindgen(method)]
    pub(crate) fn push(this: &Array, item: &JsValue) -> u32;
    #[wasm_bindgen(method, js_name = at)]
    pub(crate) fn get(this: &Array, index: u32) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn length(this: &Array) -> u32;

    pub(crate) type Uint8Array;
    /// A copy.
    #[wasm_bindgen(constructor)]
    fn copy(bytes: &[u8]) -> Uint8Array;

    #[wasm_bindgen(js_namespace = Date)]
    pub(crate) fn now() -> f64;
}

impl Array {
    pub(crate) fn of(items: &[&JsValue]) -> Self {
        let array = Array::new();
        for item in items {
            array.push(item);
        }
        array
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = JsValue> + '_ {
        (0..self.length()).map(|at| self.get(at))
    }
}

/// A `Uint8Array` of its own.
pub(crate) fn bytes_of(bytes: &[u8]) -> JsValue {
    Uint8Array::copy(bytes).into()
}
