//! The suite, by the core itself, over each layer on memory. The component runs it over a cache in `tests/end_to_end`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dataknobs_kv_conformance::run::{Runner, run, runtime};
use dataknobs_kv_conformance::wrap::{Flaky, Limited};
use dataknobs_kv_conformance::{Harness, Need, native};
use dataknobs_kv_core::Storage;
use dataknobs_kv_core::storage::Capabilities;
use dataknobs_kv_storage::{CacheConfig, Cached, DefaultTtls, Metered, Retrying, memory};

struct Layer {
    name: &'static str,
    storage: fn() -> Arc<dyn Storage>,
}

#[async_trait]
impl Runner for Layer {
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
        native::harness((self.storage)())
    }
}

fn cached(storage: Arc<dyn Storage>, config: CacheConfig) -> Arc<dyn Storage> {
    Arc::new(Cached::new(storage, config))
}

const LAYERS: [Layer; 6] = [
    Layer { name: "cache", storage: || cached(Arc::new(memory()), CacheConfig::default()) },
    // Always full: what is kept is thrown out again all the time.
    Layer { name: "cache-of-three", storage: || cached(Arc::new(memory()), CacheConfig::default().entries(3)) },
    Layer {
        name: "cache-limited",
        storage: || cached(Arc::new(Limited { storage: Arc::new(memory()) }), CacheConfig::default()),
    },
    Layer {
        name: "retry",
        storage: || {
            let flaky = Flaky { storage: Arc::new(memory()), one_in: 25 };
            Arc::new(Retrying::new(flaky, Duration::from_secs(60)))
        },
    },
    Layer { name: "metered", storage: || Arc::new(Metered::new(memory(), Arc::default())) },
    Layer { name: "default-ttls", storage: || Arc::new(DefaultTtls::new(memory(), []).expect("no ttls")) },
];

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let runtime = runtime();
    let failed = LAYERS.map(|layer| run(&arguments, Arc::new(layer), runtime.clone()).has_failed());
    std::process::exit(if failed.contains(&true) { 101 } else { 0 });
}
