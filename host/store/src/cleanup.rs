//! Removing what has expired: on request, and in the background.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dataknobs_kv_core::{Error, Result, Store};
use dataknobs_kv_metrics::{Families, Histogram, Metrics, Source};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::KvStore;

/// Entries removed by one call: small, so that foreground writes come between.
const STEP: u32 = 500;
/// Calls in one background round; what is left waits for the next.
const STEPS_PER_ROUND: u32 = 20;
/// How long it waits, where that is less than the interval.
const WHILE_MORE: Duration = Duration::from_secs(1);

/// The shortest interval of automatic cleanup; shorter ones are `invalid-argument`.
pub const MIN_CLEANUP_INTERVAL: Duration = Duration::from_millis(100);

/// What automatic cleanup of this process has done since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupStats {
    /// Rounds finished.
    pub rounds: u64,
    /// Entries removed: by this process, not by others on the same backend.
    pub removed: u64,
    /// Rounds that ended in an error; the next one tries again.
    pub failures: u64,
}

#[derive(Default)]
struct Counters {
    rounds: AtomicU64,
    removed: AtomicU64,
    failures: AtomicU64,
    times: Histogram,
}

impl Source for Counters {
    fn tell(&self, families: &mut Families<'_>) -> fmt::Result {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        families.counter("cleanup_rounds", "Rounds of automatic cleanup", count(&self.rounds))?;
        families.counter("cleanup_removed", "Entries that this process removed as expired", count(&self.removed))?;
        families.counter("cleanup_failures", "Rounds that ended in an error", count(&self.failures))?;
        let unlabelled: [(&str, &str); 0] = [];
        families.spans("cleanup_round", "How long a round took", [(unlabelled, &self.times)])
    }
}

/// The background task: it holds the store but not this handle, and ends when the handle is dropped.
pub(crate) struct AutoCleanup {
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl AutoCleanup {
    pub(crate) fn start(store: Arc<dyn Store>, interval: Duration, metrics: Option<&Metrics>) -> Self {
        let counters = Arc::new(Counters::default());
        if let Some(metrics) = metrics {
            metrics.watch(&counters);
        }
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(store, interval, Arc::clone(&counters), stopped));
        AutoCleanup { counters, stop, task: Mutex::new(Some(task)) }
    }

    pub(crate) fn stats(&self) -> CleanupStats {
        CleanupStats {
            rounds: self.counters.rounds.load(Relaxed),
            removed: self.counters.removed.load(Relaxed),
            failures: self.counters.failures.load(Relaxed),
        }
    }

    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "automatic cleanup ended badly");
        }
    }
}

async fn run(store: Arc<dyn Store>, interval: Duration, counters: Arc<Counters>, mut stopped: watch::Receiver<bool>) {
    let mut more = false;
    loop {
        // What one round leaves is not put off for a whole interval. Processes that began together part: none has to wait
        // for another's locks.
        let most = if more { interval.min(WHILE_MORE) } else { interval };
        let wait = most.mul_f64(rand::random_range(0.75..=1.0));
        // A dropped sender ends the wait with an error: the store was dropped.
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let begun = Instant::now();
        let mut removed = 0;
        let outcome = round(&store, &mut removed, &stopped).await;
        counters.removed.fetch_add(removed, Relaxed);
        counters.times.add(begun.elapsed());
        more = matches!(outcome, Ok(true));
        match outcome {
            Ok(_) => {
                counters.rounds.fetch_add(1, Relaxed);
                tracing::debug!(removed, "automatic cleanup");
            }
            Err(error) => {
                counters.failures.fetch_add(1, Relaxed);
                tracing::warn!(%error, removed, "automatic cleanup failed and will try again");
            }
        }
    }
}

/// Whether more may be left.
async fn round(store: &Arc<dyn Store>, removed: &mut u64, stopped: &watch::Receiver<bool>) -> Result<bool> {
    for _ in 0..STEPS_PER_ROUND {
        let cleaned = store.cleanup_expired(None, STEP).await?;
        *removed += u64::from(cleaned.count);
        if !cleaned.more || *stopped.borrow() || stopped.has_changed().is_err() {
            return Ok(cleaned.more);
        }
        tokio::task::yield_now().await;
    }
    Ok(true)
}

impl KvStore {
    /// Removes what has expired in this namespace, and says how many entries that were. Expired entries are absent
    /// anyway: this gives their room back.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// let expired_count = store.cleanup_expired().await?;
    /// println!("Removed {expired_count} expired keys");
    /// # Ok(()) }
    /// ```
    pub async fn cleanup_expired(&self) -> Result<u64> {
        self.cleanup(Some(&self.namespace)).await
    }

    /// As [`KvStore::cleanup_expired`], in every namespace.
    pub async fn cleanup_expired_everywhere(&self) -> Result<u64> {
        self.cleanup(None).await
    }

    async fn cleanup(&self, namespace: Option<&str>) -> Result<u64> {
        let mut removed = 0;
        loop {
            let cleaned = self.store.cleanup_expired(namespace, STEP).await?;
            removed += u64::from(cleaned.count);
            if !cleaned.more {
                return Ok(removed);
            }
        }
    }
}

pub(crate) fn check_interval(interval: Duration) -> Result<Duration> {
    if interval < MIN_CLEANUP_INTERVAL {
        return Err(Error::InvalidArgument(format!(
            "cleanup_interval: at least {} ms",
            MIN_CLEANUP_INTERVAL.as_millis()
        )));
    }
    Ok(interval)
}
