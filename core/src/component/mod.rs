//! The core as a WebAssembly component: `wit/world.wit`. Only this module knows WIT.
//!
//! * `abi`: how WIT's types lie in linear memory
//! * `types`: the layouts of the core's own types; tests compare all of them with `wit/`
//! * `imports`: the storage and the clock that the host gives
//! * `exports`: the store that the core gives
//!
//! The host's build script writes `wit/` into the module and makes a component of it, which checks names and signatures.
#![allow(unsafe_code, clippy::arithmetic_side_effects, clippy::indexing_slicing)]
#![cfg_attr(not(target_family = "wasm"), allow(dead_code, unused_imports))]

mod abi;
#[cfg(target_family = "wasm")]
mod exports;
#[cfg(target_family = "wasm")]
mod imports;
mod types;
