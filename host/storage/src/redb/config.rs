//! What can be set for a redb file.

use std::fmt;
use std::path::PathBuf;

use dataknobs_kv_core::Result;

use crate::location::Settings;

/// When a write is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When it is on disk (`fsync`): whatever was answered survives the death of the process and a power cut.
    #[default]
    Immediate,
    /// When it can be read. It reaches the disk within about a second, and when the store is closed; the death of the
    /// process loses the writes since then, whole commits from the end: what is left is a state that once was.
    Relaxed,
}

impl Durability {
    pub(crate) const WORDS: [(&str, Durability); 2] =
        [("immediate", Durability::Immediate), ("relaxed", Durability::Relaxed)];
}

/// As it is written in a connection string.
impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::Immediate => "immediate",
            Durability::Relaxed => "relaxed",
        })
    }
}

/// The settings of a redb file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedbConfig {
    /// The file.
    pub path: PathBuf,
    /// When a write is answered.
    pub durability: Durability,
    /// How much memory its pages may take, in bytes; at least [`RedbConfig::MIN_CACHE_BYTES`].
    pub cache_bytes: usize,
}

impl RedbConfig {
    /// The smallest cache: 1 MiB.
    pub const MIN_CACHE_BYTES: usize = 1 << 20;
    /// The cache where none is set: 256 MiB. It fills as pages are used.
    pub const DEFAULT_CACHE_BYTES: usize = 256 << 20;

    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        RedbConfig { path: path.into(), durability: Durability::Immediate, cache_bytes: Self::DEFAULT_CACHE_BYTES }
    }

    /// From settings by name: `durability`, `page_cache_size`.
    pub(crate) fn from_settings(path: PathBuf, mut settings: Settings) -> Result<Self> {
        let mut config = RedbConfig::new(path);
        let durability = settings.one_of("durability", &Durability::WORDS)?;
        config.durability = durability.unwrap_or_default();
        if let Some(bytes) = settings.whole("page_cache_size", Self::MIN_CACHE_BYTES, usize::MAX)? {
            config.cache_bytes = bytes;
        }
        settings.finish("a redb file")?;
        Ok(config)
    }

    /// The same, with this durability.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same, with a cache of so many bytes (at least [`RedbConfig::MIN_CACHE_BYTES`]).
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes.max(Self::MIN_CACHE_BYTES);
        self
    }
}
