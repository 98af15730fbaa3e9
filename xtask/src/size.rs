//! The size of the core component.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Result;
use crate::cargo::{cargo, output};

/// Builds the component (which fails where it is too large) and prints its size in bytes.
pub(crate) fn size() -> Result {
    crate::setup::setup()?;
    let component = component()?;
    let bytes = std::fs::metadata(&component).map_err(|e| format!("cannot read {}: {e}", component.display()))?.len();
    println!("{bytes}");
    Ok(())
}

/// Where the build script of the runtime put the component.
fn component() -> Result<PathBuf> {
    let args = ["build", "--package", "dataknobs-kv-runtime", "--message-format", "json-render-diagnostics"];
    let messages = output(&mut cargo(args))?;
    for line in String::from_utf8_lossy(&messages).lines() {
        let message: Value = serde_json::from_str(line).map_err(|e| format!("cargo's message is not JSON: {e}"))?;
        let ours = message["package_id"].as_str().is_some_and(|id| id.contains("/host/runtime#"));
        if let (true, Some(folder)) = (ours, message["out_dir"].as_str()) {
            return Ok(Path::new(folder).join("component.wasm"));
        }
    }
    Err("cargo ran no build script of dataknobs-kv-runtime".into())
}
