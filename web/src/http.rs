//! A service, opened.

use std::sync::Arc;
use std::time::Duration;

use dataknobs_kv_client::{HttpOptions, HttpStore};
use wasm_bindgen::prelude::*;

use crate::convert::thrown;
use crate::handle::Handle;

/// The store of the service at this address. Nothing is sent yet.
///
/// # Errors
/// `invalid-argument` where it is no address, or no token.
#[wasm_bindgen(js_name = openHttp)]
pub fn open_http(url: &str, token: Option<String>, timeout_ms: u32) -> Result<Handle, JsValue> {
    let timeout = Duration::from_millis(timeout_ms.into());
    let options = HttpOptions { token, timeout, ..HttpOptions::default() };
    let store = HttpStore::connect(url, options).map_err(|error| thrown(&error))?;
    Ok(Handle { store: Arc::new(store) })
}
