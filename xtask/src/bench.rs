//! `cargo xtask bench`: builds the measuring program and the command for use, and runs it; `bench web` measures in a browser.

use crate::Result;
use crate::cargo::{build_release, call, program};

/// Measures what is named, or everything.
pub(crate) fn bench(names: &[String]) -> Result {
    crate::setup::setup()?;
    if names.first().is_some_and(|name| name == "web") {
        return crate::web::bench(&names[1..]);
    }
    let programs = [("dataknobs-kv-cli", "dataknobs-kv"), ("dataknobs-kv-bench", "dataknobs-kv-bench")];
    let [service, bench] = build_release(programs, &[])?;
    call(program(&bench.to_string_lossy()).args(names).env("DATAKNOBS_KV_BIN", service))
}
