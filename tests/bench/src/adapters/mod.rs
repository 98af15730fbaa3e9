//! Each adapter, and the whole store over it, beside its backend's bare driver on a real server.
//!
//! * this file: which backends there are, and the table of each
//! * `contest`: rivals that do the same in turn, and who is how fast
//! * `work`: what is done, by the storage and by the store
//! * `hot_key`: one key that callers in two processes count up
//! * one file for each backend: the bare driver doing the same

mod contest;
mod elasticsearch;
mod hot_key;
mod postgres;
mod redis;
mod s3;
mod work;

use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_core::{Storage, Store};
use dataknobs_kv_runtime::{Runtime, RuntimeConfig, SystemClock};
use dataknobs_kv_services::{Kind, Server, shared};
use dataknobs_kv_storage::OpenOptions;

use crate::Result;
use crate::report::Section;
use contest::{Must, ROUNDS};

pub(crate) use hot_key::child;

/// The namespace of single reads and writes.
const NS: &str = "bench";
/// The namespace with many keys.
const MANY: &str = "many";
/// How many connections each rival has.
const POOL: usize = 32;
/// How many callers there are at once.
const CALLERS: [usize; 2] = [1, POOL];
const BATCH: usize = 1000;
/// Of each value, in bytes.
const VALUE: usize = 100;

/// The driver alone, doing the least that comes to the same.
#[async_trait]
trait Bare: Send + Sync {
    /// Reads an entry, with all that is kept of it; whether its value has its length.
    async fn get(&self, caller: usize, key: &str) -> Result<bool>;
    /// Writes an entry with all that is kept of it, whatever is there.
    async fn set(&self, caller: usize, key: &str, value: &[u8]) -> Result;
    /// The same with more of what the adapter does, by which of [`Musts::other_sets`].
    async fn set_otherwise(&self, _caller: usize, _way: usize, _key: &str, _value: &[u8]) -> Result {
        Err("not of this backend".into())
    }
    /// Writes many, the best way there is.
    async fn set_many(&self, caller: usize, keys: &[String], value: &[u8]) -> Result;
    /// Writes many, all or none.
    async fn set_all(&self, _caller: usize, _keys: &[String], _value: &[u8]) -> Result {
        Err("not of this backend".into())
    }
    /// The next keys, and their entries; how many.
    async fn page(&self, _caller: usize, _after: &str, _values: bool) -> Result<usize> {
        Err("not of this backend".into())
    }
    /// The backend's own increment.
    async fn increment(&self, caller: usize, key: &str) -> Result;
    /// What the counter stands at.
    async fn counted(&self, key: &str) -> Result<u64>;
}

type Fill = fn(String, Arc<dyn Storage>) -> Made<()>;

/// A backend that is measured.
struct Backend {
    name: &'static str,
    title: &'static str,
    kind: Kind,
    /// What is added to the connection string of a store: a place of its own, and the size of the pool.
    options: fn(&str) -> String,
    /// Empties the place, on a server that has held an earlier measurement.
    empty: fn(String) -> Made<()>,
    bare: fn(String) -> Made<Arc<dyn Bare>>,
    /// Fills the namespace with many keys, where pages are measured.
    fill: Option<Fill>,
    /// The program's name and version, and what the driver is.
    about: fn(String) -> Made<String>,
    musts: Musts,
}

type Made<T> = std::pin::Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The least ratios of the rates that are aimed at.
struct Musts {
    get: f64,
    set: f64,
    /// Other ways in which the driver may write an entry.
    other_sets: &'static [(&'static str, Must)],
    set_many: f64,
    increment: f64,
}

