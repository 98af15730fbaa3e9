//! From a [`Config`] to a running store: the storage, and the component over it.

use std::sync::Arc;

use dataknobs_kv_core::{Clock, Error, Result, Storage, Store};
use dataknobs_kv_runtime::{Runtime, RuntimeConfig, SystemClock};
use dataknobs_kv_storage::{DefaultTtls, Metered, OpenOptions, StorageMetrics};
use tokio::sync::OnceCell;

use crate::config::{Config, Source};

/// One engine for the whole process: compiled code and pool are shared by all stores.
static SHARED: OnceCell<Runtime> = OnceCell::const_new();

/// What was opened.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// What the component runs over.
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
}

pub(crate) async fn open(config: &Config) -> Result<Opened> {
    let clock = config.clock.clone().unwrap_or_else(|| Arc::new(SystemClock));
    let mut storage = match &config.source {
        Source::Location(location) => location.open(&options(config)).await?,
        Source::Storage(storage) => match &config.metrics {
            None => Arc::clone(storage),
            Some(metrics) => {
                let counted = Arc::new(StorageMetrics::default());
                metrics.watch(&counted);
                Arc::new(Metered::new(Arc::clone(storage), counted))
            }
        },
    };
    if !config.default_ttls.is_empty() {
        storage = Arc::new(DefaultTtls::new(storage, config.default_ttls.clone())?);
    }
    let runtime = match &config.runtime {
        Some(runtime) => runtime.clone(),
        None => shared_runtime().await?,
    };
    let store = Arc::new(runtime.store(Arc::clone(&storage), Arc::clone(&clock)));
    Ok(Opened { store, storage, clock })
}

fn options(config: &Config) -> OpenOptions {
    let options = OpenOptions::default().create(config.create);
    match &config.metrics {
        None => options,
        Some(metrics) => options.metrics(metrics.clone()),
    }
}

/// The process's own runtime, made at the first call.
pub async fn shared_runtime() -> Result<Runtime> {
    // Loading the compiled component, or compiling it the first time, is no work for an async thread.
    let make = || async {
        tokio::task::spawn_blocking(|| Runtime::new(RuntimeConfig::default()))
            .await
            .map_err(|error| Error::Internal(format!("starting the runtime: {error}")))?
    };
    SHARED.get_or_try_init(make).await.cloned()
}
