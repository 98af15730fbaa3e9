//! The suite over every runner, and the product as its users meet it.

mod binary;
mod service;

pub use binary::{binary, cache, command};
pub use service::ServiceProcess;

/// The Rust that the README shows is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
