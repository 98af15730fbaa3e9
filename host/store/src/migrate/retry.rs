//! What passes is waited for.

use std::time::Duration;

use dataknobs_kv_core::{Error, Result};
use tokio::time::Instant;

use super::options::MigrateOptions;
use super::report::MigrateEvent;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Whether to try again can help. Every write of a migration may be made twice, so one of unknown outcome is made again.
pub(super) fn passes(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::RateLimited(_) | Error::OutcomeUnknown(_))
}

/// One thing that is tried until it succeeds, fails for good, or has failed for too long.
pub(super) struct Retry<'a> {
    options: &'a MigrateOptions,
    since: Option<Instant>,
    wait: Duration,
}

impl<'a> Retry<'a> {
    pub(super) fn new(options: &'a MigrateOptions) -> Self {
        Retry { options, since: None, wait: FIRST }
    }

    /// Waits before the next try, or gives the error back where there is none.
    pub(super) async fn after(&mut self, error: Error) -> Result<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if !passes(&error) || since.elapsed() + self.wait > self.options.retry_for || self.options.stopped() {
            return Err(error);
        }
        self.options.tell(MigrateEvent::Retry(&error));
        let wait = match error {
            Error::RateLimited(Some(ms)) => Duration::from_millis(*ms).min(LONGEST),
            _ => self.wait,
        };
        tokio::time::sleep(wait).await;
        self.wait = (self.wait * 2).min(LONGEST);
        Ok(())
    }
}
