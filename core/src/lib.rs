//! The rules of dataknobs-kv: keys, patterns, typed values, metadata, expiry, versions and compare-and-swap, over any
//! [`Storage`]. No I/O, no clock and no runtime of its own; the same code is the WebAssembly component under wasmtime
//! and the browser package.
//!
//! * [`store`]: what callers get ([`Store`]), and [`Core`], which gives it
//! * [`storage`]: what a backend owes ([`Storage`]); [`memory`] is the reference
//! * [`key`], [`pattern`], [`value`], [`json`], [`metadata`], [`expiry`](store::Expiry), [`error`]: a file for each rule
//! * `component` (feature `component`): the only place that knows WIT; `wire` (feature `wire`): entries as JSON
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::string_slice
    )
)]

mod checksum;
pub mod clock;
#[cfg(any(feature = "component", test))]
mod component;
pub mod entry;
pub mod error;
pub mod json;
pub mod key;
pub mod memory;
pub mod metadata;
mod order;
pub mod pattern;
pub mod storage;
pub mod store;
pub mod text;
pub mod value;
#[cfg(feature = "wire")]
pub mod wire;

pub use clock::{Clock, MAX_TIMESTAMP, Timestamp};
pub use entry::{Attributes, Entry, Precondition, Projection, State, Version};
pub use error::{Error, LimitExceeded, Result};
pub use memory::MemoryStorage;
pub use pattern::Pattern;
pub use storage::{Capabilities, Storage};
pub use store::{Core, Store};
pub use value::{Value, ValueType};

/// `Send` on hosts with threads, nothing in WebAssembly: one trait serves both.
#[cfg(not(target_family = "wasm"))]
pub trait MaybeSend: Send {}
#[cfg(not(target_family = "wasm"))]
impl<T: Send + ?Sized> MaybeSend for T {}
/// `Send` on hosts with threads, nothing in WebAssembly: one trait serves both.
#[cfg(target_family = "wasm")]
pub trait MaybeSend {}
#[cfg(target_family = "wasm")]
impl<T: ?Sized> MaybeSend for T {}

/// `Send + Sync` on hosts with threads, nothing in WebAssembly.
#[cfg(not(target_family = "wasm"))]
pub trait MaybeSync: Send + Sync {}
#[cfg(not(target_family = "wasm"))]
impl<T: Send + Sync + ?Sized> MaybeSync for T {}
/// `Send + Sync` on hosts with threads, nothing in WebAssembly.
#[cfg(target_family = "wasm")]
pub trait MaybeSync {}
#[cfg(target_family = "wasm")]
impl<T: ?Sized> MaybeSync for T {}
