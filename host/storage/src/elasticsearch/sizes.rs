//! How large values are in this index, so that an answer for many entries stays bounded at little cost.
//!
//! Leaving long values out of an answer costs the server more than reading small documents whole: it takes each one
//! apart and writes it anew. So long values are left out, and asked for in a second request, only where there are any.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Content, Deadline};
use super::failure::Failure;
use super::format::{INLINE_BYTES, LARGE_VALUES, VALUES};
use super::read::Fields;

/// After so long it is asked anew: other processes write too.
const LASTS: Duration = Duration::from_secs(30);
/// Values of which an answer may hold so many bytes before long ones are left out of it.
const ANSWER_BYTES: u64 = 16 << 20;
/// So few are read without a look at how large they may be.
const FEW: usize = 8;
const UNKNOWN: u64 = u64::MAX;

pub(super) struct Sizes {
    /// Bytes of the largest value that a search found.
    largest: AtomicU64,
    /// Of those that this process wrote: a search may not see them yet.
    own: AtomicU64,
    asked: Mutex<Option<Instant>>,
}

#[derive(Deserialize)]
struct Answer {
    aggregations: Aggregations,
}

#[derive(Deserialize)]
struct Aggregations {
    largest: Largest,
}

#[derive(Deserialize)]
struct Largest {
    value: Option<f64>,
}

impl Sizes {
    pub(super) fn new() -> Self {
        Sizes { largest: AtomicU64::new(UNKNOWN), own: AtomicU64::new(0), asked: Mutex::new(None) }
    }

    /// This process writes such a value.
    pub(super) fn written(&self, bytes: usize) {
        self.own.fetch_max(bytes as u64, Ordering::AcqRel);
    }

    /// Sees to it that it is known, before documents of many entries are read.
    pub(super) async fn learn(
        &self,
        client: &Client,
        path: &str,
        entries: usize,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        if entries <= FEW || !self.is_due() {
            return Ok(());
        }
        let search = json!({
            "size": 0,
            "track_total_hits": false,
            "aggs": {"largest": {"max": {"field": "size"}}},
        });
        let path = format!("{path}/_search");
        match client.ask::<Answer>(Method::POST, &path, Content::json(&search), deadline).await {
            Ok(answer) => {
                let largest = answer.aggregations.largest.value.unwrap_or(0.0) as u64;
                self.largest.store(largest, Ordering::Release);
                Ok(())
            }
            Err(failure) => {
                *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Err(failure)
            }
        }
    }

    fn is_due(&self) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = asked.is_none_or(|at| at.elapsed() > LASTS);
        if due {
            *asked = Some(Instant::now());
        }
        due
    }

    /// Which fields an answer with so many entries leaves out.
    pub(super) fn excluded(&self, fields: Fields, entries: usize) -> Option<&'static str> {
        let largest = self.largest.load(Ordering::Acquire).max(self.own.load(Ordering::Acquire));
        let small = largest <= INLINE_BYTES as u64;
        match fields {
            Fields::All => None,
            Fields::Attributes => (!small).then_some(VALUES),
            Fields::Inline => (!small && largest.saturating_mul(entries as u64) > ANSWER_BYTES).then_some(LARGE_VALUES),
        }
    }
}
