//! Real servers for tests.
//!
//! * [`SERVICES`]: which there are; [`shared`]: the one that all tests of a run use, brought up by `cargo xtask services`
//!
//! A test that needs a server which is not there is *ignored*, with the reason; named in `KV_TEST_REQUIRE` (names joined
//! by commas, or `all`) it fails instead.

mod shared;

pub use shared::{Missing, SERVICES, Service, shared};
