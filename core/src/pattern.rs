//! Glob patterns over keys.
use crate::{Result, storage::Range};
/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern;
impl Pattern {
    /// Compiles.
    pub fn parse(_pattern: &str) -> Result<Self> {
        todo!()
    }
    /// Whether the key matches.
    pub fn matches(&self, _key: &str) -> bool {
        todo!()
    }
    /// The range of keys in which all matches lie.
    pub fn range(&self) -> Range {
        todo!()
    }
    /// Whether every key of the range matches.
    pub fn is_range(&self) -> bool {
        todo!()
    }
    /// The one key that can match, if the pattern has no wildcards.
    pub fn exact(&self) -> Option<&str> {
        todo!()
    }
}
