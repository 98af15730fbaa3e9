//! The component under wasmtime: on memory, on files, on memory behind a cache.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_conformance::harness::{Over, Reopener, fresh_namespace};
use dataknobs_kv_conformance::{HandClock, Harness, Need, Runner};
use dataknobs_kv_core::storage::{Capabilities, Storage};
use dataknobs_kv_core::{Clock, Store};
use dataknobs_kv_runtime::{Runtime, RuntimeConfig};
use dataknobs_kv_storage::OpenOptions;
use tempfile::TempDir;

pub(crate) struct Component {
    name: &'static str,
    runtime: Runtime,
    /// Where each case has a file of its own, and its ending; none: in memory.
    files: Option<(TempDir, &'static str)>,
    cached: bool,
}

impl Component {
    pub(crate) fn on_memory() -> Self {
        Component { name: "component-memory", runtime: runtime(), files: None, cached: false }
    }

    /// On files with this ending.
    pub(crate) fn on_files(name: &'static str, ending: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Component { name, runtime: runtime(), files: Some((folder, ending)), cached: false }
    }

    pub(crate) fn on_cached_memory() -> Self {
        Component { name: "component-cache", runtime: runtime(), files: None, cached: true }
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        self.files.as_ref().map(|(folder, ending)| folder.path().join(format!("{name}{ending}")))
    }
}

fn runtime() -> Runtime {
    // As the product has it, but with fewer instances set aside.
    Runtime::new(RuntimeConfig { instances: 256, ..RuntimeConfig::default() }).expect("a runtime")
}

async fn open(file: &Path) -> Arc<dyn Storage> {
    let url = format!("file:{}", file.display());
    dataknobs_kv_storage::open(&url, &OpenOptions::default()).await.expect("a file to open")
}

/// Opens the file again, as often as it is asked for.
fn reopener(file: String, over: Over) -> Reopener {
    Reopener(Box::new(move || {
        Box::pin(async move {
            let storage = open(Path::new(&file)).await;
            (over(storage.clone()), Some(storage), Some(reopener(file, over)))
        })
    }))
}

#[async_trait]
impl Runner for Component {
    fn name(&self) -> &'static str {
        self.name
    }
    fn capabilities(&self) -> Capabilities {
        let Some(file) = self.file("capabilities") else { return dataknobs_kv_storage::memory().capabilities() };
        futures::executor::block_on(async { open(&file).await.capabilities() })
    }
    fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Reopen if self.files.is_none() => Some("memory ends with its process"),
            _ => None,
        }
    }
    async fn harness(&self) -> Harness {
        let clock = Arc::new(HandClock::default());
        let (runtime, of_store) = (self.runtime.clone(), clock.clone());
        let over: Over = Arc::new(move |storage| {
            Arc::new(runtime.store(storage, of_store.clone() as Arc<dyn Clock>)) as Arc<dyn Store>
        });
        let namespace = fresh_namespace();
        let file = self.file(&namespace);
        let storage = match &file {
            Some(file) => open(file).await,
            None if self.cached => dataknobs_kv_storage::open("memory:?cache=memory", &OpenOptions::default())
                .await
                .expect("a cache in front of memory"),
            None => Arc::new(dataknobs_kv_storage::memory()),
        };
        Harness {
            store: over(storage.clone()),
            clock,
            namespace,
            capabilities: storage.capabilities(),
            storage: Some(storage),
            reopener: file.map(|file| reopener(file.display().to_string(), over.clone())),
            over: Some(over),
            slow: false,
            batches: true,
        }
    }
}
