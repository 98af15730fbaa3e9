//! The suite, by the core itself, over JSON files, plain and compressed. The plain one has a small journal, which is folded
//! into the snapshot all the time.

use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_conformance::harness::{Over, Reopener, fresh_namespace};
use dataknobs_kv_conformance::run::{Runner, run, runtime};
use dataknobs_kv_conformance::{Harness, Need, native};
use dataknobs_kv_core::Storage;
use dataknobs_kv_core::storage::Capabilities;
use dataknobs_kv_storage::OpenOptions;
use libtest_mimic::Arguments;
use tempfile::TempDir;

struct JsonFile {
    name: &'static str,
    ending: &'static str,
    folder: TempDir,
    capabilities: Capabilities,
}

fn url(folder: &TempDir, name: &str, ending: &str) -> String {
    format!("file:{}/{name}{ending}", folder.path().display())
}

async fn open(url: &str) -> Arc<dyn Storage> {
    dataknobs_kv_storage::open(url, &OpenOptions::default()).await.expect("the store opens")
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
impl Runner for JsonFile {
    fn name(&self) -> &'static str {
        self.name
    }
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
    fn lacks(&self, _need: Need) -> Option<&'static str> {
        None
    }
    async fn harness(&self) -> Harness {
        let url = url(&self.folder, &fresh_namespace(), self.ending);
        let mut harness = native::harness(open(&url).await);
        harness.reopener = harness.over.clone().map(|over| reopener(url, over));
        harness
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let runtime = runtime();
    let mut failed = false;
    for (name, ending) in [("native-json", ".json?journal_size=1024"), ("native-json-gz", ".json.gz")] {
        let folder = tempfile::tempdir().expect("a folder");
        let capabilities = runtime.block_on(open(&url(&folder, "capabilities", ending))).capabilities();
        let runner = Arc::new(JsonFile { name, ending, folder, capabilities });
        failed |= run(&arguments, runner, runtime.clone()).has_failed();
    }
    std::process::exit(if failed { 101 } else { 0 });
}
