//! What can be set, and to what it is set otherwise.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataknobs_kv_core::{Clock, MAX_TIMESTAMP, Timestamp};
use dataknobs_kv_metrics::Metrics;

use crate::{Page, Token};

/// Where the service listens if nothing else is said.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8700";

/// How the service is set up.
#[derive(Clone)]
pub struct ServiceConfig {
    /// `HOST:PORT`; port 0 picks a free one. Without a token only loopback addresses are accepted.
    pub listen: String,
    /// Bearer tokens, each of which opens everything; none: no token is asked for.
    pub tokens: Vec<Token>,
    /// Origins of web pages that may use the service (CORS), such as `https://example.org`.
    pub allow_origins: Vec<String>,
    /// Without a token: names besides `localhost` and IP addresses of loopback that a request's `Host` may have. (With
    /// a free `Host` any web page could reach the service by a name that resolves to 127.0.0.1.)
    pub allow_hosts: Vec<String>,
    /// Bounds.
    pub limits: Limits,
    /// By which `Kv-Ttl-Ms` is told; the store's own clock decides on expiry.
    pub clock: Arc<dyn Clock>,
    /// What `/metrics` shows; the service adds its requests.
    pub metrics: Metrics,
    /// What browsers find at `/`; nothing unless given.
    pub page: Page,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        ServiceConfig {
            listen: DEFAULT_LISTEN.into(),
            tokens: Vec::new(),
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            metrics: Metrics::new(),
            page: Page::default(),
        }
    }
}

/// Bounds on what a caller can make the service hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body_bytes: u64,
    /// Of all bodies held at one time together, in bytes; `rate-limited` beyond.
    pub buffered_bytes: u64,
    /// How long a request's body may take to arrive, and after that how long one call of the store may take.
    pub request_time: Duration,
    /// How long a request's head may take to arrive, and how long a connection may be idle between requests.
    pub header_time: Duration,
    /// How long a reader may take no byte of an answer.
    pub stall_time: Duration,
    /// Calls of the store at one time; more wait.
    pub concurrency: usize,
    /// How many may wait; `rate-limited` beyond.
    pub queue: usize,
    /// Connections at one time; more wait to be accepted.
    pub connections: usize,
    /// How long requests under way may take to end when the service is told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 32 << 20,
            buffered_bytes: 512 << 20,
            request_time: Duration::from_secs(30),
            header_time: Duration::from_secs(30),
            stall_time: Duration::from_secs(30),
            concurrency: 1024,
            queue: 4096,
            connections: 4096,
            grace: Duration::from_secs(30),
        }
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX).min(MAX_TIMESTAMP)
    }
}
