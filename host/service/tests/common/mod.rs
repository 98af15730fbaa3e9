//! A service on a free port over the core on memory, with a clock that stands still, and a caller.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{
    Capabilities, Clock, Core, MemoryStorage, Projection, Result, State, Storage, Store, Timestamp,
};
use dataknobs_kv_service::{Limits, Service, ServiceConfig};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value as Json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The present, until moved: in 2026.
pub const NOW: u64 = 1_790_000_000_000;

/// A clock that is moved by hand.
#[derive(Clone)]
pub struct Hand(Arc<AtomicU64>);

impl Hand {
    pub fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }
}

/// Memory, where keys that begin with `slow` are never answered, and `broken` ones are a defect.
pub struct Odd {
    memory: MemoryStorage,
    pub entered: Arc<tokio::sync::Semaphore>,
}

impl Odd {
    async fn look(&self, key: &str) {
        assert!(!key.starts_with("broken"), "a defect, made for a test");
        if key.starts_with("slow") {
            self.entered.add_permits(1);
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Storage for Odd {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        self.look(key).await;
        self.memory.get(namespace, key, now, with_value).await
    }
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        for key in keys {
            self.look(key).await;
        }
        self.memory.get_many(namespace, keys, now, with_value).await
    }
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        for mutation in &mutations {
            self.look(&mutation.key).await;
        }
        self.memory.write(namespace, mutations, atomic, now, on_conflict).await
    }
    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        if range.after.is_some() && namespace == "half" {
            return Err(dataknobs_kv_core::Error::Corrupt("made for a test".into()));
        }
        self.memory.scan(namespace, range, hint, now, limit, want).await
    }
    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        self.memory.count(namespace, range, now).await
    }
    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        self.memory.reclaim(namespace, now, limit).await
    }
    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        self.memory.clear(namespace, limit).await
    }
    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.memory.namespaces(after, limit).await
    }
}

/// A running service.
pub struct Server {
    pub address: SocketAddr,
    pub base: String,
    pub clock: Hand,
    pub client: Client,
    pub store: Arc<dyn Store>,
    /// A permit for each call that is stuck on a slow key.
    pub entered: Arc<tokio::sync::Semaphore>,
    pub stop: oneshot::Sender<()>,
    pub ended: JoinHandle<Result<()>>,
}

pub async fn start() -> Server {
    start_with(|_| {}).await
}

pub async fn start_with(change: impl FnOnce(&mut ServiceConfig)) -> Server {
    let clock = Hand(Arc::new(AtomicU64::new(NOW)));
    let entered = Arc::new(tokio::sync::Semaphore::new(0));
    let memory = MemoryStorage::new(rand::random);
    let store: Arc<dyn Store> = Arc::new(Core::new(Odd { memory, entered: entered.clone() }, clock.clone()));
    let mut config =
        ServiceConfig { listen: "127.0.0.1:0".into(), clock: Arc::new(clock.clone()), ..ServiceConfig::default() };
    change(&mut config);
    let service = Service::bind(store.clone(), config).await.unwrap();
    let address = service.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(service.run(async {
        let _ = stopped.await;
    }));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build().unwrap();
    Server { address, base: format!("http://{address}"), clock, client, store, entered, stop, ended }
}

/// Limits that are reached soon.
pub fn small() -> Limits {
    Limits {
        body_bytes: 1000,
        request_time: Duration::from_millis(100),
        header_time: Duration::from_millis(200),
        grace: Duration::from_millis(300),
        ..Limits::default()
    }
}

/// An answer, read.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().into() }
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers)).to_str().unwrap()
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// That it is a problem of this status and code, well formed.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> Json {
        assert_eq!((self.status, self.header("kv-error")), (status, code), "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code);
        assert_eq!(problem["type"], "about:blank");
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {problem}");
        }
        problem
    }
}

impl Server {
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.base))
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let mut request = self.request(method, path).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[], body).await
    }

    /// Sets an entry of namespace `n` from JSON; its version.
    pub async fn put(&self, key: &str, json: &str) -> String {
        let path = format!("/v1/n/entries/{key}");
        let answer = self.send("PUT", &path, &[("content-type", "application/json")], json).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        answer.header("etag").trim_matches('"').to_owned()
    }
}
