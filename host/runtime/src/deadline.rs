//! When a call must have ended.

use std::{pin::pin, task::Poll, time::Duration};

use tokio::{
    runtime::Handle,
    time::{Instant, Sleep, sleep_until},
};

/// The time that a call may take, from when it waits for the first time: most calls never do, and then neither clock nor
/// timer is touched. What a call computes is bounded apart.
pub(crate) struct Deadline {
    span: Duration,
    at: Option<Instant>,
}

/// The time is up, or cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Late,
    /// There is no tokio runtime with timers around the call.
    NoTimers,
}

impl Deadline {
    pub(crate) fn after(span: Duration) -> Self {
        Deadline { span, at: None }
    }

    fn at(&mut self) -> Instant {
        let span = self.span;
        *self.at.get_or_insert_with(|| {
            let now = Instant::now();
            // A span beyond what the timer can hold means: not at all.
            now.checked_add(span).unwrap_or_else(|| now + Duration::from_secs(1 << 31))
        })
    }

    /// Waits for the work until then.
    pub(crate) async fn within<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let mut work = pin!(work);
        let mut sleep = pin!(None::<Sleep>);
        std::future::poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            if sleep.is_none() {
                if Handle::try_current().is_err() {
                    return Poll::Ready(Err(Ended::NoTimers));
                }
                sleep.set(Some(sleep_until(self.at())));
            }
            match sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.poll(context).map(|()| Err(Ended::Late)),
                None => Poll::Pending,
            }
        })
        .await
    }
}
