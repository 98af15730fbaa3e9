//! Random operations against the model, over the component: on memory, and on a redb file.

use std::sync::Arc;

use dataknobs_kv_conformance::harness::fresh_namespace;
use dataknobs_kv_conformance::model::random_operations;
use dataknobs_kv_conformance::run::runtime;
use dataknobs_kv_conformance::{HandClock, Harness};
use dataknobs_kv_core::Storage;
use dataknobs_kv_runtime::{Runtime, RuntimeConfig};
use dataknobs_kv_storage::OpenOptions;

/// The component over this storage; each time a new clock and a new namespace.
fn harness(runtime: &Runtime, storage: &Arc<dyn Storage>) -> Harness {
    let clock = Arc::new(HandClock::default());
    Harness {
        store: Arc::new(runtime.store(storage.clone(), clock.clone())),
        clock,
        namespace: fresh_namespace(),
        storage: Some(storage.clone()),
        over: None,
        reopener: None,
        capabilities: storage.capabilities(),
        slow: false,
        batches: true,
    }
}

fn component() -> Runtime {
    Runtime::new(RuntimeConfig { instances: 16, ..RuntimeConfig::default() }).expect("a runtime")
}

#[test]
fn component_on_memory() {
    let component = component();
    let storage: Arc<dyn Storage> = Arc::new(dataknobs_kv_storage::memory());
    random_operations(&runtime(), 300, "tests/model-memory.seeds", async || harness(&component, &storage));
}

#[test]
fn component_on_redb() {
    let (tokio, component) = (runtime(), component());
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("file:{}?durability=relaxed", folder.path().join("data.redb").display());
    let storage = tokio.block_on(dataknobs_kv_storage::open(&url, &OpenOptions::default())).expect("a file");
    random_operations(&tokio, 100, "tests/model-redb.seeds", async || harness(&component, &storage));
}
