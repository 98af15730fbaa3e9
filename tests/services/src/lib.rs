//! Real servers for tests.
//!
//! * [`SERVICES`]: which a store can be opened on; [`shared`]: the one that all tests of a run use, brought up by
//!   `cargo xtask test` or `cargo xtask services up`
//! * [`Server`]: one that a test starts for itself, and may kill, pause and restart
//! * [`Proxy`]: a TCP proxy in front of one, which delays, cuts and loses
//! * [`Kind`]: all that can be started; `recipe/`: how each is, `install/`: where its programs come from
//! * [`history`]: what clients saw, recorded, and checked for linearizability
//! * [`up`]: those that stay when the program that started them ends
//!
//! A test that needs a server which is not there is *ignored*, with the reason; named in `KV_TEST_REQUIRE` (names joined
//! by commas, or `all`) it fails instead.

pub mod history;
mod http;
mod install;
mod kind;
mod port;
mod process;
mod proxy;
mod reaper;
mod recipe;
mod resp;
mod running;
mod server;
mod shared;
pub mod up;

pub use kind::Kind;
pub use proxy::{Added, Direction, Proxy, Toxic};
pub use server::Server;
pub use shared::{Missing, SERVICES, Service, shared};

/// The program of this name (the first of them that is there), installed from this package of the system's where none is and
/// we may; else why there is none.
///
/// # Errors
/// In words for the person at the terminal.
pub fn program(names: &[&str], package: &str) -> Result<std::path::PathBuf> {
    let found = || names.iter().find_map(|name| install::on_path(name));
    install::found_or_packaged(names.first().copied().unwrap_or(package), package, found)
}

/// Whether `KV_TEST_REQUIRE` names it: names joined by commas, or `all`.
pub fn required(name: &str) -> bool {
    kind::named(&std::env::var("KV_TEST_REQUIRE").unwrap_or_default(), name)
}

/// Where this user keeps what can be had again.
///
/// # Errors
/// Where no variable says so.
pub fn cache() -> Result<std::path::PathBuf> {
    install::cache()
}

/// What went wrong, in words for the person at the terminal.
pub type Result<T = (), E = String> = std::result::Result<T, E>;
