//! The whole suite over the example adapter, by the core itself.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_conformance::harness::{Over, Reopener};
use dataknobs_kv_conformance::run::{Runner, run, runtime};
use dataknobs_kv_conformance::{Harness, Need, native};
use dataknobs_kv_core::storage::{Capabilities, Storage};
use dataknobs_kv_example_adapter::LogStorage;
use libtest_mimic::Arguments;

struct Example {
    folder: tempfile::TempDir,
    capabilities: Capabilities,
}

async fn open(path: PathBuf) -> Arc<dyn Storage> {
    Arc::new(LogStorage::open(&path).await.expect("the log opens"))
}

/// Opens the file again; by then all that used it is gone.
fn reopener(path: PathBuf, over: Over) -> Reopener {
    Reopener(Box::new(move || {
        Box::pin(async move {
            let storage = open(path.clone()).await;
            (over(storage.clone()), Some(storage), Some(reopener(path, over)))
        })
    }))
}

#[async_trait]
impl Runner for Example {
    fn name(&self) -> &'static str {
        "example"
    }
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
    fn lacks(&self, _need: Need) -> Option<&'static str> {
        None
    }
    /// A file of its own for each case: cases run at the same time.
    async fn harness(&self) -> Harness {
        let path = self.folder.path().join(format!("{:016x}.log", rand::random::<u64>()));
        let mut harness = native::harness(open(path.clone()).await);
        harness.reopener = harness.over.clone().map(|over| reopener(path, over));
        harness
    }
}

fn main() {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let capabilities = runtime.block_on(open(folder.path().join("first.log"))).capabilities();
    run(&Arguments::from_args(), Arc::new(Example { folder, capabilities }), runtime).exit();
}
