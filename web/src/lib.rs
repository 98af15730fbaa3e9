//! dataknobs-kv in browsers: the rules of the core over IndexedDB or memory, for JavaScript.
//!
//! * [`indexed_db`]: the storage
//! * `handle`: what JavaScript calls; `js/` beside this crate makes an interface of it that people use
//! * `convert`: values and options at the border
#![cfg(target_family = "wasm")]
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
pub mod indexed_db;
mod random;

pub use clock::BrowserClock;
pub use indexed_db::{Durability, IndexedDbConfig, IndexedDbStorage};
pub use random::random;
