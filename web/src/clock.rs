//! The browser's clock.

use dataknobs_kv_core::{Clock, Timestamp};

/// What `Date.now()` says.
#[derive(Clone, Copy, Debug, Default)]
pub struct BrowserClock;

impl Clock for BrowserClock {
    fn now(&self) -> Timestamp {
        crate::js::now() as Timestamp
    }
}
