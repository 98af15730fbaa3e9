//! Time, as the core counts it.

use crate::{Error, MaybeSync, Result};

/// Milliseconds since the Unix epoch, UTC.
pub type Timestamp = u64;

/// The last instant that can be written down: the end of the year 9999.
pub const MAX_TIMESTAMP: Timestamp = 253_402_300_799_999;

/// Where the core learns what time it is. Read once for each operation.
pub trait Clock: MaybeSync {
    /// The present.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The instant `span` milliseconds after `now`, if it can be written down.
pub(crate) fn after(now: Timestamp, span: u64) -> Result<Timestamp> {
    now.checked_add(span)
        .filter(|at| *at <= MAX_TIMESTAMP)
        .ok_or_else(|| Error::InvalidArgument("the expiry lies beyond the year 9999".into()))
}
