//! How long and how much the cache keeps.

use std::time::Duration;

use dataknobs_kv_core::Result;

use crate::Settings;

/// The settings of a [`Cached`](super::Cached) storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheConfig {
    /// How old an answer may be, at most [`CacheConfig::MAX_TTL`]: what another process wrote is seen after so long.
    pub ttl: Duration,
    /// How many entries are kept, those of keys that are absent among them. A value counts once for each 64 KiB begun,
    /// so that memory is bounded too.
    pub entries: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        CacheConfig { ttl: Self::DEFAULT_TTL, entries: Self::DEFAULT_ENTRIES }
    }
}

impl CacheConfig {
    /// Where no `cache_ttl` is set: a minute.
    pub const DEFAULT_TTL: Duration = Duration::from_secs(60);
    /// The longest: a day.
    pub const MAX_TTL: Duration = Duration::from_secs(86_400);
    /// Where no `cache_size` is set.
    pub const DEFAULT_ENTRIES: u64 = 10_000;
    /// The most.
    pub const MAX_ENTRIES: u64 = 100_000_000;

    /// The same, with answers of at most this age.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.min(Self::MAX_TTL);
        self
    }

    /// The same, with room for so many entries.
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries.min(Self::MAX_ENTRIES);
        self
    }

    /// Takes `cache`, `cache_ttl` and `cache_size` from the settings; none where there is to be no cache.
    pub(crate) fn take(settings: &mut Settings) -> Result<Option<Self>> {
        let wanted = settings.one_of("cache", &[("memory", true), ("none", false)])?.unwrap_or(false);
        let ttl = settings.seconds("cache_ttl", Self::MAX_TTL)?;
        let entries = settings.whole("cache_size", 1, Self::MAX_ENTRIES)?;
        if !wanted {
            let alone = ttl.map(|_| "cache_ttl").or(entries.map(|_| "cache_size"));
            return alone.map_or(Ok(None), |name| Err(settings.invalid(name, "goes with `cache=memory`")));
        }
        let defaults = CacheConfig::default();
        Ok(Some(CacheConfig { ttl: ttl.unwrap_or(defaults.ttl), entries: entries.unwrap_or(defaults.entries) }))
    }
}
