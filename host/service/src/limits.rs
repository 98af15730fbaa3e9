//! Bounds at work: how many calls at once, how long, and how many bytes.

use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HeaderMap};
use bytes::{Bytes, BytesMut};
use dataknobs_kv_core::{Error, Result};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::Limits;
use crate::app::App;
use crate::problem::Failure;

/// Whether a call that was cut off may have changed something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What is in use.
pub(crate) struct Gate {
    permits: Semaphore,
    waiting: AtomicUsize,
    buffered: AtomicU64,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Gate {
            permits: Semaphore::new(limits.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            buffered: AtomicU64::new(0),
        }
    }
}

/// A place in the queue, given back however the wait ends.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request's body, counted as held until it is dropped.
pub(crate) struct Held<'a> {
    pub(crate) bytes: Bytes,
    _share: Share<'a>,
}

struct Share<'a> {
    gate: &'a Gate,
    bytes: u64,
}

impl Share<'_> {
    /// Takes more: all or nothing, and never waits, so that half-read bodies cannot wait for each other.
    fn grow(&mut self, more: u64, limit: u64) -> Result<()> {
        if self.gate.buffered.fetch_add(more, Ordering::Relaxed).saturating_add(more) > limit {
            self.gate.buffered.fetch_sub(more, Ordering::Relaxed);
            return Err(Error::RateLimited(Some(Box::new(1000))));
        }
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.gate.buffered.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl App {
    /// A call of the store, in its turn and in its time.
    pub(crate) async fn call<T>(&self, access: Access, work: impl Future<Output = Result<T>>) -> Result<T> {
        let _permit = match self.gate.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let ahead = self.gate.waiting.fetch_add(1, Ordering::Relaxed);
                let _place = Place(&self.gate.waiting);
                if ahead >= self.limits.queue {
                    return Err(Error::RateLimited(Some(Box::new(1000))));
                }
                match timeout(self.limits.request_time, self.gate.permits.acquire()).await {
                    Ok(Ok(permit)) => permit,
                    _ => return Err(Error::Unavailable("the service is busy; nothing was applied".into())),
                }
            }
        };
        match timeout(self.limits.request_time, work).await {
            Ok(result) => result,
            Err(_) => {
                let waited = format!("no answer from the store within {} ms", self.limits.request_time.as_millis());
                Err(match access {
                    Access::Read => Error::Unavailable(waited),
                    Access::Write => Error::OutcomeUnknown(waited),
                })
            }
        }
    }

    /// A call that reads.
    pub(crate) async fn read<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.call(Access::Read, work).await
    }

    /// A call that may change something.
    pub(crate) async fn write<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.call(Access::Write, work).await
    }

    /// The request's body, whole.
    pub(crate) async fn body(&self, headers: &HeaderMap, mut body: Body) -> Result<Held<'_>, Failure> {
        if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Error::Unsupported("Content-Encoding: send the body as it is".into()).into());
        }
        let limit = self.limits.body_bytes;
        let deadline = Instant::now() + self.limits.request_time;
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let mut share = Share { gate: &self.gate, bytes: 0 };
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        let mut length = 0_u64;
        let mut too_large = declared.is_some_and(|declared| declared > limit);
        if too_large && headers.contains_key(EXPECT) {
            // The caller asked before sending: it gets the answer instead of `100 Continue`.
            return Err(Error::too_large("request body", limit, declared.unwrap_or_default()).into());
        }
        loop {
            let frame = match timeout_at(deadline, body.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => {
                    return Err(Error::InvalidArgument("the request's body ended before it was whole".into()).into());
                }
                Err(_) => {
                    let waited =
                        format!("the request's body did not arrive within {} ms", self.limits.request_time.as_millis());
                    return Err(Failure::from(Error::Unavailable(waited)).with_status(StatusCode::REQUEST_TIMEOUT));
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            let more = data.len() as u64;
            length += more;
            too_large |= length > limit;
            if too_large {
                // Who is still sending reads no answer: the rest is taken and dropped, up to a point.
                (first, rest) = (Bytes::new(), BytesMut::new());
                if length > limit.saturating_mul(2) {
                    break;
                }
                continue;
            }
            share.grow(more, self.limits.buffered_bytes)?;
            if first.is_empty() && rest.is_empty() {
                first = data;
            } else {
                if rest.is_empty() {
                    let expected = declared.unwrap_or(0).max(length).min(limit);
                    rest.reserve(usize::try_from(expected).unwrap_or(0));
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
        }
        if too_large {
            let actual = declared.unwrap_or(length).max(length);
            return Err(Error::too_large("request body", limit, actual).into());
        }
        let bytes = if rest.is_empty() { first } else { rest.freeze() };
        Ok(Held { bytes, _share: share })
    }
}
