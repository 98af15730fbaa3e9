//! What became of a write whose answer was lost.
//!
//! Versions are random, so a row that has the version which this write was to give proves that it was applied, and with
//! it all of its statement. That there is none proves nothing: the server may still be at it, or a rival may have
//! overwritten it. Then the outcome stays unknown.

use std::collections::HashMap;
use std::time::Duration;

use dataknobs_kv_core::storage::{Change, Outcome};
use dataknobs_kv_core::{Precondition, Result};

use super::failure::Failure;
use super::format::{Bits, own};
use super::link::Deadline;
use super::write::{Call, Item};

/// When we look: at once, and after so many milliseconds more, for what the server was still at.
const LOOKS_MS: [u64; 4] = [0, 20, 100, 400];

impl Call<'_> {
    pub(super) async fn settle_one(&self, item: Item<'_>, failure: Failure, deadline: Deadline) -> Result<Outcome> {
        let results = self.settle(&[item], true, failure, deadline).await?;
        results.into_iter().next().map_or(Ok(Outcome::NotApplied), |(_, result)| result)
    }

    /// `atomic`: all or none was applied, whatever their preconditions.
    pub(super) async fn settle(
        &self,
        items: &[Item<'_>],
        atomic: bool,
        failure: Failure,
        deadline: Deadline,
    ) -> Result<Vec<(usize, Result<Outcome>)>> {
        let unknown = failure.into_error();
        for pause in LOOKS_MS {
            if !deadline.pause(Duration::from_millis(pause)).await {
                break;
            }
            let Some(versions) = self.versions(items, deadline).await else { continue };
            let ours = |item: &Item| versions.get(&item.mutation.key) == Some(&item.version);
            if items.iter().any(|item| gives_version(item) && ours(item)) {
                let outcome = |item: &Item| match item.mutation.change {
                    _ if gives_version(item) && ours(item) => Ok(Outcome::Written(item.version.version())),
                    Change::Put { .. } if atomic || item.mutation.precondition == Precondition::None => {
                        Ok(Outcome::Written(item.version.version()))
                    }
                    Change::Amend(_) if atomic => Ok(Outcome::Written(item.version.version())),
                    Change::Extend(_) | Change::Check if atomic => Ok(Outcome::Held),
                    Change::Delete if atomic && matches!(item.mutation.precondition, Precondition::Version(_)) => {
                        Ok(Outcome::Deleted)
                    }
                    _ => Err(unknown.clone()),
                };
                return Ok(items.iter().map(|item| (item.place, outcome(item))).collect());
            }
        }
        Err(unknown)
    }

    /// Which versions there are now; none where that cannot be found out.
    async fn versions(&self, items: &[Item<'_>], deadline: Deadline) -> Option<HashMap<String, Bits>> {
        let keys: Vec<&str> = items.iter().map(|item| item.mutation.key.as_str()).collect();
        let rows = self.link.read_until(&self.sql.versions, &[&self.namespace, &keys], deadline).await.ok()?;
        rows.iter().map(|row| Some((own(row, 0).ok()?, own(row, 1).ok()?))).collect()
    }
}

fn gives_version(item: &Item) -> bool {
    matches!(item.mutation.change, Change::Put { .. } | Change::Amend(_))
}
