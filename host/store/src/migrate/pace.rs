//! The rate: not more than so many entries a second.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// Entries asked for at a time.
const PAGE: u32 = 1000;

/// When the next entries may come.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<NonZeroU32>,
    due: Instant,
}

impl Pace {
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        Pace { rate, due: Instant::now() }
    }

    /// How many entries to ask for at a time: a slow rate takes small steps, four a second.
    pub(super) fn page(&self) -> u32 {
        self.rate.map_or(PAGE, |rate| (rate.get() / 4).clamp(1, PAGE))
    }

    /// Waits until the entries taken before have had their time; then these are taken.
    pub(super) async fn take(&mut self, entries: usize) {
        let Some(rate) = self.rate else { return };
        let now = Instant::now();
        if self.due > now {
            tokio::time::sleep_until(self.due).await;
        }
        // Time that was lost elsewhere is not made up for.
        self.due = self.due.max(now) + Duration::from_secs(1).mul_f64(entries as f64 / f64::from(rate.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_and_lost_time_is_not_made_up() {
        let mut pace = Pace::new(NonZeroU32::new(100));
        assert_eq!(pace.page(), 25);
        let began = Instant::now();
        for _ in 0..4 {
            pace.take(25).await;
        }
        assert_eq!(began.elapsed().as_millis(), 750);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let began = Instant::now();
        for _ in 0..4 {
            pace.take(25).await;
        }
        assert_eq!(began.elapsed().as_millis(), 750);
        assert_eq!(Pace::new(NonZeroU32::new(1)).page(), 1);
        assert_eq!(Pace::new(None).page(), 1000);
    }
}
