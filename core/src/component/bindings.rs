//! Generated from `wit/`: nothing else lives here.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    missing_docs,
    unreachable_pub,
    unsafe_code,
    dead_code
)]

wit_bindgen::generate!({ path: "../wit", world: "kv", generate_all });

export!(Component);

use super::Component;
