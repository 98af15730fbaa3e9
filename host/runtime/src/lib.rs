//! Runs the core component under wasmtime over any storage.
