//! Adapters that are broken on purpose: the check must notice each, or it proves nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dataknobs_kv::{
    Capabilities, Config, Error, KvStore, MemoryStorage, Precondition, Projection, Result, State, Storage, Timestamp,
    Version,
};
use dataknobs_kv_conformance::storage_by_wrap;
use dataknobs_kv_conformance::wrap::Wrap;
use dataknobs_kv_core::storage::{Change, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_service::{Service, ServiceConfig};
use dataknobs_kv_services::history::{Checker, Verdict};
use libtest_mimic::Failed;

use crate::workload::Workload;

/// What is wrong with it, each time once in so many calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Nothing: it must pass, or the others would prove nothing.
    None,
    /// The version that a write asks for is not looked at.
    IgnoresVersion,
    /// A read answers with the state before the last write.
    StaleRead,
    /// A write is applied, and answered with `unavailable`.
    AppliedThoughUnavailable,
    /// A write is acknowledged, and lost.
    LosesWrite,
    /// To writes an entry is there for a while after it expired.
    ExpiresLate,
    /// A write is applied twice, as if by a retry after a lost answer.
    AppliesTwice,
}

impl Defect {
    pub(crate) const ALL: [Defect; 7] = [
        Defect::None,
        Defect::IgnoresVersion,
        Defect::StaleRead,
        Defect::AppliedThoughUnavailable,
        Defect::LosesWrite,
        Defect::ExpiresLate,
        Defect::AppliesTwice,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Defect::None => "none",
            Defect::IgnoresVersion => "ignores_version",
            Defect::StaleRead => "stale_read",
            Defect::AppliedThoughUnavailable => "applied_though_unavailable",
            Defect::LosesWrite => "loses_write",
            Defect::ExpiresLate => "expires_late",
            Defect::AppliesTwice => "applies_twice",
        }
    }
}

struct Broken {
    storage: MemoryStorage,
    defect: Defect,
    calls: AtomicU32,
    /// By namespace and key: the state before the last write.
    before: Mutex<HashMap<(String, String), Option<State>>>,
}

/// How often it goes wrong.
const ONE_IN: u32 = 20;

/// By how much an expiry is late, in milliseconds.
const LATE: u64 = 200;

impl Broken {
    fn goes_wrong(&self, defect: Defect) -> bool {
        self.defect == defect && self.calls.fetch_add(1, Ordering::SeqCst) % ONE_IN == ONE_IN - 1
    }

    fn before(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Option<State>>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Wrap for Broken {
    fn inner(&self) -> &dyn Storage {
        &self.storage
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        if with_value && self.goes_wrong(Defect::StaleRead) {
            let place = (namespace.to_owned(), key.to_owned());
            if let Some(state) = self.before().get(&place).cloned() {
                return Ok(state.filter(|state| !state.attributes.expired(now)));
            }
        }
        self.storage.get(namespace, key, now, with_value).await
    }

    async fn write(
        &self,
        namespace: &str,
        mut mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        if self.defect == Defect::StaleRead {
            for mutation in &mutations {
                let state = self.storage.get(namespace, &mutation.key, now, true).await?;
                self.before().insert((namespace.to_owned(), mutation.key.clone()), state);
            }
        }
        for mutation in &mut mutations {
            if matches!(mutation.precondition, Precondition::Version(_)) && self.goes_wrong(Defect::IgnoresVersion) {
                mutation.precondition = Precondition::None;
            }
        }
        // The core looks at what it reads itself; in a precondition the adapter alone can.
        let now = if self.defect == Defect::ExpiresLate { now - LATE } else { now };
        if mutations.iter().all(|mutation| matches!(mutation.change, Change::Put { .. }))
            && self.goes_wrong(Defect::LosesWrite)
        {
            let written = |_| Ok(Outcome::Written(Version::from_random(rand::random())));
            return Ok(mutations.into_iter().map(written).collect());
        }
        if mutations.iter().all(|mutation| mutation.precondition == Precondition::None)
            && self.goes_wrong(Defect::AppliesTwice)
        {
            let first = self.storage.write(namespace, mutations.clone(), atomic, now, on_conflict).await?;
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            self.storage.write(namespace, mutations, atomic, now, on_conflict).await?;
            return Ok(first);
        }
        let outcomes = self.storage.write(namespace, mutations, atomic, now, on_conflict).await;
        if self.goes_wrong(Defect::AppliedThoughUnavailable) {
            return Err(Error::Unavailable("the connection, it says".into()));
        }
        outcomes
    }
}

storage_by_wrap!(Broken);

/// Two services over the adapter, and whether the check notices what is wrong with it.
pub(crate) fn check(defect: Defect, checker: &Checker) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let storage: Arc<dyn Storage> = Arc::new(Broken {
        storage: MemoryStorage::new(rand::random),
        defect,
        calls: AtomicU32::new(0),
        before: Mutex::default(),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let serve = async || {
        let store = KvStore::open_with(Config::from_storage(storage.clone())).await?;
        let config = ServiceConfig { listen: "127.0.0.1:0".into(), ..ServiceConfig::default() };
        let service = Service::bind(store.store().clone(), config).await?;
        let address = format!("http://{}", service.address());
        tokio::spawn(service.run(std::future::pending()));
        Ok::<_, Error>(address)
    };
    let addresses = runtime.block_on(async { Ok::<_, Error>([serve().await?, serve().await?]) })?;
    let workload = Workload::start(&[&addresses[0], &addresses[1]], folder.path());
    for _ in 0..3 {
        workload.answered(1000);
        workload.next_phase();
    }
    let (tally, verdict, report) = workload.finish(checker, &[])?;
    runtime.shutdown_background();
    let expected = if defect == Defect::None { Verdict::Linearizable } else { Verdict::NotLinearizable };
    println!(
        "linearizable: broken on purpose, {}: {tally}: {}",
        defect.name(),
        report.lines().last().unwrap_or_default()
    );
    if verdict != expected {
        return Err(format!("{defect:?}: {verdict:?}, {expected:?} was expected\n{report}").into());
    }
    Ok(())
}
