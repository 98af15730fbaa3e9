//! `cargo xtask bench`: builds the measuring program and the command for use, and runs it.

use crate::Result;
use crate::cargo::{build_release, call, program};

/// Measures what is named, or everything.
pub(crate) fn bench(names: &[String]) -> Result {
    crate::setup::setup()?;
    let programs = [("dataknobs-kv-cli", "dataknobs-kv"), ("dataknobs-kv-bench", "dataknobs-kv-bench")];
    let [service, bench] = build_release(programs)?;
    call(program(&bench.to_string_lossy()).args(names).env("DATAKNOBS_KV_BIN", service))
}
