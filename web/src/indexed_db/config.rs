//! Settings.

use dataknobs_kv_core::{Error, Result};

/// When a write is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the operating system has it: it survives the browser, not a power cut. What browsers do if not told.
    #[default]
    Relaxed,
    /// When it is on disk.
    Strict,
}

impl Durability {
    /// `relaxed` or `strict`.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "relaxed" => Ok(Durability::Relaxed),
            "strict" => Ok(Durability::Strict),
            _ => Err(Error::InvalidArgument("durability: it is `relaxed` or `strict`".into())),
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Durability::Relaxed => "relaxed",
            Durability::Strict => "strict",
        }
    }
}

/// Which database, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedDbConfig {
    /// The database's name, as the browser's tools show it.
    pub name: String,
    /// When a write is answered.
    pub durability: Durability,
    /// How long opening, or a transaction, may take, in milliseconds.
    pub timeout_ms: u32,
}

impl IndexedDbConfig {
    /// The database of this name.
    pub fn new(name: impl Into<String>) -> Self {
        IndexedDbConfig { name: name.into(), durability: Durability::default(), timeout_ms: 10_000 }
    }
}
