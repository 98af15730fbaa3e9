//! What is put in front of a backend: options that every connection string takes, and fields beside `backend`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dataknobs_kv_core::{Result, Storage};
use dataknobs_kv_metrics::Metrics;

use super::settings::Settings;
use super::url::Options;
use crate::layer::{CacheConfig, Cached, Metered, Retrying, StorageMetrics};

/// The settings that belong to layers, whatever the backend.
pub(super) const NAMES: [&str; 4] = ["cache", "cache_ttl", "cache_size", "retry"];

/// What is put in front of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layers {
    /// A cache in memory: [`Cached`].
    pub cache: Option<CacheConfig>,
    /// For how long passing failures of a server are waited out ([`Retrying`]), zero: not at all. None: as it is by
    /// default, two seconds.
    pub retry: Option<Duration>,
}

impl Layers {
    /// From `cache` (`memory` or `none`), `cache_ttl` (seconds), `cache_size` (entries) and `retry` (seconds).
    pub fn from_settings(mut settings: Settings) -> Result<Self> {
        let cache = CacheConfig::take(&mut settings)?;
        let retry = settings.seconds_or_none("retry", Retrying::<Arc<dyn Storage>>::MAX_BUDGET)?;
        settings.finish("the layers in front of a store")?;
        Ok(Layers { cache, retry })
    }

    /// Takes its options out of what stands behind a scheme.
    pub(super) fn split(rest: &str) -> Result<(String, Self)> {
        let Some((before, query)) = rest.split_once('?') else { return Ok((rest.to_owned(), Layers::default())) };
        let ours = |option: &&str| NAMES.contains(&option.split('=').next().unwrap_or_default());
        let (ours, theirs): (Vec<&str>, Vec<&str>) = query.split('&').partition(ours);
        let layers = Layers::from_settings(Settings::from_query(&ours.join("&"))?)?;
        let rest = match theirs.is_empty() {
            true => before.to_owned(),
            false => format!("{before}?{}", theirs.join("&")),
        };
        Ok((rest, layers))
    }

    /// Puts them in front; `server`: whether there is one that may be away for a moment. Each call that reaches the
    /// backend is counted, and so each try.
    pub(super) fn over(
        &self,
        mut storage: Arc<dyn Storage>,
        server: bool,
        metrics: Option<&Metrics>,
    ) -> Arc<dyn Storage> {
        if let Some(metrics) = metrics {
            let counted = Arc::new(StorageMetrics::default());
            metrics.watch(&counted);
            storage = Arc::new(Metered::new(storage, counted));
        }
        let budget = self.retry.unwrap_or(Retrying::<Arc<dyn Storage>>::DEFAULT_BUDGET);
        if server && !budget.is_zero() {
            storage = Arc::new(Retrying::new(storage, budget));
        }
        match self.cache {
            Some(config) => {
                let cached = Arc::new(Cached::new(storage, config));
                if let Some(metrics) = metrics {
                    metrics.watch(&cached);
                }
                cached
            }
            None => storage,
        }
    }
}

/// As options, to stand behind those that are there already or not.
pub(super) fn write(layers: &Layers, behind: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut options = Options::behind(behind);
    if let Some(cache) = &layers.cache {
        options.add("cache", "memory");
        options.add("cache_ttl", cache.ttl.as_secs_f64());
        options.add("cache_size", cache.entries);
    }
    if let Some(retry) = layers.retry {
        options.add("retry", retry.as_secs_f64());
    }
    write!(f, "{options}")
}
