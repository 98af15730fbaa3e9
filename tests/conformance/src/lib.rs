//! The one suite that every adapter, host and client of dataknobs-kv passes.
//!
//! A case is an async function over a [`Harness`]: a store, a clock moved by hand and a namespace of its own. Each names
//! the clauses of `docs/contract.md` that it tests and what it needs of the runner or of the backend. [`all`] lists every
//! case once; a [`Runner`] says where to run them, and cannot leave one out: what it lacks shows as ignored, with the
//! reason.
//!
//! * [`cases`]: the cases, a file for each part of the contract
//! * [`harness`]: what a case gets; [`run()`]: runs them all and prints a line for each
//! * [`native`]: the runner over the core itself; [`wrap`]: storages that change one thing about another
//! * [`faulty`]: storages that lie, to prove that the suite notices
//! * [`model`]: random operations against a model of a few lines

// One suite for storages that threads share and for those of a browser, where there are none.
#![cfg_attr(target_family = "wasm", allow(clippy::arc_with_non_send_sync))]

pub mod cases;
pub mod faulty;
pub mod harness;
#[cfg(not(target_family = "wasm"))]
pub mod model;
pub mod native;
#[cfg(not(target_family = "wasm"))]
pub mod run;
pub mod wrap;

pub use cases::{Case, all};
pub use harness::{HandClock, Harness, Need, TestClock};
#[cfg(not(target_family = "wasm"))]
pub use run::{Runner, run};
