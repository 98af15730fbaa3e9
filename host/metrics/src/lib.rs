//! What is counted, and how it is told to Prometheus.
//!
//! * [`Counter`] and [`Histogram`]: what hot paths add to. One or two atomic additions: no lock, no allocation, no look-up.
//! * [`Source`]: whoever counts, and says under which names; [`Families`]: where it says so
//! * [`Metrics`]: all sources of a process, and their text
//!
//! ```
//! use std::sync::Arc;
//! use dataknobs_kv_metrics::{Counter, Families, Metrics, Source};
//!
//! #[derive(Default)]
//! struct Doors { opened: Counter }
//!
//! impl Source for Doors {
//!     fn tell(&self, families: &mut Families<'_>) -> std::fmt::Result {
//!         families.counters("doors_opened", "Doors opened", [([("side", "left")], self.opened.get())])
//!     }
//! }
//!
//! let (metrics, doors) = (Metrics::new(), Arc::new(Doors::default()));
//! metrics.add(doors.clone());
//! doors.opened.add(1);
//! assert!(metrics.text().contains("dataknobs_kv_doors_opened_total{side=\"left\"} 1\n"));
//! ```

mod number;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

pub use number::{Counter, Histogram};

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Whoever counts something.
pub trait Source: Send + Sync {
    /// Says what was counted so far.
    fn tell(&self, families: &mut Families<'_>) -> fmt::Result;
}

/// Says nothing once it is gone: metrics keep nobody alive.
impl<S: Source> Source for Weak<S> {
    fn tell(&self, families: &mut Families<'_>) -> fmt::Result {
        self.upgrade().map_or(Ok(()), |source| source.tell(families))
    }
}

/// All sources of a process. Clones are the same.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Whether they are the same, not whether they hold the same.
impl PartialEq for Metrics {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Metrics {}

impl Metrics {
    /// Without sources.
    pub fn new() -> Self {
        Metrics(Arc::new(Mutex::new(Registry::with_prefix("dataknobs_kv"))))
    }

    /// Adds a source. Each name is told by one source.
    pub fn add(&self, source: Arc<impl Source + 'static>) {
        self.registry().register_collector(Box::new(Told(source)));
    }

    /// As [`Metrics::add`], for as long as others hold the source.
    pub fn watch<S: Source + 'static>(&self, source: &Arc<S>) {
        self.add(Arc::new(Arc::downgrade(source)));
    }

    /// What all sources say, in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text fails only if a source does; what is there is told.
        let _ = prometheus_text::encode(&mut text, &self.registry());
        text
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source, as the encoder wants it.
struct Told<S>(Arc<S>);

impl<S> fmt::Debug for Told<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

impl<S: Source + 'static> Collector for Told<S> {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        self.0.tell(&mut Families(encoder))
    }
}

/// Where a source says what it has. Names are written behind `dataknobs_kv_`.
pub struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    /// Counts that only grow, by their labels; `_total` is added to the name.
    pub fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        counts: impl IntoIterator<Item = ([(&'l str, &'l str); N], u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in counts {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
        }
        Ok(())
    }

    /// A count without labels.
    pub fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, u64, f64>(&count, None)
    }

    /// What may grow and shrink.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        family.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// Spans of time, by their labels; `_seconds` is added to the name.
    pub fn spans<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        spans: impl IntoIterator<Item = ([(&'l str, &'l str); N], &'l Histogram)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (labels, histogram) in spans {
            let (sum, buckets) = histogram.read();
            let count = buckets.iter().map(|(_, count)| count).sum();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Sample {
        calls: Counter,
        time: Histogram,
    }

    impl Source for Sample {
        fn tell(&self, families: &mut Families<'_>) -> fmt::Result {
            families.counters("calls", "Calls", [([("of", "a\"b")], self.calls.get())])?;
            families.gauge("size", "Size", 3)?;
            families.spans("call", "How long", [([("of", "x")], &self.time)])
        }
    }

    #[test]
    fn the_text_is_prometheus() {
        let (metrics, sample) = (Metrics::new(), Arc::new(Sample::default()));
        metrics.watch(&sample);
        sample.calls.add(2);
        for micros in [5, 10, 11, 3_000_000, 60_000_000] {
            sample.time.add(Duration::from_micros(micros));
        }
        let text = metrics.text();
        for line in [
            "# TYPE dataknobs_kv_calls_total counter",
            "dataknobs_kv_calls_total{of=\"a\\\"b\"} 2",
            "# TYPE dataknobs_kv_size gauge",
            "dataknobs_kv_size 3",
            "# TYPE dataknobs_kv_call_seconds histogram",
            "dataknobs_kv_call_seconds_count{of=\"x\"} 5",
            "dataknobs_kv_call_seconds_bucket{of=\"x\",le=\"1e-05\"} 2",
            "dataknobs_kv_call_seconds_bucket{of=\"x\",le=\"+Inf\"} 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
        drop(sample);
        assert_eq!(metrics.text(), "", "nobody is kept alive");
    }
}
