//! dataknobs-kv in browsers, for JavaScript: the rules of the core over IndexedDB or memory, or a service that runs them.
//!
//! * `handle`, `many`: what JavaScript calls; `js/` beside this crate makes an interface of it that people use
//! * `storage`: what `js/indexed_db/` keeps, as the core wants it; `task`: what runs a call (feature `database`)
//! * `http`: opens a service (feature `http`)
//! * `convert`: values and options at the border; `js`: JavaScript's own types
#![cfg(target_family = "wasm")]
// The core's traits are for `Arc`s; here nothing crosses to another thread.
#![allow(clippy::arc_with_non_send_sync)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::string_slice
    )
)]

mod convert;
mod handle;
mod js;
mod many;

#[cfg(feature = "database")]
mod clock;
#[cfg(feature = "database")]
mod places;
#[cfg(feature = "database")]
pub mod storage;
#[cfg(feature = "database")]
mod task;

#[cfg(feature = "http")]
mod http;

pub use convert::set_error_factory;
pub use handle::{Handle, join_key, matching, split_key};

#[cfg(feature = "database")]
pub use self::{
    clock::BrowserClock,
    handle::open_over,
    storage::{Adapter, BrowserStorage},
};

#[cfg(feature = "http")]
pub use http::open_http;

/// Two kilobytes by brotli smaller than the standard library's. It grows the heap where it ends, so that what was freed there
/// serves for more.
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
