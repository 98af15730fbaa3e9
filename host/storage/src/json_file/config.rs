//! What can be set for a JSON file.

use std::fmt;
use std::path::{Path, PathBuf};

use dataknobs_kv_core::Result;

use crate::Durability;
use crate::location::Settings;

/// How the snapshot's text is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// As it is.
    None,
    /// As gzip.
    Gzip,
}

impl Compression {
    const WORDS: [(&str, Compression); 2] = [("none", Compression::None), ("gzip", Compression::Gzip)];
}

/// As it is written in a connection string.
impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
        })
    }
}

/// The settings of a JSON file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonFileConfig {
    /// The snapshot; the journal is beside it, under the same name and `.journal`.
    pub path: PathBuf,
    /// How the snapshot is written. None: as the one that is there is; a new one by its name, gzip where that ends in
    /// `.gz`. A snapshot is read either way: its first bytes tell.
    pub compression: Option<Compression>,
    /// When a write is answered.
    pub durability: Durability,
    /// The journal is folded into a new snapshot once it is larger than this, in bytes, and larger than the snapshot.
    pub journal_bytes: u64,
}

impl JsonFileConfig {
    /// Where no other size is set: 1 MiB.
    pub const DEFAULT_JOURNAL_BYTES: u64 = 1 << 20;
    /// The smallest that can be set: 1 KiB.
    pub const MIN_JOURNAL_BYTES: u64 = 1 << 10;

    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        JsonFileConfig {
            path: path.into(),
            compression: None,
            durability: Durability::Immediate,
            journal_bytes: Self::DEFAULT_JOURNAL_BYTES,
        }
    }

    /// From settings by name: `compression`, `durability`, `journal_size`.
    pub(crate) fn from_settings(path: PathBuf, mut settings: Settings) -> Result<Self> {
        let mut config = JsonFileConfig::new(path);
        config.compression = settings.one_of("compression", &Compression::WORDS)?;
        config.durability = settings.one_of("durability", &Durability::WORDS)?.unwrap_or_default();
        if let Some(bytes) = settings.whole("journal_size", Self::MIN_JOURNAL_BYTES, u64::MAX)? {
            config.journal_bytes = bytes;
        }
        settings.finish("a JSON file")?;
        Ok(config)
    }

    /// The same, with this compression.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// The same, with this durability.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same, with the journal folded in above so many bytes (at least [`JsonFileConfig::MIN_JOURNAL_BYTES`]).
    pub fn journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_bytes = bytes.max(Self::MIN_JOURNAL_BYTES);
        self
    }

    /// Whether the file's name alone says that it is JSON.
    pub(crate) fn is_named_so(path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        name.ends_with(".json") || name.ends_with(".json.gz")
    }

    /// What a new snapshot under this name is.
    pub(super) fn compression_of_name(path: &Path) -> Compression {
        match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("gz") => Compression::Gzip,
            _ => Compression::None,
        }
    }
}
