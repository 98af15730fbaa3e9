//! The suite, by the core itself, over every adapter of a server that is there.
//!
//! `KV_TEST_POSTGRES=postgres://… cargo test -p dataknobs-kv-storage --test servers -- postgres::`; `cargo xtask test`
//! brings the servers up. The component runs the suite over the same adapters in `tests/end_to_end`.

use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_conformance::harness::{Over, Reopener, fresh_namespace};
use dataknobs_kv_conformance::run::{Runner, run, runtime};
use dataknobs_kv_conformance::{Harness, Need, native};
use dataknobs_kv_core::storage::Capabilities;
use dataknobs_kv_core::{Error, Result, Storage};
use dataknobs_kv_services::{Missing, SERVICES, Service};
use dataknobs_kv_storage::OpenOptions;
use libtest_mimic::Arguments;

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
            Need::Volume => self.service.lacks_volume(),
            _ => None,
        }
    }
    fn leaves_out(&self, topic: &str) -> Option<&'static str> {
        self.service.leaves_out(topic)
    }
    async fn harness(&self) -> Harness {
        let (url, storage) = match self.service.apart(&self.url, &fresh_namespace()) {
            Some(url) => (url.clone(), open(&url).await),
            None => (self.url.clone(), self.storage.clone()),
        };
        let mut harness = native::harness(storage);
        harness.slow = true;
        harness.reopener = harness.over.clone().map(|over| reopener(url, over));
        harness
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
    let trial = missing.trial(format!("{}::all_cases", service.name));
    libtest_mimic::run(arguments, vec![trial]).has_failed()
}