const BACKENDS: [Backend; 4] = [
    Backend {
        name: "postgres",
        title: "PostgreSQL beside its driver",
        kind: Kind::Postgres,
        options: |url| with_options(url, &format!("table=bench_adapters&pool_size={POOL}")),
        empty: |url| Box::pin(postgres::empty(url)),
        bare: |url| Box::pin(postgres::bare(url)),
        fill: Some(|url, _| Box::pin(postgres::fill(url))),
        about: |url| Box::pin(postgres::about(url)),
        musts: Musts { get: 0.85, set: 0.85, other_sets: &[], set_many: 0.8, increment: 0.5 },
    },
    Backend {
        name: "redis",
        title: "Redis beside its driver",
        kind: Kind::Redis,
        options: |url| with_options(url, "prefix=bench"),
        empty: |url| Box::pin(redis::empty(url)),
        bare: |url| Box::pin(redis::bare(url)),
        fill: Some(|_, storage| Box::pin(redis::fill(storage))),
        about: |url| Box::pin(redis::about(url)),
        musts: Musts {
            get: 0.85,
            set: 0.45,
            other_sets: &[("driver with one index", Must::Ratio(0.85)), ("driver by the least script", Must::Nothing)],
            set_many: 0.8,
            increment: 0.5,
        },
    },
    Backend {
        name: "s3",
        title: "S3 beside a bare client",
        kind: Kind::S3Seaweedfs,
        options: |url| url.replacen("/store?", &format!("/bench-{:08x}?", rand::random::<u32>()), 1),
        empty: |_| Box::pin(async { Ok(()) }),
        bare: |url| Box::pin(s3::bare(url)),
        fill: None,
        about: |url| Box::pin(s3::about(url)),
        musts: Musts {
            get: 0.9,
            set: 0.9,
            other_sets: &[("client with If-Match", Must::Ratio(0.9))],
            set_many: 0.8,
            increment: 0.5,
        },
    },
    Backend {
        name: "elasticsearch",
        title: "Elasticsearch beside a bare client",
        kind: Kind::Elasticsearch,
        options: |url| url.replacen("/kv?", "/bench_adapters?", 1),
        empty: |url| Box::pin(elasticsearch::empty(url)),
        bare: |url| Box::pin(elasticsearch::bare(url)),
        fill: None,
        about: |url| Box::pin(elasticsearch::about(url)),
        musts: Musts { get: 0.9, set: 0.9, other_sets: &[], set_many: 0.8, increment: 0.5 },
    },
];

fn with_options(url: &str, options: &str) -> String {
    format!("{url}{}{options}", if url.contains('?') { '&' } else { '?' })
}

fn backend(name: &str) -> Result<&'static Backend> {
    const { &BACKENDS }.iter().find(|backend| backend.name == name).ok_or_else(|| format!("no backend {name}").into())
}

/// An HTTP client without a proxy.
fn http_client() -> Result<reqwest::Client> {
    // One that an adapter has installed serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?)
}

/// Ours: the storage as a connection string opens it, and the store over it.
struct Ours {
    storage: Arc<dyn Storage>,
    store: Arc<dyn Store>,
}

impl Ours {
    async fn open(url: &str, runtime: &Runtime) -> Result<Self> {
        let storage = dataknobs_kv_storage::open(url, &OpenOptions::default()).await?;
        let store = Arc::new(runtime.store(Arc::clone(&storage), Arc::new(SystemClock)));
        Ok(Ours { storage, store })
    }
}

pub(crate) fn postgres() -> Result<Section> {
    measure("postgres")
}

pub(crate) fn redis() -> Result<Section> {
    measure("redis")
}

pub(crate) fn s3() -> Result<Section> {
    measure("s3")
}

pub(crate) fn elasticsearch() -> Result<Section> {
    measure("elasticsearch")
}

fn measure(name: &str) -> Result<Section> {
    let backend = backend(name)?;
    // One that is up already, or one for now.
    let mut own = None;
    let url = match shared(backend.kind.name()) {
        Ok(url) => url,
        Err(_) => {
            let server = Server::start(backend.kind).map_err(|missing| missing.reason)?;
            own.insert(server).url().to_owned()
        }
    };
    let url = (backend.options)(&url);
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rows = Vec::new();
    let about = tokio.block_on((backend.about)(url.clone()))?;
    tokio.block_on((backend.empty)(url.clone()))?;
    {
        let runtime = Runtime::new(RuntimeConfig::default())?;
        let ours = tokio.block_on(Ours::open(&url, &runtime))?;
        let bare = tokio.block_on((backend.bare)(url.clone()))?;
        tokio.block_on(work::prepare(backend, &url, &ours, &bare))?;
        for contest in work::contests(backend, &url, &runtime, &ours, &bare)? {
            eprintln!("bench: {name}: {}, {} at once", contest.what, contest.callers);
            rows.push(contest.run(&tokio)?);
        }
    }
    // What held its connections is gone by now.
    eprintln!("bench: {name}: a hot key");
    rows.push(hot_key::run(backend, &url, &tokio)?);
    drop(own);
    Ok(Section {
        title: backend.title,
        method: format!(
            "{about}\n\nThe same work by the driver alone, through the adapter, and through the whole store (the component \
             over the adapter), on one\nserver on this machine with its durable settings and {POOL} connections for each rival, by 1 \
             caller and by {POOL}: calls per second\nunless milliseconds are named; medians of {ROUNDS} rounds in turn, \
             and of the rounds' ratios."
        ),
        columns: vec!["", "callers", "driver", "adapter", "store", "adapter : driver", "store : driver", "must", ""],
        rows,
        goals: Vec::new(),
    })
}
