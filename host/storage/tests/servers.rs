//! The suite, by the core itself, over every adapter of a server that is there.
//!
//! `KV_TEST_POSTGRES=postgres://… cargo test -p dataknobs-kv-storage --test servers -- postgres::`; `cargo xtask test`
//! brings the servers up. The component runs the suite over the same adapters in `tests/end_to_end`.

use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_conformance::harness::{Over, Reopener};
use dataknobs_kv_conformance::run::{Runner, run, runtime};
use dataknobs_kv_conformance::{Harness, Need, native};
use dataknobs_kv_core::storage::Capabilities;
use dataknobs_kv_core::{Error, Result, Storage};
use dataknobs_kv_services::{Missing, SERVICES, Service};
use dataknobs_kv_storage::OpenOptions;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

struct Server {
    service: Service,
    url: String,
    storage: Arc<dyn Storage>,
}

async fn try_open(url: &str) -> Result<Arc<dyn Storage>> {
    dataknobs_kv_storage::open(url, &OpenOptions::default()).await
}

async fn open(url: &str) -> Arc<dyn Storage> {
    try_open(url).await.expect("the store opens")
}

fn reopener(url: String, over: Over) -> Reopener {
    Reopener(Box::new(move || {
        Box::pin(async move {
            let storage = open(&url).await;
            (over(storage.clone()), Some(storage), Some(reopener(url, over)))
        })
    }))
}

#[async_trait]
impl Runner for Server {
    fn name(&self) -> &'static str {
        self.service.name
    }
    fn capabilities(&self) -> Capabilities {
        self.storage.capabilities()
    }
    fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Volume if self.service.name.starts_with("s3-") => {
                Some("100,000 objects take minutes, each a request")
            }
            _ => None,
        }
    }
    async fn harness(&self) -> Harness {
        let (url, storage) = match self.apart() {
            Some(url) => (url.clone(), open(&url).await),
            None => (self.url.clone(), self.storage.clone()),
        };
        let mut harness = native::harness(storage);
        harness.slow = true;
        harness.reopener = harness.over.clone().map(|over| reopener(url, over));
        harness
    }
}

impl Server {
    /// A bucket holds many stores. Each case has its own: there a cleanup of all namespaces, which takes its time, meets
    /// no other case, and the list of namespaces is short.
    fn apart(&self) -> Option<String> {
        let rest = self.url.strip_prefix("s3://")?;
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        // moto answers one request after the other, and looks through all its objects for a listing; and rivals for one
        // key, which here nobody queues, hold each other up on any of them. What is asked is whether all get through.
        Some(format!("s3://{}/{:016x}?{options}&timeout=60", path.trim_end_matches('/'), rand::random::<u64>()))
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let runtime = runtime();
    let mut failed = false;
    let wanted = |service: &Service| match &arguments.filter {
        None => true,
        Some(filter) => filter.starts_with(&format!("{}::", service.name)) || filter == service.name,
    };
    for service in SERVICES.iter().filter(|service| wanted(service)) {
        failed |= match service.url() {
            Ok(url) => match runtime.block_on(try_open(&url)) {
                Ok(storage) => {
                    let server = Arc::new(Server { service: *service, url, storage });
                    run(&arguments, server, runtime.clone()).has_failed()
                }
                // Built without this adapter.
                Err(error @ Error::Unsupported(_)) => {
                    all_cases(&arguments, service, service.missing(error.to_string()))
                }
                Err(error) => {
                    let missing = Missing { reason: error.to_string(), required: true };
                    all_cases(&arguments, service, missing)
                }
            },
            Err(missing) => all_cases(&arguments, service, missing),
        };
    }
    std::process::exit(if failed { 101 } else { 0 });
}

/// One case that stands for all those over a server that is not there; whether that is a failure.
fn all_cases(arguments: &Arguments, service: &Service, missing: Missing) -> bool {
    let name = format!("{}::all_cases", service.name);
    let Missing { reason, required } = missing;
    let trial = if required {
        Trial::test(name, move || Err(Failed::from(reason)))
    } else {
        Trial::ignorable_test(name, move || Ok(Completion::ignored_with(reason)))
    };
    libtest_mimic::run(arguments, vec![trial]).has_failed()
}
