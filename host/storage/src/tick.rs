//! A timer that is always due soon.
//!
//! tokio wakes the thread that waits for the network whenever a timer is set that is due before all others. Where little else
//! goes on, that is the deadline of every single request, and costs a system call and a change of threads. Beside a timer that
//! is due within a second it does not happen.

use std::time::Duration;

use tokio::task::AbortHandle;

const TICK: Duration = Duration::from_secs(1);

/// Ticks until it is dropped.
#[derive(Debug)]
pub(crate) struct Tick(AbortHandle);

impl Tick {
    pub(crate) fn start() -> Self {
        let ticking = tokio::spawn(async {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
            }
        });
        Tick(ticking.abort_handle())
    }
}

impl Drop for Tick {
    fn drop(&mut self) {
        self.0.abort();
    }
}
