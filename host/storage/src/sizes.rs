//! What an adapter's limits say of a mutation, before anything is done.

use dataknobs_kv_core::storage::{Change, Mutation};
use dataknobs_kv_core::{Error, Result};

/// `too-large` where the value or the metadata, in bytes, are.
pub(crate) fn check_size(mutation: &Mutation, max_value: usize, max_metadata: usize) -> Result<()> {
    let (value, metadata) = match &mutation.change {
        Change::Put { attributes, value } => (value.len(), attributes.metadata.as_ref()),
        Change::Amend(amendment) => (0, amendment.metadata.as_ref()),
        Change::Extend(_) | Change::Delete | Change::Check => (0, None),
    };
    let metadata = metadata.map_or(0, String::len);
    for (what, limit, actual) in [("value", max_value, value), ("metadata", max_metadata, metadata)] {
        if actual > limit {
            return Err(Error::too_large(what, limit as u64, actual as u64));
        }
    }
    Ok(())
}
