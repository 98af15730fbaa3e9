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

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    pub(crate) async fn update_metadata(
        &self,
        namespace: &str,
        key: &str,
        patch: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        check_names(namespace, key)?;
        // Legal or not, whatever is there.
        metadata::canonical(patch)?;
        self.amend(namespace, key, precondition, self.clock.now(), &mut |attributes: Attributes, now| {
            let merged = metadata::merge(attributes.metadata.as_deref(), patch).map_err(|error| match error {
                Error::Corrupt(what) => corrupt(key, &what),
                error => error,
            })?;
            if let Some(merged) = &merged {
                self.check_metadata(merged)?;
            }
            Ok(Amendment { metadata: merged, updated_at: now, ..unchanged(attributes) })
        })
        .await
    }

    pub(crate) async fn replace_metadata(
        &self,
        namespace: &str,
        key: &str,
        metadata: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        check_names(namespace, key)?;
        let metadata = metadata::canonical(metadata)?;
        if let Some(metadata) = &metadata {
            self.check_metadata(metadata)?;
        }
        self.amend(namespace, key, precondition, self.clock.now(), &mut |attributes, now| {
            Ok(Amendment { metadata: metadata.clone(), updated_at: now, ..unchanged(attributes) })
        })
        .await
    }

    pub(crate) async fn set_expiry(
        &self,
        namespace: &str,
        key: &str,
        expiry: Expiry,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        check_names(namespace, key)?;
        if expiry == Expiry::Unspecified {
            return Err(Error::InvalidArgument("expiry: it must be said which".into()));
        }
        let now = self.clock.now();
        let times = self.explicit_times(expiry, now)?;
        self.amend(namespace, key, precondition, now, &mut |attributes: Attributes, now| {
            let Times { expires_at, sliding_ms } = match (times, attributes.sliding_ms) {
                (Some(times), _) => times,
                (None, Some(span)) => Times { expires_at: Some(clock::after(now, span)?), sliding_ms: Some(span) },
                (None, None) => Times::of(&attributes),
            };
            Ok(Amendment { expires_at, sliding_ms, ..unchanged(attributes) })
        })
        .await
    }

    /// Replaces attributes of a living entry.
    async fn amend(
        &self,
        namespace: &str,
        key: &str,
        precondition: Precondition,
        now: Timestamp,
        amend: &mut Amend<'_>,
    ) -> Result<ChangeResult> {
        let mut refusal = ChangeResult::Absent;
        let mut decide = |seen: Option<State>, now| {
            if !precondition.holds(seen.as_ref().map(|state| &state.version)) {
                refusal = ChangeResult::Conflict(bare(seen));
                return Ok(None);
            }
            refusal = ChangeResult::Absent;
            match seen {
                None => Ok(None),
                Some(state) => Ok(Some(Change::Amend(amend(state.attributes, now)?))),
            }
        };
        let version = self.modify(namespace, key, now, None, Projection::Attributes, &mut decide).await?;
        Ok(version.map_or(refusal, ChangeResult::Written))
    }
}

/// What becomes of an entry's attributes.
#[cfg(not(target_family = "wasm"))]
type Amend<'a> = dyn FnMut(Attributes, Timestamp) -> Result<Amendment> + Send + 'a;
/// What becomes of an entry's attributes.
#[cfg(target_family = "wasm")]
type Amend<'a> = dyn FnMut(Attributes, Timestamp) -> Result<Amendment> + 'a;

/// All as it is.
fn unchanged(attributes: Attributes) -> Amendment {
    Amendment {
        content_type: attributes.content_type,
        metadata: attributes.metadata,
        updated_at: attributes.updated_at,
        expires_at: attributes.expires_at,
        sliding_ms: attributes.sliding_ms,
    }
}
