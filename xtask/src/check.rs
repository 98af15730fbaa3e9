//! Formatting, lints and documentation, with warnings denied.

use crate::Result;
use crate::cargo::{call, cargo};

/// Fails where rustfmt would change something.
pub(crate) fn fmt() -> Result {
    call(&mut cargo(["fmt", "--all", "--check"]))
}

/// Fails on any warning of clippy or rustc, in tests, examples and benches too.
pub(crate) fn clippy() -> Result {
    call(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// Fails on any warning of rustdoc: broken links, undocumented items.
pub(crate) fn doc() -> Result {
    call(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}
