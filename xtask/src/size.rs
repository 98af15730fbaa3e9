//! The size of the core component.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Result;
use crate::cargo::{cargo, output};

/// What the component may weigh, in bytes.
const LIMIT: u64 = 250_000;

/// Builds the component and prints its size in bytes; too large a one is a failure.
pub(crate) fn size() -> Result {
    crate::setup::setup()?;
    let component = component()?;
    let bytes = std::fs::metadata(&component).map_err(|e| format!("cannot read {}: {e}", component.display()))?.len();
    println!("{bytes}");
    if bytes > LIMIT { Err(format!("the component has {bytes} bytes; {LIMIT} are the limit")) } else { Ok(()) }
}

/// Where the build script of the runtime put the component.
fn component() -> Result<PathBuf> {
    let args = ["build", "--package", "dataknobs-kv-runtime", "--message-format", "json-render-diagnostics"];
    let messages = output(&mut cargo(args))?;
    for line in String::from_utf8_lossy(&messages).lines() {
        let message: Value = serde_json::from_str(line).map_err(|e| format!("cargo's message is not JSON: {e}"))?;
        let ours = message["package_id"].as_str().is_some_and(|id| id.contains("/host/runtime#"));
        if let (true, Some(folder)) = (ours, message["out_dir"].as_str()) {
            return wasm_in(Path::new(folder));
        }
    }
    Err("cargo ran no build script of dataknobs-kv-runtime".into())
}

fn wasm_in(folder: &Path) -> Result<PathBuf> {
    let files = std::fs::read_dir(folder).map_err(|e| format!("cannot read {}: {e}", folder.display()))?;
    let mut files =
        files.filter_map(|file| Some(file.ok()?.path())).filter(|path| path.extension() == Some("wasm".as_ref()));
    files.next().ok_or_else(|| format!("no component in {}", folder.display()))
}
