//! What a hint lets an adapter leave out, where it looks at keys and metadata itself.

use dataknobs_kv_core::storage::Hint;
use dataknobs_kv_core::{Pattern, metadata};

/// A hint, read. What narrows nothing is left away, and so is what cannot be read: the core looks again.
pub(crate) struct Filter {
    pattern: Option<Pattern>,
    metadata: Option<metadata::Filter>,
}

impl Filter {
    pub(crate) fn new(hint: &Hint) -> Self {
        let pattern = hint.pattern.as_deref().and_then(|pattern| Pattern::parse(pattern).ok());
        let metadata = hint.metadata.as_deref().and_then(|wanted| metadata::Filter::parse(wanted).ok());
        Filter {
            pattern: pattern.filter(|pattern| !pattern.is_range()),
            metadata: metadata.filter(|metadata| !metadata.is_empty()),
        }
    }

    /// Whether metadata are asked about.
    pub(crate) fn narrows_metadata(&self) -> bool {
        self.metadata.is_some()
    }

    pub(crate) fn key(&self, key: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(key))
    }

    pub(crate) fn metadata(&self, metadata: Option<&str>) -> bool {
        self.metadata.as_ref().is_none_or(|wanted| wanted.matches(metadata))
    }
}
