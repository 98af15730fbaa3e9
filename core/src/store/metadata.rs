//! Changing metadata and expiry; the value stays where it is.

use super::{
    ChangeResult, Core, Expiry,
    core::{bare, check_names, corrupt},
    draft::Times,
};
use crate::{
    Attributes, Clock, Error, Precondition, Projection, Result, State, Storage, Timestamp, clock, metadata,
    storage::{Amendment, Change},
};

/// What is to be changed.
#[derive(Clone, Copy)]
pub(super) enum Edit<'a> {
    /// These fields of the metadata: the text of a JSON object.
    Merge(&'a str),
    /// All metadata.
    Replace(&'a str),
    Expiry(Expiry),
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    /// Changes attributes of a living entry.
    pub(super) async fn edit(
        &self,
        namespace: &str,
        key: &str,
        edit: Edit<'_>,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        let now = self.clock.now();
        let edited = self.check_edit(namespace, key, edit, now)?;
        let mut refusal = ChangeResult::Absent;
        let mut decide = |seen: Option<State>, now| {
            if !precondition.holds(seen.as_ref().map(|state| &state.version)) {
                refusal = ChangeResult::Conflict(bare(seen));
                return Ok(None);
            }
            refusal = ChangeResult::Absent;
            match seen {
                None => Ok(None),
                Some(state) => self.amendment(key, edit, &edited, state.attributes, now).map(Change::Amend).map(Some),
            }
        };
        let version = self.modify(namespace, key, now, false, Projection::Attributes, &mut decide).await?;
        Ok(version.map_or(refusal, ChangeResult::Written))
    }

    /// Whether the edit is legal, whatever is there; and what it says for all entries.
    fn check_edit(&self, namespace: &str, key: &str, edit: Edit<'_>, now: Timestamp) -> Result<Edited> {
        check_names(namespace, key)?;
        let mut edited = Edited::default();
        match edit {
            Edit::Merge(patch) => drop(metadata::canonical(patch)?),
            Edit::Replace(metadata) => {
                edited.metadata = metadata::canonical(metadata)?;
                if let Some(metadata) = &edited.metadata {
                    self.check_metadata(metadata)?;
                }
            }
            Edit::Expiry(Expiry::Unspecified) => {
                return Err(Error::InvalidArgument("expiry: it must be said which".into()));
            }
            Edit::Expiry(expiry) => edited.times = self.explicit_times(expiry, now)?,
        }
        Ok(edited)
    }

    fn amendment(
        &self,
        key: &str,
        edit: Edit<'_>,
        edited: &Edited,
        attributes: Attributes,
        now: Timestamp,
    ) -> Result<Amendment> {
        let mut amendment = Amendment {
            content_type: attributes.content_type,
            metadata: attributes.metadata,
            updated_at: now,
            expires_at: attributes.expires_at,
            sliding_ms: attributes.sliding_ms,
        };
        match edit {
            Edit::Merge(patch) => {
                let merged = metadata::merge(amendment.metadata.as_deref(), patch).map_err(|error| match error {
                    Error::Corrupt(what) => corrupt(key, &what),
                    error => error,
                })?;
                if let Some(merged) = &merged {
                    self.check_metadata(merged)?;
                }
                amendment.metadata = merged;
            }
            Edit::Replace(_) => amendment.metadata = edited.metadata.clone(),
            Edit::Expiry(_) => {
                amendment.updated_at = attributes.updated_at;
                if let Some(times) = edited.times {
                    amendment.expires_at = times.expires_at;
                    amendment.sliding_ms = times.sliding_ms;
                } else if let Some(span) = amendment.sliding_ms {
                    amendment.expires_at = Some(clock::after(now, span)?);
                }
            }
        }
        Ok(amendment)
    }
}

/// What an edit says for all entries: their metadata, or times (none: a sliding expiry starts anew).
#[derive(Default)]
struct Edited {
    metadata: Option<String>,
    times: Option<Times>,
}
