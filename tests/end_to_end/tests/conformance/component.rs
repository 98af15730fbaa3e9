//! The component under wasmtime: on memory, on files, on memory behind a cache, on servers.

use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_conformance::harness::{Over, Reopener, fresh_namespace};
use dataknobs_kv_conformance::{HandClock, Harness, Need, Runner};
use dataknobs_kv_core::storage::{Capabilities, Storage};
use dataknobs_kv_core::{Clock, Store};
use dataknobs_kv_runtime::{Runtime, RuntimeConfig};
use dataknobs_kv_services::Service;
use dataknobs_kv_storage::OpenOptions;
use tempfile::TempDir;

pub(crate) struct Component {
    name: String,
    runtime: Runtime,
    place: Place,
    capabilities: Capabilities,
}

/// Where entries are.
enum Place {
    Memory,
    CachedMemory,
    /// Each case has a file of its own, with this ending.
    Files(TempDir, &'static str),
    /// Cases share a store, or have each their own in the same bucket.
    Server(Service, String),
}

impl Component {
    async fn new(name: impl Into<String>, place: Place) -> Self {
        let capabilities = open(&place.url("capabilities").0).await.capabilities();
        // As the product has it, but with fewer instances set aside.
        let config = RuntimeConfig { instances: 256, ..RuntimeConfig::default() };
        Component { name: name.into(), runtime: Runtime::new(config).expect("a runtime"), place, capabilities }
    }

    pub(crate) async fn on_memory() -> Self {
        Self::new("component-memory", Place::Memory).await
    }

    /// On files with this ending.
    pub(crate) async fn on_files(name: &str, ending: &'static str) -> Self {
        Self::new(name, Place::Files(tempfile::tempdir().expect("a folder"), ending)).await
    }

    pub(crate) async fn on_cached_memory() -> Self {
        Self::new("component-cache", Place::CachedMemory).await
    }

    pub(crate) async fn on_server(service: Service, url: String) -> Self {
        Self::new(name_on(service), Place::Server(service, url)).await
    }
}

/// How the runner over this server is called.
pub(crate) fn name_on(service: Service) -> String {
    format!("component-{}", service.name)
}

impl Place {
    /// For a case with this namespace; and whether it is still there for who opens it again.
    fn url(&self, namespace: &str) -> (String, bool) {
        match self {
            Place::Memory => ("memory:".into(), false),
            Place::CachedMemory => ("memory:?cache=memory".into(), false),
            Place::Files(folder, ending) => (format!("file:{}{ending}", folder.path().join(namespace).display()), true),
            Place::Server(service, url) => (service.apart(url, namespace).unwrap_or_else(|| url.clone()), true),
        }
    }
}

async fn open(url: &str) -> Arc<dyn Storage> {
    dataknobs_kv_storage::open(url, &OpenOptions::default()).await.expect("a store to open")
}

/// Opens it again, as often as it is asked for.
fn reopener(url: String, over: Over) -> Reopener {
    Reopener(Box::new(move || {
        Box::pin(async move {
            let storage = open(&url).await;
            (over(storage.clone()), Some(storage), Some(reopener(url, over)))
        })
    }))
}

#[async_trait]
impl Runner for Component {
    fn name(&self) -> &str {
        &self.name
    }
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
    fn lacks(&self, need: Need) -> Option<&'static str> {
        match (need, &self.place) {
            (Need::Reopen, Place::Memory | Place::CachedMemory) => Some("memory ends with its process"),
            (Need::Volume, Place::Server(service, _)) => service.lacks_volume(),
            _ => None,
        }
    }
    fn leaves_out(&self, topic: &str) -> Option<&'static str> {
        match &self.place {
            Place::Server(service, _) => service.leaves_out(topic),
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
        let (url, stays) = self.place.url(&namespace);
        let storage = open(&url).await;
        Harness {
            store: over(storage.clone()),
            clock,
            namespace,
            capabilities: storage.capabilities(),
            storage: Some(storage),
            reopener: stays.then(|| reopener(url, over.clone())),
            over: Some(over),
            slow: matches!(self.place, Place::Server(..)),
            batches: true,
        }
    }
}
