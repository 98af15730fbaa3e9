//! The suite through the client and the service, over the core on memory: one service for each case.

use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_client::{HttpOptions, HttpStore};
use dataknobs_kv_conformance::harness::{Over, fresh_namespace};
use dataknobs_kv_conformance::native::memory;
use dataknobs_kv_conformance::run::{Runner, run, runtime};
use dataknobs_kv_conformance::{HandClock, Harness, Need};
use dataknobs_kv_core::storage::{Capabilities, Storage};
use dataknobs_kv_core::{Core, Store};
use dataknobs_kv_service::{Service, ServiceConfig};

struct Http;

#[async_trait]
impl Runner for Http {
    fn name(&self) -> &'static str {
        "http-memory"
    }
    fn capabilities(&self) -> Capabilities {
        memory().capabilities()
    }
    fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Reopen => Some("memory ends with its process"),
            _ => None,
        }
    }
    async fn harness(&self) -> Harness {
        let storage = memory();
        let clock = Arc::new(HandClock::default());
        let of_service = clock.clone();
        let over: Over = Arc::new(move |storage| serve(storage, of_service.clone()));
        Harness {
            store: over(storage.clone()),
            clock,
            namespace: fresh_namespace(),
            capabilities: storage.capabilities(),
            storage: Some(storage),
            over: Some(over),
            reopener: None,
            slow: false,
            batches: true,
        }
    }
}

/// A client of a new service over this storage.
fn serve(storage: Arc<dyn Storage>, clock: Arc<HandClock>) -> Arc<dyn Store> {
    let config = ServiceConfig { listen: "127.0.0.1:0".into(), clock: clock.clone(), ..ServiceConfig::default() };
    let core = Arc::new(Core::new(storage, clock));
    let runtime = tokio::runtime::Handle::current();
    let service = tokio::task::block_in_place(|| runtime.block_on(Service::bind(core, config))).expect("a free port");
    let address = format!("http://{}", service.address());
    runtime.spawn(service.run(std::future::pending()));
    Arc::new(HttpStore::connect(&address, HttpOptions::default()).expect("an address"))
}

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let failed = run(&arguments, Arc::new(Http), runtime()).has_failed();
    std::process::exit(if failed { 101 } else { 0 });
}
