//! The service's own process, through the HTTP client. One process serves all cases.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_client::{HttpOptions, HttpStore};
use dataknobs_kv_conformance::harness::fresh_namespace;
use dataknobs_kv_conformance::{HandClock, Harness, Need, Runner, TestClock};
use dataknobs_kv_core::Store;
use dataknobs_kv_core::storage::Capabilities;
use dataknobs_kv_end_to_end::binary;
use tempfile::TempDir;

use crate::clock::ClockFile;

pub(crate) struct Http {
    service: Child,
    store: HttpStore,
    clock: Arc<ClockFile>,
    capabilities: Capabilities,
    _folder: TempDir,
}

impl Http {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ClockFile::new(folder.path()));
        let mut service = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--no-auto-cleanup", "--store"])
            .arg(format!("file:{}", folder.path().join("data.redb").display()))
            .arg("--clock-file")
            .arg(clock.path())
            .env_remove("DATAKNOBS_KV_TOKEN")
            .env_remove("DATAKNOBS_KV_CONFIG")
            .env("DATAKNOBS_KV_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let mut line = String::new();
        BufReader::new(service.stdout.take().expect("its stdout")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("no address: {line:?}"));
        let store = HttpStore::connect(address, HttpOptions::default()).expect("an address");
        let asked = store.clone();
        // Asked on a thread: the runner may itself be made inside a runtime.
        let answer = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { asked.capabilities().await })
        });
        let capabilities = answer.join().expect("an answer").expect("capabilities");
        // Connections belong to the runtime that made them: the cases get a client of their own.
        let store = HttpStore::connect(address, HttpOptions::default()).unwrap_or(store);
        Http { service, store, clock, capabilities, _folder: folder }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

#[async_trait]
impl Runner for Http {
    fn name(&self) -> &'static str {
        "http"
    }
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
    fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Raw => Some("the storage is in the service's process"),
            Need::Over => Some("the service has one storage"),
            Need::Volume => Some("the component's runners do it"),
            Need::Reopen => Some("one process serves all cases"),
            _ => None,
        }
    }
    fn takes_turns(&self) -> bool {
        true
    }
    async fn harness(&self) -> Harness {
        self.clock.set(HandClock::START);
        Harness {
            store: Arc::new(self.store.clone()),
            clock: self.clock.clone(),
            namespace: fresh_namespace(),
            storage: None,
            over: None,
            reopener: None,
            capabilities: self.capabilities.clone(),
            slow: false,
            batches: true,
        }
    }
}
