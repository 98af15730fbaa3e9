//! Numbers that many threads add to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A count.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The upper bounds of all buckets but the last, in nanoseconds: from what memory takes to what nobody waits for.
const BOUNDS: [u64; 15] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    10_000_000_000,
];
const BUCKETS: usize = BOUNDS.len() + 1;

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

impl Histogram {
    /// It took so long once more.
    pub fn add(&self, span: Duration) {
        let nanoseconds = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanoseconds);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }

    /// Whether there was none so far.
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.load(Relaxed) == 0)
    }

    /// All spans together in seconds, and how many there were up to each bound and above the one before.
    pub(crate) fn read(&self) -> (f64, [(f64, u64); BUCKETS]) {
        let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
        let mut buckets = [(f64::INFINITY, 0); BUCKETS];
        for (index, (slot, bucket)) in buckets.iter_mut().zip(&self.buckets).enumerate() {
            *slot = (BOUNDS.get(index).map_or(f64::INFINITY, |bound| seconds(*bound)), bucket.load(Relaxed));
        }
        (seconds(self.nanoseconds.load(Relaxed)), buckets)
    }
}
