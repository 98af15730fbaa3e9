//! Formatting, lints and documentation, with warnings denied.

use crate::Result;
use crate::cargo::{call, cargo};

/// Fails where rustfmt would change something.
pub(crate) fn fmt() -> Result {
    call(&mut cargo(["fmt", "--all", "--check"]))
}

/// Fails on any warning of clippy or rustc, in tests, examples and benches too.
pub(crate) fn clippy() -> Result {
    call(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // What is compiled for browsers alone.
    let browser = ["clippy", "-p", "dataknobs-kv-web", "-p", "dataknobs-kv-web-conformance"];
    call(cargo(browser).args(["--target", crate::web::TARGET, "--", "-D", "warnings"]))
}

/// Fails on any warning of rustdoc: broken links, undocumented items.
pub(crate) fn doc() -> Result {
    call(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    let browser = ["doc", "-p", "dataknobs-kv-web", "--no-deps", "--target", crate::web::TARGET];
    call(cargo(browser).env("RUSTDOCFLAGS", "-D warnings"))
}
