//! dataknobs-kv in browsers: the rules of the core over IndexedDB or memory, for JavaScript.
//!
//! * `indexed_db`: the storage
//! * `handle`: what JavaScript calls; `js/` beside this crate makes an interface of it that people use
//! * `convert`: values and options at the border
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

mod clock;
mod convert;
mod handle;
pub mod indexed_db;
mod observed;
mod random;

pub use clock::BrowserClock;
pub use convert::set_error_factory;
pub use handle::{Handle, Matcher, join_key, open_indexed_db, open_memory, split_key};
pub use indexed_db::{Durability, IndexedDbConfig, IndexedDbStorage};
pub use random::random;
