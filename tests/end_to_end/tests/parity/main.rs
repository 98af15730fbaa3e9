//! The first README of this store, section by section: every line that memory and file concern, through the Rust API,
//! the command line and HTTP. `docs/parity.md` says which line is which call, and names the tests here.

mod cli;
mod documented;
mod http;
mod product;
mod rust;
