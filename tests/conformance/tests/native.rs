//! The suite over the core itself, on memory, and on a memory that can do little.

use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_conformance::native::{harness, memory};
use dataknobs_kv_conformance::run::{Runner, run, runtime};
use dataknobs_kv_conformance::wrap::Limited;
use dataknobs_kv_conformance::{Harness, Need};
use dataknobs_kv_core::storage::{Capabilities, Storage};

struct Native {
    name: &'static str,
    storage: fn() -> Arc<dyn Storage>,
}

#[async_trait]
impl Runner for Native {
    fn name(&self) -> &'static str {
        self.name
    }
    fn capabilities(&self) -> Capabilities {
        (self.storage)().capabilities()
    }
    fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Reopen => Some("memory ends with its process"),
            _ => None,
        }
    }
    async fn harness(&self) -> Harness {
        harness((self.storage)())
    }
}

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let runtime = runtime();
    let limited = || Arc::new(Limited { storage: memory() }) as Arc<dyn Storage>;
    let runners =
        [Native { name: "native-memory", storage: memory }, Native { name: "native-limited", storage: limited }];
    let failed = runners
        .into_iter()
        .filter(|_| true)
        .map(|runner| run(&arguments, Arc::new(runner), runtime.clone()).has_failed());
    let failed = failed.collect::<Vec<_>>().contains(&true);
    std::process::exit(if failed { 101 } else { 0 });
}
