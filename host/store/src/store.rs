//! The handle itself: opening, namespaces, closing.

use std::fmt;
use std::sync::Arc;

use dataknobs_kv_core::{Capabilities, Clock, Result, Storage, Store, key};
use dataknobs_kv_runtime::SystemClock;

use crate::cleanup::{AutoCleanup, CleanupStats};
use crate::config::Config;
use crate::open::{self, Opened};
use crate::serializer::{Serializer, Serializers};

/// A key-value store, and one of its namespaces.
///
/// Cheap to clone, and all clones are the same store: hand them to tasks freely. What it holds closes when the last
/// clone is dropped.
#[derive(Clone)]
pub struct KvStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) namespace: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What lies below the store, where it was opened here.
    pub(crate) storage: Option<Arc<dyn Storage>>,
    serializers: Serializers,
    cleanup: Option<Arc<AutoCleanup>>,
}

impl KvStore {
    /// Opens what a URL names, in the namespace `default`.
    ///
    /// * `memory:` lives as long as the handle and its clones
    /// * `file:data.redb` is a file, durable on acknowledgement; `?durability=relaxed` trades the last moments before a
    ///   crash for speed. One process at a time: a second one gets `unavailable`.
    ///
    /// The file is created where there is none.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("app.name", "MyApplication").await?;
    /// assert_eq!(store.get("app.name").await?, Some("MyApplication".into()));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `invalid-argument` for a URL that is none, `unsupported` for a backend that this build does not have,
    /// `unavailable` for a file in use elsewhere, `corrupt` for one that is not ours or damaged.
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(Config::from_url(url)?).await
    }

    /// Opens what a [`Config`] says: namespace, default ttls, automatic cleanup, serializers, clock.
    ///
    /// # Errors
    /// As [`KvStore::open`].
    pub async fn open_with(config: Config) -> Result<Self> {
        let Opened { store, storage, clock } = open::open(&config).await?;
        let mut kv = Self::over(store, &config.namespace)?;
        kv.clock = clock;
        kv.storage = Some(storage);
        kv.serializers = config.serializers;
        if config.auto_cleanup {
            kv.cleanup = Some(Arc::new(AutoCleanup::start(
                Arc::clone(&kv.store),
                config.cleanup_interval,
                config.metrics.as_ref(),
            )));
        }
        Ok(kv)
    }

    /// The same comfort over any [`Store`]: the component over a storage of your own, or a remote service's client.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use dataknobs_kv::{Core, KvStore, MemoryStorage, SystemClock};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// let counter = std::sync::atomic::AtomicU64::new(0);
    /// let storage = MemoryStorage::new(move || counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into());
    /// let store = KvStore::over(Arc::new(Core::new(storage, SystemClock)), "app")?;
    /// store.set("a", 1).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `invalid-argument` for a namespace that is none.
    pub fn over(store: Arc<dyn Store>, namespace: &str) -> Result<Self> {
        key::validate_namespace(namespace)?;
        Ok(KvStore {
            store,
            namespace: namespace.into(),
            clock: Arc::new(SystemClock),
            storage: None,
            serializers: Serializers::default(),
            cleanup: None,
        })
    }

    /// The same store, in another namespace: 1 to 64 bytes.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// let users = store.namespace("user_data")?;
    /// let system = store.namespace("system")?;
    /// users.set("settings.theme", "dark").await?;
    /// assert_eq!(system.get("settings.theme").await?, None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `invalid-argument` for a name that is none.
    pub fn namespace(&self, name: &str) -> Result<Self> {
        key::validate_namespace(name)?;
        Ok(KvStore { namespace: name.into(), ..self.clone() })
    }

    /// Which namespace this handle works in.
    pub fn namespace_name(&self) -> &str {
        &self.namespace
    }

    /// The store below, for what this handle has no short form of.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The clock by which this handle tells remaining time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// A handle that also knows this serializer, for [`KvStore::set_custom`] and [`KvStore::get_custom`].
    pub fn with_serializer<T: 'static>(&self, serializer: impl Serializer<T> + 'static) -> Result<Self> {
        let mut kv = self.clone();
        kv.serializers.add(serializer)?;
        Ok(kv)
    }

    pub(crate) fn serializers(&self) -> &Serializers {
        &self.serializers
    }

    /// What the storage can do: durability, limits, atomic writes.
    pub async fn capabilities(&self) -> Result<Capabilities> {
        self.store.capabilities().await
    }

    /// What automatic cleanup has done so far; none where it is not running.
    pub fn cleanup_stats(&self) -> Option<CleanupStats> {
        self.cleanup.as_ref().map(|cleanup| cleanup.stats())
    }

    /// Stops automatic cleanup and waits until it has stopped. The storage itself closes with the last clone.
    pub async fn close(self) {
        if let Some(cleanup) = &self.cleanup {
            cleanup.stop().await;
        }
    }
}

impl fmt::Debug for KvStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvStore")
            .field("namespace", &self.namespace)
            .field("auto_cleanup", &self.cleanup.is_some())
            .finish_non_exhaustive()
    }
}
